"""The position correlation: its algebra, and what real models' attention sees when all but the position is silent."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from suite.errors import InputError
from suite.models import create_model
from suite.models.families.transformer import Transformer
from suite.models.inspection import Layer, all_pairs, difference, inspect, neighbours, token_map
from suite.models.joins import JOINS
from suite.models.positions import ATTENTION_LOGITS, POSITIONS, TOKENS

BODY: dict[str, Any] = {"embed_dim": 12, "depth": 3, "num_heads": 2, "mlp_ratio": 1.5}
SIZES: dict[str, dict[str, Any]] = {
    "deit": {**BODY, "patch_size": 5, "image_size": 20},
    "vit_lite": {**BODY, "patch_size": 5, "image_size": 20},
    "cct": {**BODY, "conv_kernel": 3, "conv_stride": 1, "conv_padding": 1, "conv_layers": 1, "image_size": 7},
    "ceit": {**BODY, "patch_size": 2, "image_size": 16},
    "t2t_vit": {**BODY, "token_dim": 4, "image_size": 48},
    "swin": {
        **{"embed_dim": 12, "depth": (2, 2), "num_heads": (2, 3), "mlp_ratio": 1.5},
        **{"patch_size": 2, "window_size": 2, "image_size": 16},
    },
}
EXACT = [join for join in JOINS if join not in ("shared", "unshared")]


LATE: dict[str, Any] = {
    "embed_dim": 16, "num_heads": 2, "depth": 2, "mlp_ratio": 1.5, "patch_size": 4, "image_size": 12, "num_classes": 3,
}  # fmt: skip


def make(arch: str, pe: str = "learnable", join: str = "default", **changes: Any) -> Transformer:
    """A small model whose every parameter is random: nothing stays at 0 or 1 that could hide an error."""
    model = create_model(arch, pe=pe, join=join, num_classes=3, in_chans=2, **{**SIZES[arch], **changes})
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.4)
    return model


@torch.no_grad()
def alone(model: Transformer) -> list[Tensor]:
    """What each block's attention sees, [patches, width], when tokens, branches and LayerNorms' β are zero."""
    for name, parameter in model.named_parameters():
        norm = name.rpartition(".")[0]
        shift = isinstance(model.get_submodule(norm), nn.LayerNorm) and name.endswith("bias")
        if name == "class_token" or (shift and not norm.startswith("position.")):
            parameter.zero_()
    model.double().eval()
    model.tokenizer.float()  # T2T-ViT's knows no other
    seen: list[Tensor] = []
    blocks = model.blocks if hasattr(model, "blocks") else [block for stage in model.stages for block in stage]
    for block in blocks:
        block.attention.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        for branch in (block.attention, block.mlp):
            branch.register_forward_hook(lambda _, inputs, output: torch.zeros_like(output))
    # The last thing before the position joins, in double.
    last = model.token_norm if hasattr(model, "token_norm") else model.tokenizer
    model.tokenizer.register_forward_hook(lambda _, inputs, output: output.double())
    last.register_forward_hook(lambda _, inputs, output: torch.zeros_like(output))
    model(torch.zeros(1, model.in_chans, model.image_size, model.image_size))
    return [tokens[0, model.architecture.family.prefix :] for tokens in seen]


def cosines(terms: Tensor) -> Any:
    return torch.nn.functional.cosine_similarity(terms[:, None], terms[None], dim=-1, eps=1e-300).numpy()


def check(model: Transformer) -> None:
    """`inspect` against the model itself, with nothing but a position in its stream."""
    found = inspect(model)
    assert not found.approximate
    expected = alone(model)
    assert len(found.correlations) == len(expected) > 0
    for layer, terms in zip(found.correlations, expected, strict=True):
        assert layer.matrix.shape == (len(terms),) * 2 == (layer.grid[0] * layer.grid[1],) * 2
        np.testing.assert_allclose(layer.matrix, cosines(terms), atol=1e-5)  # the models' eps isn't 0


@pytest.mark.parametrize("arch", [arch for arch in SIZES if arch != "swin"])
@pytest.mark.parametrize("join", EXACT)
def test_the_term_is_what_attention_sees_of_a_position_alone(arch: str, join: str) -> None:
    check(make(arch, join=join))


@pytest.mark.parametrize("join", ["shared", "unshared"])
def test_positions_that_stay_in_the_stream_add_up(join: str) -> None:
    check(make("deit", join=join))


@pytest.mark.parametrize(("join", "stage_position"), [
    ("default", "merge"), ("default", "first"), ("lape", "merge"), ("lape", "own"), ("lape_shared", "merge"),
    ("unshared", "first"), ("shared_paper", "own"),
])  # fmt: skip
def test_swin_follows_the_position_through_its_mergings(join: str, stage_position: str) -> None:
    model = make("swin", join=join, stage_position=stage_position)
    found = inspect(model)
    assert [layer.name for layer in found.correlations] == [f"stage {s}, layer {b}" for s in (1, 2) for b in (1, 2)]
    assert [layer.grid for layer in found.correlations] == [(8, 8), (8, 8), (4, 4), (4, 4)]
    if join.startswith("lape"):  # its ω is merged alone, β and all, and not with the tokens as in `alone`
        torch.nn.init.zeros_(model.merges[1].norm.bias)
    check(model)


def test_a_stage_without_a_position_is_left_out() -> None:
    found = inspect(make("swin", join="unshared_paper", stage_position="first"))
    assert [layer.grid for layer in found.correlations] == [(8, 8), (8, 8)]


@pytest.mark.parametrize(
    ("arch", "settings", "rescaled", "approximate"),
    [
        ("deit", {"join": "unshared"}, False, False),
        ("vit_lite", {"join": "default"}, True, False),
        ("vit_lite", {"join": "shared"}, True, True),
        ("vit_lite", {"join": "unshared"}, True, True),
        ("vit_lite", {"join": "lape"}, False, False),
        ("swin", {"join": "default"}, True, False),
        ("swin", {"join": "default", "stage_position": "own"}, True, True),
        ("swin", {"join": "shared"}, True, True),
    ],
)
def test_it_is_said_where_the_stream_is_rescaled_and_where_the_result_is_approximate(
    arch: str, settings: dict[str, Any], rescaled: bool, approximate: bool
) -> None:
    found = inspect(make(arch, **settings))
    assert (found.rescaled, found.approximate) == (rescaled, approximate)


def test_the_model_is_left_as_it_was() -> None:
    model = make("swin").train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    inspect(model)
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@given(
    pe=st.sampled_from(
        [name for name, position in POSITIONS.items() if {TOKENS} <= {*position.sites} <= {TOKENS, ATTENTION_LOGITS}]
    ),
    join=st.sampled_from(list(JOINS)),
    arch=st.sampled_from(["deit", "vit_lite", "cct", "swin"]),
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.differing_executors])
def test_every_correlation_is_a_matrix_of_cosines(pe: str, join: str, arch: str) -> None:
    if JOINS[join].refuses_position(pe) is not None:
        return
    for layer in inspect(make(arch, pe, join)).correlations:
        np.testing.assert_allclose(layer.matrix, layer.matrix.T, atol=1e-12)
        np.testing.assert_allclose(np.diag(layer.matrix), 1)
        assert np.abs(layer.matrix).max() <= 1 + 1e-12
        assert np.linalg.eigvalsh(layer.matrix).min() > -1e-9


def test_a_sinusoid_depends_on_the_distance_alone() -> None:
    """Neighbouring channels are the sine and cosine of one angle: the cosine of two tokens is the mean of cos(w d)."""
    frequency = 10000.0 ** (-np.arange(0, 128, 2) / 128)
    at_distance = [np.cos(frequency * distance).mean() for distance in range(16)]
    for layer in inspect(make("cct", "sin1d", "pe_identity", embed_dim=128)).correlations:
        for distance, expected in enumerate(at_distance):
            np.testing.assert_allclose(np.diag(layer.matrix, distance), expected, atol=1e-6)


def test_the_defaults_sinusoid_is_nearly_so_and_the_same_in_all_layers() -> None:
    """LayerNorm takes the mean of each token's channels away, which differs a little from token to token."""
    sizes = {**SIZES["vit_lite"], "embed_dim": 128}
    first, *others = inspect(create_model("cvt", pe="sin1d", num_classes=3, in_chans=1, **sizes)).correlations
    for distance in range(1, 16):
        assert np.ptp(np.diag(first.matrix, distance)) < 0.1
    assert first.matrix[0, 1] > first.matrix[0, 2] > first.matrix[0, 3] > first.matrix[0, 4]
    for other in others:
        np.testing.assert_allclose(other.matrix, first.matrix, atol=1e-12)
        assert difference(other, first) < 1e-12


def test_lape_with_known_maps_is_its_chain() -> None:
    """Eq. 11 with numpy: each map normalises what the one before it made."""
    model = make("cct", join="lape")
    state = {name: value.double().numpy() for name, value in model.state_dict().items()}
    omega, eps = state["position.tables.0"][0], model.architecture.size.norm_eps
    for number, layer in enumerate(inspect(model).correlations):
        omega = (omega - omega.mean(1, keepdims=True)) / np.sqrt(omega.var(1, keepdims=True) + eps)
        omega = state[f"position.maps.{number}.weight"] * omega + state[f"position.maps.{number}.bias"]
        unit = omega / np.linalg.norm(omega, axis=1, keepdims=True)
        np.testing.assert_allclose(layer.matrix, unit @ unit.T, atol=1e-12)


def test_a_shift_of_lapes_map_that_drowns_the_position_makes_it_global() -> None:
    """What all tokens share is no position: the mean over pairs tells."""
    model = make("cct", join="lape_shared")
    with torch.no_grad():
        model.position.maps[1].bias.fill_(1e4)
    one, two, three = inspect(model).correlations
    assert all_pairs(two) > 0.999
    assert max(all_pairs(one), all_pairs(three)) < 0.9


class TestBias:
    def test_a_relative_position_has_a_bias_per_layer_and_no_correlation(self) -> None:
        model = make("deit", "rpe2d")
        found = inspect(model)
        assert found.correlations == ()
        assert [layer.name for layer in found.biases] == ["layer 1", "layer 2", "layer 3"]
        table = model.position.biases[2].table.detach().double().mean(1).numpy().reshape(7, 7)
        for row, column in ((0, 0), (2, 1)):
            seen = token_map(found.biases[2], (row, column))
            expected = [[table[row - y + 3, column - x + 3] for x in range(4)] for y in range(4)]
            np.testing.assert_allclose(seen, expected)

    def test_both(self) -> None:
        found = inspect(make("vit_lite", "learnable+rpe2d", "lape"))
        assert len(found.correlations) == len(found.biases) == 3

    def test_windows_have_a_grid_of_their_own(self) -> None:
        found = inspect(make("swin", "rpe2d"))
        assert [layer.grid for layer in found.biases] == [(2, 2)] * 4
        assert {layer.matrix.shape for layer in found.biases} == {(4, 4)}


class TestNumbers:
    layer = Layer("layer 1", (2, 3), np.arange(36.0).reshape(6, 6))

    def test_neighbours(self) -> None:
        pairs = [(1, 0), (2, 1), (4, 3), (5, 4), (3, 0), (4, 1), (5, 2)]
        assert neighbours(self.layer) == np.mean([self.layer.matrix[pair] for pair in pairs])

    def test_all_pairs(self) -> None:
        assert all_pairs(self.layer) == np.mean([6 * a + b for a in range(6) for b in range(6) if a != b])

    def test_difference(self) -> None:
        other = Layer("layer 2", (2, 3), self.layer.matrix + np.diag([9.0] * 6) - 2)
        assert difference(other, self.layer) == 2

    def test_a_map_is_a_row(self) -> None:
        assert token_map(self.layer, (1, 1)).tolist() == [[24, 25, 26], [27, 28, 29]]
        assert token_map(self.layer, (0, 2)).tolist() == [[12, 13, 14], [15, 16, 17]]

    def test_one_token_has_no_pairs(self) -> None:
        single = Layer("layer 1", (1, 1), np.ones((1, 1)))
        assert np.isnan([neighbours(single), all_pairs(single), difference(single, single)]).all()


def test_biases_of_blocks_before_a_late_class_token() -> None:
    """There the bias has no rows of a class token; the layers at the same offset are alike."""
    found = inspect(create_model("vit_late", pe="learnable+alibi2d", join="lape", **{**LATE, "depth": 4})).biases
    assert [layer.grid for layer in found] == [(3, 3)] * 4
    for layer in found:
        assert layer.matrix.shape == (9, 9)
        np.testing.assert_allclose(layer.matrix, found[0].matrix)
        np.testing.assert_allclose(np.diag(layer.matrix), 0)


class TestRefused:
    @pytest.mark.parametrize(
        ("pe", "message"),
        [
            ("rope2d", "no position embedding"),
            ("irpe_product", "no position embedding"),
            ("learnable+cpe", "acts on it after"),
        ],
    )
    def test_a_position_that_acts_elsewhere(self, pe: str, message: str) -> None:
        with pytest.raises(InputError, match=message):
            inspect(create_model("deit", pe=pe, **LATE))

    def test_no_position(self) -> None:
        with pytest.raises(InputError, match="no position embedding"):
            inspect(make("deit", "none"))

    def test_a_norm_of_another_kind(self) -> None:
        model = make("vit_lite")
        model.blocks[1].norm1 = nn.Identity()
        with pytest.raises(InputError, match="goes through a Identity"):
            inspect(model)

    def test_dtn_under_a_position_in_the_stream_but_not_beside_one_after_it(self) -> None:
        with pytest.raises(InputError, match="goes through a DynamicTokenNorm"):
            inspect(make("deit", norm="dtn", depth=3))
        assert len(inspect(make("deit", join="lape", norm="dtn", depth=3)).correlations) == 3

    def test_a_network_without_tokens(self) -> None:
        with pytest.raises(InputError, match="no tokens, and so no position"):
            inspect(create_model("resnet20", pe="none", num_classes=3, image_size=16))

    def test_numbers_that_are_not_finite(self) -> None:
        model = make("deit")
        with torch.no_grad():
            model.position.tables[0][0, 3, 2] = torch.nan
        with pytest.raises(InputError, match="not finite"):
            inspect(model)

    def test_a_method_whose_term_depends_on_the_image(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from suite.models.joins import Join, Terms

        both = Join("both", "", "", lambda tables, maps: Terms(stem=tables[0], branch=[tables[0]] * len(maps)))
        model = make("deit")
        monkeypatch.setattr(model.position, "join", both)
        with pytest.raises(InputError, match="depends on the image"):
            inspect(model)
