"""Two models share every weight whose name they share; and the draws have the published distributions."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import torch
from torch import nn

from suite.models import create_model
from suite.models.families.transformer import VisionTransformer
from suite.models.initialise import initialise
from suite.models.joins import JOINS
from suite.models.positions import POSITIONS, TOKENS

COMBINATIONS = [
    (pe, join)
    for pe, join in product(POSITIONS, JOINS)
    if JOINS[join].refuses_position(pe) is None
    and (set(POSITIONS[pe].sites) <= {TOKENS} or join in {"default", "lape"})
]


def weights(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


ARCHS = ["deit", "vit_lite", "cvt", "cct", "ceit", "t2t_vit"]


@pytest.mark.parametrize(
    ("arch", "together"),
    # By default, positions and joins meet in DeiT; elsewhere each is with the usual one of the other.
    [("deit", True), *((arch, False) for arch in ARCHS[1:]),
     *(pytest.param(arch, True, marks=pytest.mark.slow) for arch in ARCHS[1:])],
)  # fmt: skip
def test_models_of_all_positions_and_joins_share_their_weights(arch: str, together: bool, small: Any) -> None:
    drawn = {}
    first: dict[tuple[str, ...], torch.Tensor] = {}
    combinations = [one for one in COMBINATIONS if together or one[0] == "learnable" or one[1] == "default"]
    for index, (pe, join) in enumerate(combinations):
        torch.manual_seed(index)
        model = small(arch, pe=pe, join=join, image_size=24 if arch == "t2t_vit" else 15)  # of more than one token
        initialise(model, 121)
        drawn[pe, join] = weights(model)
        assert {name for name in drawn[pe, join] if not name.startswith("position.")} == {
            name for name in drawn["none", "default"] if not name.startswith("position.")
        }
        for name, value in drawn[pe, join].items():
            key = (name, str(value.shape), pe) if name.startswith("position.") else (name,)
            assert torch.equal(first.setdefault(key, value), value), (pe, join, name)
    learned = drawn["learnable", "unshared"]
    assert torch.equal(learned["position.tables.0"], drawn["learnable", "lape"]["position.tables.0"])
    assert not torch.equal(learned["position.tables.0"], learned["position.tables.1"])


def test_a_draw_depends_on_seed_and_name_alone(small: Any) -> None:
    model = small("deit")
    initialise(model, 5)
    first = weights(model)
    initialise(model, 5)
    assert all(torch.equal(first[name], value) for name, value in weights(model).items())
    initialise(model, 6)
    assert not torch.equal(first["head.weight"], model.head.weight)
    assert not torch.equal(first["blocks.0.mlp.fc1.weight"], first["blocks.1.mlp.fc1.weight"])

    deeper = small("deit", depth=5)
    initialise(deeper, 5)
    assert all(torch.equal(value, weights(deeper)[name]) for name, value in first.items())


def test_the_global_seed_governs_a_new_model_and_is_spent_alike_on_all(small: Any) -> None:
    after = []
    for pe, join in COMBINATIONS:
        torch.manual_seed(9)
        head = small("cvt", pe=pe, join=join).head.weight
        after.append((head, torch.rand(())))
    assert all(torch.equal(head, after[0][0]) and torch.equal(draw, after[0][1]) for head, draw in after)
    assert not torch.equal(small("cvt").head.weight, after[0][0])
    torch.manual_seed(9)
    small("deit", depth=5)
    assert torch.equal(torch.rand(()), after[0][1])


def is_normal(x: torch.Tensor, std: float) -> bool:
    """Mean and standard deviation within five standard errors, and tails that a uniform doesn't have."""
    error = std / x.numel() ** 0.5
    return bool(abs(x.mean()) < 5 * error and abs(x.std() - std) < 5 * error and x.abs().max() > 2 * std)


@pytest.mark.parametrize(
    ("arch", "position_std"), [("deit_tiny", 0.02), ("vit_lite_7_4", 0.2), ("cvt_7_4", 0.2), ("cct_7_3x1", 0.2)]
)
def test_distributions(arch: str, position_std: float) -> None:
    torch.manual_seed(1)
    model: VisionTransformer = create_model(arch, join="lape", num_classes=10, image_size=32)
    values = weights(model)
    assert is_normal(values["position.tables.0"], position_std)
    for name in ("attention.qkv", "attention.proj", "mlp.fc1", "mlp.fc2"):
        assert is_normal(values[f"blocks.1.{name}.weight"], 0.02)
    assert is_normal(values["head.weight"], 0.02)
    for name, value in values.items():
        if "norm" in name or "maps" in name:
            assert (value == name.endswith(".weight")).all(), name
        elif name.endswith(".bias") and "convolutions" not in name:
            assert not value.any(), name

    convolution = values["tokenizer.convolutions.0.weight"]
    fan_in = convolution[0].numel()
    if arch == "deit_tiny":  # PyTorch's default
        assert 0.98 < convolution.abs().max() * fan_in**0.5 <= 1
        assert convolution.std() == pytest.approx((3 * fan_in) ** -0.5, rel=0.02)
        assert is_normal(values["class_token"], 0.02)
    else:
        assert is_normal(convolution, (2 / fan_in) ** 0.5)
    if arch != "cct_7_3x1":
        assert 0 < values["tokenizer.convolutions.0.bias"].abs().max() <= fan_in**-0.5
    if arch == "vit_lite_7_4":
        assert not values["class_token"].any()


def test_a_fixed_table_stays(small: Any) -> None:
    model = small("deit", pe="sin2d")
    before = model.position.tables[0].clone()
    initialise(model, 5)
    assert torch.equal(before, model.position.tables[0])
    assert not before[0, 0].any()
    assert before[0, 1:].any(dim=1).all()


def test_a_module_without_a_rule_is_an_error(small: Any) -> None:
    model = small("deit")
    model.blocks[1].norm3 = nn.PReLU()
    with pytest.raises(TypeError, match=r"'blocks.1.norm3.weight', of a PReLU"):
        initialise(model, 5)
    with pytest.raises(TypeError, match="a Linear doesn't say how"):
        initialise(nn.Linear(2, 3), 5)


def test_a_position_of_its_own_standard_deviation() -> None:
    """DTN's released LayerNorm baseline draws it by torch.randn: not cut at ±2, where 5 % lie beyond."""
    sizes = {"patch_size": 2, "embed_dim": 64, "depth": 1, "num_heads": 2, "mlp_ratio": 1.0}
    tables = {}
    for std in (None, 1.0):
        model = create_model("vit", position_std=std, num_classes=2, image_size=16, **sizes)
        initialise(model, 3)
        tables[std] = model.position.tables[0].detach()
        assert model.class_token is not None
        assert model.class_token.std() < 0.03
    assert tables[None].std().item() == pytest.approx(0.02, rel=0.05)
    assert tables[1.0].std().item() == pytest.approx(1.0, rel=0.05)
    assert tables[1.0].abs().max() > 2.5


@pytest.mark.parametrize("arch", ["deit", "deit_distilled", "swin"])
def test_dropout_before_the_class_head(arch: str) -> None:
    sizes: dict[str, Any] = {"patch_size": 2, "embed_dim": 64, "depth": 1, "num_heads": 2, "mlp_ratio": 1.0}
    if arch == "swin":
        sizes |= {"depth": (1,), "num_heads": (2,), "window_size": 4}
    model = create_model(arch, head_drop=0.5, drop_path=0.0, num_classes=2, image_size=8, **sizes)
    seen: list[torch.Tensor] = []
    model.head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    images = torch.randn(4, 3, 8, 8)
    model.train()(images)
    model.eval()(images)
    dropped, whole = seen
    assert not (whole == 0).any()
    assert 0.3 < (dropped == 0).float().mean() < 0.7
    kept = dropped != 0
    torch.testing.assert_close(dropped[kept], 2 * whole[kept])


def test_diversepatchs_model_drops_a_fifth_before_its_head() -> None:
    """Its deit/models.py, lines 102 and 164."""
    with torch.device("meta"):
        assert create_model("deit_base_12", num_classes=10, image_size=224).head_drop == 0.2
        assert create_model("deit_base", num_classes=10, image_size=224).head_drop == 0.0


class _Gate(nn.Linear):
    """A module from outside that starts at zero."""

    def start(self, name: str, drawn: torch.Tensor, generator: torch.Generator) -> None:
        drawn.fill_(0.25 if name == "bias" else 0.0)


def test_a_module_brings_its_own_initialisation(small: Any) -> None:
    model, other = small("deit"), small("deit")
    model.blocks[0].attention.proj = _Gate(28, 28)
    initialise(model, 3)
    initialise(other, 3)
    assert (model.blocks[0].attention.proj.weight == 0).all()
    assert (model.blocks[0].attention.proj.bias == 0.25).all()
    before = other.state_dict()
    rest = {key: value for key, value in model.state_dict().items() if not key.startswith("blocks.0.attention.proj")}
    assert all(torch.equal(value, before[key]) for key, value in rest.items())
