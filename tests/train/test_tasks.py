"""Segmentation in training: what moves with the image, the loss, the counts of a test, and equal results by parts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from suite.data.images import MaskedImages
from suite.data.segmentation.settings import PADDING
from suite.grid.recipe import Recipe
from suite.models import create_model
from suite.store.segmentation import class_ious, mean_iou
from suite.train.augmentation.pipeline import Augmentation
from suite.train.losses.of_pixels import IGNORED, pixel_cross_entropy
from suite.train.steps.precision import Precision
from suite.train.steps.seed_stack import stackable
from suite.train.steps.trainer import Trainer
from suite.train.tasks import CLASSIFICATION, SemanticSegmentation, WindowedSegmentation, task_of
from suite.train.windows import slide
from tests.data.segmentation.test_preparation import prepared
from tests.scenes import write_voc

CPU = torch.device("cpu")


def test_the_task_is_that_of_the_data(tmp_path):
    dataset = prepared(write_voc(tmp_path / "voc"), tmp_path / "cache")
    assert isinstance(task_of(dataset), SemanticSegmentation)
    assert task_of(dataset.model_copy(update={"segmentation": None})) is CLASSIFICATION


@pytest.mark.parametrize(
    "keys", [{"flip": True}, {"crop_padding": 4}, {"flip": True, "crop_scale": (0.3, 0.9), "interpolation": "bilinear"}]
)
def test_augmentation_moves_image_and_mask_together(keys: dict, tmp_path):
    """Of images whose colour is their mask's value, every augmented pixel must still have the colour of its label."""
    dataset = prepared(write_voc(tmp_path / "voc"), tmp_path / "cache")
    dataset = dataset.model_copy(update={"mean": (0.2, 0.4, 0.6), "std": (0.5, 0.3, 0.2)})
    masks = torch.randint(1, 4, (8, 2, 2, 1), dtype=torch.uint8).repeat_interleave(8, 1).repeat_interleave(8, 2)
    images = MaskedImages(torch.cat([masks * 60] * 3 + [masks], dim=3), torch.zeros(8, dtype=torch.int64))
    recipe = Recipe(version=1, epochs=1, batch_size=8, lr=1e-3, **keys)
    task = SemanticSegmentation(3)
    augmentation = Augmentation(recipe, task.normalise(dataset, CPU))
    (stretch,) = augmentation.stretches(images, torch.arange(8), CPU, torch.Generator().manual_seed(0), True)
    ((batch, share),) = stretch.batches
    assert share is None
    inputs, labels = task.split(batch)
    assert inputs.shape == (8, 3, 16, 16)
    assert labels is not None
    moved = labels != torch.from_numpy(masks.numpy()[..., 0].astype(int)) - 1
    assert moved.any()
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (dataset.mean, dataset.std))
    colours = ((inputs * std + mean) * 255 / 60).mean(1)
    matching = (colours - (labels + 1)).abs() < 0.5  # of padding: colour 0, and ignored
    assert matching.float().mean() > (0.95 if "crop_scale" in keys else 0.9999)
    assert (labels == IGNORED).any() == ("crop_padding" in keys)


def _plain_counts(logits: Tensor, labels: Tensor, classes: int) -> np.ndarray:
    counts = np.zeros((len(labels), 3, classes), dtype=np.int64)
    for image, (scores, truth) in enumerate(zip(logits, labels, strict=True)):
        for row in range(truth.shape[0]):
            for column in range(truth.shape[1]):
                label, found = int(truth[row, column]), int(scores[:, row, column].argmax())
                if label != IGNORED:
                    counts[image, 0, label] += label == found
                    counts[image, 1, label] += 1
                    counts[image, 2, found] += 1
    return counts


def test_counts_and_loss_are_those_of_plain_loops():
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(4, 5, 6, 7, generator=generator)
    labels = torch.randint(-1, 5, (4, 6, 7), generator=generator)
    counts, loss = SemanticSegmentation(5).judge(logits, labels)
    expected = _plain_counts(logits, labels, 5)
    assert np.array_equal(counts.numpy(), expected)
    fields = SemanticSegmentation(5).fields(counts.numpy())
    overlap, union = expected[:, 0].sum(0), (expected[:, 1] + expected[:, 2] - expected[:, 0]).sum(0)
    assert fields["miou"] == pytest.approx(100 * np.mean(overlap / union))
    assert fields["miou"] == mean_iou(class_ious(counts.numpy()))
    logs = torch.log_softmax(logits.double(), dim=1)
    plain = -sum(
        logs[i, labels[i, r, c], r, c] for i in range(4) for r in range(6) for c in range(7) if labels[i, r, c] >= 0
    )
    assert loss.item() == pytest.approx(plain.item() / 42, rel=1e-5)


def test_the_loss_is_the_mean_of_its_parts():
    """Also where images have different numbers of ignored pixels, so that a batch can be taken in parts."""
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(4, 3, 8, 8, generator=generator)
    labels = torch.randint(0, 3, (4, 8, 8), generator=generator)
    labels[0] = IGNORED
    labels[1, :4] = IGNORED
    parts = [pixel_cross_entropy(logits[i : i + 1], labels[i : i + 1], 0.1) for i in range(4)]
    assert torch.allclose(pixel_cross_entropy(logits, labels, 0.1), torch.stack(parts).mean())
    assert pixel_cross_entropy(logits[:1], labels[:1]) == 0


def test_ignored_pixels_have_no_gradient():
    logits = torch.randn(1, 3, 4, 4, requires_grad=True)
    labels = torch.full((1, 4, 4), IGNORED)
    labels[0, 0] = 1
    pixel_cross_entropy(logits, labels).backward()
    assert logits.grad is not None
    assert (logits.grad[0, :, 1:] == 0).all()
    assert (logits.grad[0, :, 0] != 0).any()


def test_large_images_are_tested_by_windows_on_their_own_pixels():
    """A batch of images of two sizes gives what each of them alone gives, and nothing outside of them counts."""
    generator = torch.Generator().manual_seed(0)
    batch = torch.randn(2, 4, 12, 16, generator=generator)
    batch[:, 3] = torch.randint(0, 4, (2, 12, 16), generator=generator)
    batch[1, 3, 9:], batch[1, 3, :, 10:] = PADDING, PADDING
    model = torch.nn.Conv2d(3, 3, 3, padding=1)
    task = WindowedSegmentation(3, 8, 5)
    with torch.no_grad():
        found = task.predict(model, batch)
        assert torch.allclose(found[0], slide(model, batch[:1, :3], 8, 5)[0], atol=1e-6)
        assert torch.allclose(found[1, :, :9, :10], slide(model, batch[1:, :3, :9, :10], 8, 5)[0], atol=1e-6)
    _, labels = task.split(batch)
    assert labels is not None
    assert (labels[1, 9:] == IGNORED).all()
    assert (labels[0] == batch[0, 3].long() - 1).all()
    evidence, _ = task.judge(found, labels)
    assert evidence[1, 1].sum() == (labels[1, :9, :10] >= 0).sum()
    assert task.sample(batch).shape == (2, 3, 8, 8)


def test_a_test_batch_has_a_bounded_number_of_logits():
    assert SemanticSegmentation(11).most_tested((4, 96, 96)) == 2**26 // (11 * 96 * 96)
    assert SemanticSegmentation(254).most_tested((4, 1024, 1024)) == 1
    assert CLASSIFICATION.most_tested((3, 224, 224)) > 2**32


def test_seeds_are_trained_one_by_one():
    """The trainer of several seeds knows labels of whole images alone, so it must not get these models."""
    sizes = {"patch_size": 4, "embed_dim": 16, "depth": 1, "num_heads": 2, "mlp_ratio": 1.0}
    precision = Precision("fp32", None)
    for name, stacks in (("segmenter", False), ("deit", True)):
        assert stackable(create_model(name, num_classes=3, image_size=8, **sizes), precision) is stacks


def test_the_trainer_has_a_task_for_whole_images_by_default():
    assert Trainer.__dataclass_fields__["task"].default is CLASSIFICATION
