"""The zoo among timm's models, and a script in the style of timm's train.py that trains one of them."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from timm.data import resolve_model_data_config
from timm.utils import ModelEmaV3

from suite.errors import InputError
from suite.models import create_model, timm_models
from suite.models.architectures import FAMILIES, named_architectures, resolve_architecture
from suite.models.joins import JOINS
from suite.models.region_size import RegionSize
from suite.models.semantic_size import SemanticSize
from suite.models.sequence_size import SequenceSize
from suite.models.sizes import Size

# Each family at a small size: name, what makes it small.
SMALL: dict[str, dict[str, Any]] = {
    "lape_deit_tiny_patch16_224": {"patch_size": 8, "depth": 2},
    "lape_deit_tiny_distilled_patch16_224": {"patch_size": 8, "depth": 2},
    "lape_ceit_tiny_patch16_224": {"depth": 2},
    "lape_t2t_vit_7": {"depth": 2},
    "lape_swin_tiny_patch4_window7_224": {"depth": (2, 2), "num_heads": (3, 6), "window_size": 4},
    "lape_vit_lite_2_4_32": {},
    "lape_cvt_2_4_32": {},
    "lape_cct_2_3x2_32": {},
}

# What timm's train.py does with a model, in the same order.
SCRIPT = """
import argparse

import torch
from timm import utils
from timm.data import Mixup, create_dataset, create_loader, resolve_data_config
from timm.models import create_model, model_parameters, safe_model_name
from timm.optim import create_optimizer_v2
from timm.scheduler import create_scheduler_v2

parser = argparse.ArgumentParser()
parser.add_argument("--data-dir")
parser.add_argument("--model")
parser.add_argument("--output")
parser.add_argument("--drop-path", type=float, default=None)
parser.add_argument("--model-kwargs", nargs="*", default={}, action=utils.ParseKwargs)
parser.add_argument("--amp", action="store_true")
arguments = parser.parse_args()

utils.random_seed(42, 0)
model = create_model(
    arguments.model, pretrained=False, in_chans=3, num_classes=2, drop_rate=0.0, drop_path_rate=arguments.drop_path,
    drop_block_rate=None, global_pool=None, bn_momentum=None, bn_eps=None, scriptable=False, checkpoint_path="",
    **arguments.model_kwargs,
)
with torch.no_grad():
    model.get_classifier().weight.mul_(0.5)
config = resolve_data_config(vars(arguments), model=model)
model.to(device="cpu")
model.to(memory_format=torch.channels_last)
optimizer = create_optimizer_v2(model, opt="adamw", lr=1e-3, weight_decay=0.05)
ema = utils.ModelEmaV2(model, decay=0.5)
loaders = {
    split: create_loader(
        create_dataset("", root=arguments.data_dir, split=split, is_training=split == "train", batch_size=4),
        input_size=config["input_size"], batch_size=4, is_training=split == "train", use_prefetcher=False,
        interpolation=config["interpolation"], mean=config["mean"], std=config["std"], crop_pct=config["crop_pct"],
        num_workers=0, device=torch.device("cpu"),
    )
    for split in ("train", "validation")
}
mixup = Mixup(mixup_alpha=0.8, cutmix_alpha=1.0, num_classes=2)
scheduler, epochs = create_scheduler_v2(optimizer, sched="cosine", num_epochs=2, warmup_epochs=0)
saver = utils.CheckpointSaver(model, optimizer, args=arguments, model_ema=ema, checkpoint_dir=arguments.output)
for epoch in range(2):
    model.train()
    for images, target in loaders["train"]:
        images, target = mixup(images, target)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=arguments.amp):
            loss = torch.sum(-target * model(images.contiguous(memory_format=torch.channels_last)).log_softmax(-1), -1)
        optimizer.zero_grad()
        loss.mean().backward()
        utils.dispatch_clip_grad(model_parameters(model), value=1.0)
        optimizer.step()
        ema.update(model)
    model.eval()
    with torch.no_grad():
        right = [utils.accuracy(model(images), target)[0] for images, target in loaders["validation"]]
    scheduler.step(epoch + 1)
    saver.save_checkpoint(epoch, metric=float(right[0]))
other = create_model(arguments.model, num_classes=2, checkpoint_path=f"{arguments.output}/last.pth.tar",
                     **arguments.model_kwargs)
averaged = ema.module.state_dict()  # what timm loads where a checkpoint holds both
assert all(torch.equal(value, averaged[name]) for name, value in other.state_dict().items())
print(safe_model_name(arguments.model), "trained", sorted(group["weight_decay"] for group in optimizer.param_groups))
"""


def make(name: str, **settings: Any) -> Any:
    return timm.create_model(name, **{"num_classes": 3, "img_size": 32, **SMALL[name], **settings})


@pytest.fixture
def script(tmp_path: Path) -> list[str]:
    """The script's path and arguments, for eight images of noise."""
    (tmp_path / "train.py").write_text(SCRIPT)
    noise = np.random.default_rng(0)
    for split in ("train", "validation"):
        for label in ("a", "b"):
            (tmp_path / split / label).mkdir(parents=True)
            for index in range(2):
                pixels = noise.integers(0, 256, (40, 36, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(tmp_path / split / label / f"{index}.png")
    (tmp_path / "out").mkdir()
    return [str(tmp_path / "train.py"), "--data-dir", str(tmp_path), "--output", str(tmp_path / "out")]


def test_every_named_architecture_is_registered() -> None:
    transformers = {
        name
        for name, family in FAMILIES.items()
        if issubclass(family.size, Size) and family.size not in (SequenceSize, SemanticSize, RegionSize)
    }
    named = [name for name in named_architectures() if resolve_architecture(name).family.name in transformers]
    assert len(timm.list_models("lape_*")) == len(named)
    assert timm_models.PUBLISHED.keys() == transformers
    known = {"lape_deit_base_distilled_patch16_224", "lape_swin_small_patch4_window7_224", "lape_cct_7_3x1_32"}
    assert known | SMALL.keys() <= set(timm.list_models("lape_*"))
    assert timm.list_models("lape_*", pretrained=True) == []
    assert {timm_models.PUBLISHED[FAMILIES[family].name].image_size for family in timm_models.PUBLISHED} == {32, 224}


@pytest.mark.parametrize("name", SMALL)
def test_interface(name: str) -> None:
    model = make(name).eval()
    images = torch.randn(2, 3, 32, 32)
    logits = model(images)
    assert logits.shape == (2, model.num_classes) == (2, 3)
    assert all(
        torch.equal(other(images), logits) for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model)))
    )
    assert model.pretrained_cfg is model.default_cfg
    assert model.pretrained_cfg["architecture"] == name
    config = resolve_model_data_config(model)
    assert (config["input_size"], model.pretrained_cfg["num_classes"]) == ((3, 32, 32), 3)
    assert {"mean", "std", "crop_pct", "interpolation"} <= config.keys()
    ModelEmaV3(model).update(model)

    seen: list[torch.Tensor] = []
    heads = model.get_classifier()
    first = heads[0] if isinstance(heads, tuple) else heads
    first.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    model(images)
    assert seen[0].shape == (2, model.num_features)
    if hasattr(model, "forward_features"):
        features = model.forward_features(images)
        assert torch.equal(model.forward_head(features), logits)
        assert model.forward_head(features, pre_logits=True).shape == (2, model.num_features)

    model.reset_classifier(5)
    assert model(images).shape == (2, model.num_classes) == (2, 5)
    model.reset_classifier(0)
    assert model(images).shape == (2, model.num_features)
    assert model.num_classes == 0
    assert make(name, num_classes=0).eval()(images).shape == (2, model.num_features)


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("join", ["lape", "unshared"])
def test_weights_are_those_of_create_model(name: str, join: str) -> None:
    torch.manual_seed(4)
    model = make(name, pe="learnable", join=join, drop_path_rate=0.3)
    torch.manual_seed(4)
    size = {**SMALL[name], "drop_path": 0.3, "num_classes": 3, "image_size": 32}
    ours = next(ours for ours in timm_models.TRANSFORMERS if timm_models._TIMM_NAMES[ours] == name)
    expected = create_model(ours, pe="learnable", join=join, **size)
    assert model.state_dict().keys() == expected.state_dict().keys()
    assert all(torch.equal(value, model.state_dict()[key]) for key, value in expected.state_dict().items())
    assert model.architecture.size == expected.architecture.size


def test_a_norm_of_its_own() -> None:
    model = make("lape_deit_tiny_patch16_224", depth=4, norm="dtn")
    assert [type(block.norm1).__name__ for block in model.blocks] == ["DynamicTokenNorm"] * 2 + ["LayerNorm"] * 2
    assert model(torch.zeros(2, 3, 32, 32)).shape == (2, 3)


def test_defaults_are_lape_on_the_published_position() -> None:
    found = {name: make(name).positions()[0] for name in SMALL}
    assert {position.join.name for position in found.values()} == {"lape"}
    fixed = {name: position.position.name for name, position in found.items() if position.position.name != "learnable"}
    assert fixed == {"lape_t2t_vit_7": "sin1d", "lape_swin_tiny_patch4_window7_224": "learnable+rpe2d"}


def test_only_a_distilled_training_returns_two_logits() -> None:
    model = make("lape_deit_tiny_distilled_patch16_224").train()
    images = torch.randn(2, 3, 32, 32)
    assert model(images).shape == (2, 3)
    model.set_distilled_training()
    assert [logits.shape for logits in model(images)] == [(2, 3), (2, 3)]
    assert model.eval()(images).shape == (2, 3)
    model.reset_classifier(4)
    assert [head.out_features for head in model.get_classifier()] == [4, 4]


def test_weight_decay_is_the_published_one() -> None:
    assert make("lape_deit_tiny_distilled_patch16_224", join="unshared").no_weight_decay() == {
        "class_token",
        "position.tables.0",
        "position.tables.1",
    }
    assert make("lape_vit_lite_2_4_32").no_weight_decay() == set()
    swin = make("lape_swin_tiny_patch4_window7_224").no_weight_decay()
    assert swin == {"position.0.tables.0"} | {
        f"position.{stage}.biases.{block}.table" for stage in (0, 1) for block in (0, 1)
    }
    for name in SMALL:
        model = make(name)
        assert model.no_weight_decay() <= {each for each, _ in model.named_parameters()}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pretrained": True}, "no published weights"),
        ({"drop_rate": 0.1}, "no drop_rate"),
        ({"pos_drop_rate": 0.1}, "no pos_drop_rate"),
        ({"global_pool": "avg"}, "global_pool 'avg'"),
        ({"img_size": (32, 64)}, "square images"),
        ({"img_size": 33}, "divisible by the patch size"),
        ({"join": "lappe"}, "did you mean 'lape'"),
        ({"pe": "sin1d", "join": "unshared"}, "is fixed"),
        ({"width": 3}, "no key of this name"),
        ({"bn_momentum": 0.1}, "no key of this name"),
    ],
)
def test_refusals(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make("lape_deit_tiny_patch16_224", **settings)


@pytest.mark.filterwarnings("ignore:.torch.jit:FutureWarning")
def test_what_isnt_there_is_refused() -> None:
    model = make("lape_vit_lite_2_4_32")
    with pytest.raises(InputError, match=r"torch\.jit\.script can't compile this model"):
        torch.jit.script(model)
    with pytest.raises(InputError, match="global_pool 'avg'"):
        model.reset_classifier(2, "avg")


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # timm leaves the images' files open
@pytest.mark.parametrize("name", ["lape_ceit_tiny_patch16_224", "lape_swin_tiny_patch4_window7_224"])
def test_a_script_of_timm_trains_a_model(
    name: str, script: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", list(sys.argv))
    monkeypatch.setattr(sys, "path", list(sys.path))
    sizes = {"img_size": 32, **SMALL[name], "join": "lape_shared"}
    kwargs = [f"{key}={value}".replace(" ", "") for key, value in sizes.items()]
    timm_models.main([*script, "--model", name, "--drop-path", "0.1", "--amp", "--model-kwargs", *kwargs])
    assert capsys.readouterr().out.endswith(f"{name} trained [0.0, 0.05]\n")
    assert sys.argv[0] == script[0]
    assert sys.path[0] == str(Path(script[0]).parent)


@pytest.mark.slow
def test_the_module_runs_a_script(script: list[str]) -> None:
    kwargs = ["--model", "lape_vit_lite_2_4_32", "--model-kwargs", "join=default"]
    command = [sys.executable, "-W", "error::UserWarning", "-m", "suite.models.timm_models"]
    done = subprocess.run([*command, *script, *kwargs], capture_output=True, text=True)
    assert done.stdout.endswith("lape_vit_lite_2_4_32 trained [0.0, 0.05]\n"), done.stderr
    for arguments in ([], ["nothing.py"], [*script, *kwargs[:-1], "join=lappe"]):
        done = subprocess.run([*command, *arguments], capture_output=True, text=True)
        assert done.returncode == 2
        assert done.stderr.startswith("error: ")
        assert "Traceback" not in done.stderr


def test_every_join_can_be_asked_for() -> None:
    for join in JOINS:
        assert make("lape_deit_tiny_patch16_224", join=join).positions()[0].join.name == join
