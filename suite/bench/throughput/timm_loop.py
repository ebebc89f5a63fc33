"""The reference for throughput: an eager loop with timm's loader, transforms, Mixup, losses and optimiser.

The parts are combined as in timm 1.0's train.py. The models are the suite's, since timm has no ViT-Lite.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

import torch
from PIL import Image
from timm.data.loader import create_loader
from timm.data.mixup import FastCollateMixup, Mixup
from timm.loss.cross_entropy import LabelSmoothingCrossEntropy, SoftTargetCrossEntropy
from timm.optim._optim_factory import create_optimizer_v2
from timm.utils.clip_grad import dispatch_clip_grad
from timm.utils.model_ema import ModelEmaV3
from torch import Tensor, nn
from torchvision import transforms
from torchvision.transforms import InterpolationMode

from suite.bench.throughput.turns import LoopSetting, Task
from suite.bench.throughput.workload import LEARNING_RATE, Workload
from suite.data.datasets import Dataset
from suite.data.decode import open_image
from suite.data.images import ArrayImages, FolderImages, Images
from suite.data.names import name_path
from suite.grid.auto_augment import LearnedPolicy, RandAugment, parse_policy
from suite.grid.recipe import Recipe
from suite.models.build import build_model
from suite.train.steps.precision import choose_precision


class TimmLoop:
    """An eager timm-based training loop on a workload's images."""

    def __init__(self, workload: Workload) -> None:
        self._workload = workload
        recipe, device = workload.recipe, workload.device
        self._pictures = workload.pictures()
        self._model: nn.Module = build_model(workload.cell).to(device)
        self._optimiser = create_optimizer_v2(
            self._model,
            "adamw",
            lr=LEARNING_RATE,
            weight_decay=recipe.weight_decay,
            filter_bias_and_bn=not recipe.decay_all,
            betas=recipe.betas,
            eps=recipe.eps,
        )
        self._loss = _loss(recipe)
        self._precision = choose_precision(recipe, device)
        self._scaler = self._precision.scaler(device)
        decay = recipe.ema_decay
        self._average = None if decay is None else ModelEmaV3(self._model, decay=decay)
        self._batch: tuple[Tensor, Tensor] | None = None

    @contextmanager
    def ready(self, task: Task, setting: LoopSetting) -> Iterator[Callable[[int], None]]:
        """Yield a function that runs a number of batches of the task, after a warm-up.

        Loader processes exist only within this context, so that they don't disturb the other side's turn.
        """
        if task == "step":
            batch = self._fixed_batch()
            run = _repeated(lambda: self._step(*batch))
            run(1)
            yield run
            return
        batches = self.batches(setting)

        def run_batches(count: int) -> None:
            for inputs, targets in islice(batches, count):
                if task == "training":
                    self._step(inputs, targets)

        try:
            # Each worker loads two batches ahead. They are loaded before the turn, so they must not count in it.
            run_batches(1 + 2 * setting.workers)
            yield run_batches
        finally:
            batches.close()

    def batches(self, setting: LoopSetting) -> Generator[tuple[Tensor, Tensor]]:
        """Yield an endless stream of (inputs, targets), both on the device.

        Inputs are float32 [B, C, H, W]. Targets are float32 [B, classes] if the recipe mixes images, else int64 [B].
        """
        recipe, device = self._workload.recipe, self._workload.device
        mixup = _mixup(recipe, self._workload.dataset.num_classes, setting.prefetcher) if recipe.mixes else None
        loader = _loader(self._workload, self._pictures, setting, mixup)
        while True:
            for inputs, targets in loader:
                if not setting.prefetcher:
                    inputs, targets = inputs.to(device), targets.to(device)
                    if mixup is not None:
                        inputs, targets = mixup(inputs, targets)
                yield inputs, targets

    def _fixed_batch(self) -> tuple[Tensor, Tensor]:
        if self._batch is None:
            batches = self.batches(LoopSetting(torch.get_num_threads()))
            self._batch = next(batches)
            batches.close()
        return self._batch

    def _step(self, inputs: Tensor, targets: Tensor) -> None:
        self._model.train()
        with self._precision.autocast(self._workload.device):
            output = self._model(inputs)
            loss = self._loss(output[0] if isinstance(output, tuple) else output, targets)
        self._optimiser.zero_grad()
        self._scaler.scale(loss).backward()
        if self._workload.recipe.clip_grad is not None:
            self._scaler.unscale_(self._optimiser)
            dispatch_clip_grad(self._model.parameters(), value=self._workload.recipe.clip_grad)
        self._scaler.step(self._optimiser)
        self._scaler.update()
        if self._average is not None:
            self._average.update(self._model)


def _repeated(step: Callable[[], None]) -> Callable[[int], None]:
    def run(count: int) -> None:
        for _ in range(count):
            step()

    return run


class _Pictures(torch.utils.data.Dataset[tuple[Any, int]]):
    """A data set of Pillow images, opened as in torchvision's and timm's data sets. `create_loader` sets `transform`.

    An epoch has `length` images. If fewer synthetic images exist, they are repeated: the loader starts anew each epoch,
    so shorter epochs would slow it down.
    """

    transform: Any  # torchvision's Compose

    def __init__(self, images: Images, channels: int, length: int) -> None:
        assert isinstance(images, ArrayImages | FolderImages)
        self._images, self._length = images, length
        self._mode = "L" if channels == 1 else "RGB"
        self._labels = images.labels.tolist()
        self._pixels = images.pixels.numpy() if isinstance(images, ArrayImages) else None

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> tuple[Any, int]:
        number = index % len(self._labels)
        return self.transform(self._open(number)), self._labels[number]

    def _open(self, number: int) -> Image.Image:
        if isinstance(self._images, FolderImages):
            path = self._images.folder / name_path(self._images.rows[number].path)
            return open_image(path).convert(self._mode)
        assert self._pixels is not None
        pixels = self._pixels[number]
        return Image.fromarray(pixels[..., 0] if self._mode == "L" else pixels)


def _loader(workload: Workload, images: Images, setting: LoopSetting, mixup: Mixup | None) -> Any:
    recipe, dataset = workload.recipe, workload.dataset
    policy = None if recipe.auto_augment is None else parse_policy(recipe.auto_augment)
    pictures = _Pictures(images, dataset.channels, dataset.train_images)
    loader = create_loader(
        pictures,  # type: ignore[arg-type]  # any map-style data set works
        input_size=(dataset.channels, dataset.image_size, dataset.image_size),
        batch_size=recipe.batch_size,
        is_training=True,
        scale=recipe.crop_scale,
        ratio=recipe.crop_ratio,
        hflip=0.5 * recipe.flip,
        color_jitter=None,  # type: ignore[arg-type]  # None: no colour jitter
        auto_augment=recipe.auto_augment if isinstance(policy, RandAugment) else None,
        interpolation=recipe.interpolation,
        re_prob=recipe.erase_prob,
        re_mode=recipe.erase_mode,
        re_count=recipe.erase_count,
        mean=dataset.mean,
        std=dataset.std,
        num_workers=setting.workers,
        collate_fn=mixup if setting.prefetcher else None,
        pin_memory=workload.device.type == "cuda",
        device=workload.device,
        use_prefetcher=setting.prefetcher,
    )
    # timm's training transforms have only random resized crops, as their first step, and no AutoAugment policy for
    # CIFAR-10. Other crops and that policy are torchvision's.
    steps = pictures.transform.transforms
    if recipe.crop_scale is None:
        steps[:1] = _crop(recipe, dataset)
    if isinstance(policy, LearnedPolicy):
        steps.insert(0, transforms.AutoAugment(transforms.AutoAugmentPolicy.CIFAR10))
    return loader


def _crop(recipe: Recipe, dataset: Dataset) -> list[Any]:
    size = dataset.image_size
    whole = [transforms.Resize(size, InterpolationMode.BICUBIC), transforms.CenterCrop(size)]
    padded = [transforms.RandomCrop(size, recipe.crop_padding)]
    return [*whole * (dataset.storage == "folder"), *padded * (recipe.crop_padding > 0)]


def _mixup(recipe: Recipe, classes: int, prefetcher: bool) -> Mixup:
    kind: Any = FastCollateMixup if prefetcher else Mixup
    mixup: Mixup = kind(
        mixup_alpha=recipe.mixup,
        cutmix_alpha=recipe.cutmix,
        prob=recipe.mixup_prob,
        switch_prob=recipe.mixup_switch_prob,
        mode=recipe.mixup_mode,
        label_smoothing=recipe.label_smoothing,
        num_classes=classes,
    )
    return mixup


def _loss(recipe: Recipe) -> nn.Module:
    soft: Any = SoftTargetCrossEntropy
    smoothing: Any = LabelSmoothingCrossEntropy
    loss: nn.Module = nn.CrossEntropyLoss()
    if recipe.mixes:
        loss = soft()
    elif recipe.label_smoothing:
        loss = smoothing(recipe.label_smoothing)
    return loss
