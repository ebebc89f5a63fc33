"""Parameter counts of the published models to the last digit, and MACs against torch's own counter."""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Iterable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from suite.models import create_model
from suite.models.costs.macs import UncountedOperatorError, count_forward, count_macs, count_parameters

# arch, classes, image size; parameters, of which position; parameters that LaPE adds; GMACs. Counted by
# running the authors' code.
PUBLISHED = [
    ("deit_tiny", 1000, 224, 5_717_416, 37_824, 4_608, 1.2584),
    ("deit_small", 1000, 224, 22_050_664, 75_648, 9_216, 4.6083),
    ("deit_base", 1000, 224, 86_567_656, 151_296, 18_432, 17.5827),
    ("deit_tiny_distilled", 1000, 224, 5_910_800, 38_016, 4_608, 1.2658),
    ("deit_small_distilled", 1000, 224, 22_436_432, 76_032, 9_216, 4.6336),
    ("deit_base_distilled", 1000, 224, 87_338_192, 152_064, 18_432, 17.6758),
    ("vit_lite_7_4", 10, 32, 3_716_874, 16_640, 3_584, 0.2557),
    ("vit_lite_7_4", 100, 32, 3_740_004, 16_640, 3_584, 0.2558),
    ("cvt_7_4", 10, 32, 3_716_619, 16_384, 3_584, 0.2516),
    ("cvt_7_4", 100, 32, 3_739_749, 16_384, 3_584, 0.2516),
    ("cct_7_3x1", 10, 32, 3_760_139, 65_536, 3_584, 1.1865),
    ("cct_7_3x1", 100, 32, 3_783_269, 65_536, 3_584, 1.1866),
]


# arch, PE, join; parameters, trainable, of which position; GMACs.
OTHER_POSITIONS = [
    ("t2t_vit_7", "sin1d", "default", 4_310_222, 4_255_694, 50_432, 1.1565),
    ("t2t_vit_7", "sin1d", "lape", 4_313_806, 4_259_278, 54_016, 1.1565),
    ("swin_tiny", "rpe2d", "default", 28_288_354, 28_288_354, 23_322, 4.5092),
    ("swin_tiny", "learnable+rpe2d", "default", 28_589_410, 28_589_410, 324_378, 4.5092),
    ("swin_tiny", "learnable", "default", 28_566_088, 28_566_088, 301_056, 4.5092),
    ("swin_small", "rpe2d", "default", 49_606_258, 49_606_258, 47_658, 8.7685),
    ("swin_small", "learnable", "default", 49_859_656, 49_859_656, 301_056, 8.7685),
    ("ceit_tiny", "learnable", "default", 6_356_904, 6_356_904, 37_824, 1.4096),
    ("ceit_tiny", "learnable", "lape", 6_361_512, 6_361_512, 42_432, 1.4096),
    ("ceit_small", "learnable", "lape", 24_214_056, 24_214_056, 84_864, 4.7865),
    ("deit_tiny", "rpe2d", "default", 5_705_836, 5_705_836, 26_244, 1.2584),
    ("deit_tiny", "rope2d", "default", 5_679_592, 5_679_592, 0, 1.2584),
    ("deit_tiny", "rope_mixed", "default", 5_681_896, 5_681_896, 2_304, 1.2584),
    ("deit_tiny", "alibi2d", "default", 5_679_592, 5_679_592, 0, 1.2584),
    ("deit_tiny", "cpe", "default", 5_681_512, 5_681_512, 1_920, 1.2587),
    ("deit_tiny", "learnable+irpe_product", "lape", 5_760_424, 5_760_424, 80_832, 1.2834),
    ("deit_tiny", "learnable", "unshared", 6_133_480, 6_133_480, 453_888, 1.2584),
]


def with_macs(rows: Iterable[tuple[Any, ...]], *columns: int) -> list[Any]:
    """These columns of the rows. Larger models are slow: they have the operators of the smallest of their family."""
    larger = re.compile("_(small|base|base_distilled|small_distilled)$")
    return [
        pytest.param(*(row[one] for one in columns), marks=pytest.mark.slow if larger.search(row[0]) else ())
        for row in rows
    ]


def meta(arch: str, **settings: Any) -> nn.Module:
    with torch.device("meta"):
        return create_model(arch, **settings)


@pytest.mark.parametrize(("arch", "classes", "side", "total", "position", "added"), [row[:6] for row in PUBLISHED])
def test_parameters_of_published_models(
    arch: str, classes: int, side: int, total: int, position: int, added: int
) -> None:
    counted = count_parameters(meta(arch, num_classes=classes, image_size=side))
    assert (counted.total, counted.trainable, counted.position) == (total, total, position)
    counted = count_parameters(meta(arch, join="lape", num_classes=classes, image_size=side))
    assert (counted.total, counted.trainable, counted.position) == (total + added, total + added, position + added)


@pytest.mark.parametrize(("arch", "classes", "side", "giga"), with_macs(PUBLISHED, 0, 1, 2, 6))
def test_macs_of_published_models(arch: str, classes: int, side: int, giga: float) -> None:
    default, lape = (meta(arch, join=join, num_classes=classes, image_size=side) for join in ("default", "lape"))
    assert count_macs(default, side, 3) / 1e9 == pytest.approx(giga, abs=6e-5)
    assert count_macs(lape, side, 3) / 1e9 == pytest.approx(giga, rel=5e-3)


@pytest.mark.parametrize(("arch", "pe", "join", "total", "trainable", "position"), [row[:6] for row in OTHER_POSITIONS])
def test_parameters_of_published_models_with_other_positions(
    arch: str, pe: str, join: str, total: int, trainable: int, position: int
) -> None:
    counted = count_parameters(meta(arch, pe=pe, join=join, num_classes=1000, image_size=224))
    assert (counted.total, counted.trainable, counted.position) == (total, trainable, position)


@pytest.mark.parametrize(("arch", "pe", "join", "giga"), with_macs(OTHER_POSITIONS, 0, 1, 2, 6))
def test_macs_of_published_models_with_other_positions(arch: str, pe: str, join: str, giga: float) -> None:
    model = meta(arch, pe=pe, join=join, num_classes=1000, image_size=224)
    assert count_macs(model, 224, 3) / 1e9 == pytest.approx(giga, rel=5e-3)


@pytest.mark.parametrize(
    ("arch", "pe", "total"),
    [
        ("swin_tiny", "learnable", 28_574_920),
        ("swin_tiny", "learnable+rpe2d", 28_598_242),
        ("swin_small", "learnable", 49_877_704),
        ("swin_small", "learnable+rpe2d", 49_925_362),
    ],
)
def test_lape_adds_a_norm_per_block_to_swin(arch: str, pe: str, total: int) -> None:
    assert count_parameters(meta(arch, pe=pe, join="lape", num_classes=1000, image_size=224)).total == total


def test_lape_costs_a_norm_of_the_position_per_block() -> None:
    default, lape = (meta("deit_tiny", join=join, num_classes=1000, image_size=224) for join in ("default", "lape"))
    assert count_macs(lape, 224, 3) == pytest.approx(1.2607e9, abs=5e4)
    assert count_macs(lape, 224, 3) - count_macs(default, 224, 3) == 12 * 5 * 197 * 192


@pytest.mark.parametrize(
    ("pe", "join", "total", "trainable"),
    [
        ("sin1d", "default", 5_717_416, 5_679_592),
        ("sin2d", "lape", 5_722_024, 5_684_200),
        ("learnable", "unshared", 5_717_416 + 11 * 37_824, 5_717_416 + 11 * 37_824),
        ("none", "default", 5_679_592, 5_679_592),
    ],
)
def test_parameters_of_other_positions_of_deit_tiny(pe: str, join: str, total: int, trainable: int) -> None:
    counted = count_parameters(meta("deit_tiny", pe=pe, join=join, num_classes=1000, image_size=224))
    assert (counted.total, counted.trainable) == (total, trainable)


@pytest.mark.parametrize("join", ["default", "unshared", "lape"])
@pytest.mark.parametrize("arch", ["deit_tiny", "vit_lite_2_4", "cvt_2_4", "cct_2_3x2"])
def test_torchs_own_counter_agrees(arch: str, join: str) -> None:
    """torch counts two FLOPs per MAC, fused attention only where it isn't fused, and no LayerNorm."""
    model = create_model(arch, join=join, num_classes=7, image_size=32).eval()
    normalised = 0

    def measure(_: nn.Module, inputs: tuple[Tensor, ...], __: Tensor) -> None:
        nonlocal normalised
        normalised += inputs[0].numel()

    hooks = [m.register_forward_hook(measure) for m in model.modules() if isinstance(m, nn.LayerNorm)]
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.zeros(1, 3, 32, 32))
    for hook in hooks:
        hook.remove()
    assert normalised > 0
    assert 2 * (count_macs(model, 32, 3) - 5 * normalised) == counter.get_total_flops()


class Strange(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(7, 7)

    def forward(self, x: Tensor) -> Any:
        return torch.cumsum(self.linear(x).cosh().abs_().amax(dim=2), dim=1)


def test_an_operator_without_a_rule_is_an_error() -> None:
    with pytest.raises(UncountedOperatorError, match=r"(?s)without one: aten::cumsum\n.*FREE_OPERATORS") as caught:
        count_macs(Strange(), 7, 3)
    assert caught.value.operators == ("aten::cumsum",)  # elementwise operators and reductions are free


@pytest.mark.parametrize("training", [True, False])
def test_counting_is_quiet_and_leaves_the_model_as_it_was(
    training: bool, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    model = create_model("vit_lite_2_4", num_classes=7, image_size=8, in_chans=1).train(training)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    with caplog.at_level(logging.DEBUG), warnings.catch_warnings():
        warnings.simplefilter("error")
        assert count_macs(model, 8, 1) > 0
    assert model.training == training
    assert all(module.training == training for module in model.modules())
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert capfd.readouterr() == ("", "")
    assert not caplog.records


def test_activations_of_a_vit_by_hand() -> None:
    model = create_model(
        "deit", num_classes=7, image_size=8, patch_size=4, embed_dim=6, depth=2, num_heads=3, mlp_ratio=2.0
    )
    tokens, width, heads, hidden = 5, 6, 3, 12  # 2×2 patches and the class token
    patches = 4 * width
    attention = heads * tokens * tokens + tokens * width  # the weights, and their product with v
    block = tokens * 3 * width + attention + tokens * width + tokens * hidden + tokens * width
    assert count_forward(model, 8, 3).activations == patches + 2 * block + 7


@pytest.mark.parametrize("join", ["default", "lape"])
@pytest.mark.parametrize("arch", ["deit_tiny", "cvt_2_4", "cct_2_3x2"])
def test_fvcores_own_activation_count_agrees(arch: str, join: str) -> None:
    """It doesn't know fused attention, so that is added here: the weights, and what they make of v."""
    model = create_model(arch, join=join, num_classes=7, image_size=32).eval()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        from fvcore.nn import ActivationCountAnalysis

        analysis = ActivationCountAnalysis(model, torch.zeros(1, 3, 32, 32)).unsupported_ops_warnings(False)
        counted = analysis.uncalled_modules_warnings(False).total()
        fused = analysis.unsupported_ops()["aten::scaled_dot_product_attention"]
    size, tokens = model.architecture.size, model.position.tables[0].shape[1]
    assert fused == size.depth
    attention = size.num_heads * tokens * tokens + tokens * size.embed_dim
    assert count_forward(model, 32, 3).activations == counted + size.depth * attention
