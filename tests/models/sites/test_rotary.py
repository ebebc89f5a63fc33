"""Rotary position embeddings: what they start from, what depends on offsets alone, and their gradients."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from suite.models import create_model
from suite.models.embedding import _turns
from suite.models.layers.attention import PackedAttention
from suite.models.layers.blocks import NOWHERE, Attention
from suite.models.layers.dropout import attention
from suite.models.layers.rotation import TurnedProjection, turned
from suite.models.sites.rotary import AxialRotation, MixedRotation
from suite.models.sites.site import Place

GRID, HEADS, WIDTH = (3, 5), 2, 16
PLACE = Place(GRID, 1, WIDTH, HEADS)
Made = type[AxialRotation] | type[MixedRotation]


def random(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.double)


def angles(made: Made) -> Tensor:
    """[heads, patches, pairs]."""
    module = made(PLACE)
    for name, parameter in module.named_parameters():
        with torch.no_grad():
            module.start(name, parameter, torch.Generator().manual_seed(1))
    found: Tensor = module.double()()
    return found.detach().expand(HEADS, -1, -1)


def test_axial_frequencies_at_the_size_of_deit() -> None:
    """100^(-t/16), t = 0 … 15, of heads of 64 channels: columns first, then rows."""
    found = AxialRotation(Place((14, 14), 1, 192, 3))()
    assert found.shape == (196, 32)
    patch = found[14 * 3 + 2]  # row 3, column 2
    torch.testing.assert_close(patch[:3], torch.tensor([2.0, 1.4997884, 1.1246827]))
    torch.testing.assert_close(patch[16:19], torch.tensor([3.0, 2.2496826, 1.6870240]))
    assert patch[15] == pytest.approx(2 * 100 ** (-15 / 16))
    assert not found[0].any()


def test_mixed_starts_with_orthogonal_directions_of_each_head() -> None:
    drawn = torch.empty(2, 64, 32)
    MixedRotation(Place((14, 14), 1, 64 * 64, 64)).start("frequencies", drawn, torch.Generator().manual_seed(0))
    first, second = drawn[:, :, :16], drawn[:, :, 16:]
    length = 10 ** (-torch.arange(16) / 16)
    for half in (first, second):
        torch.testing.assert_close(half.norm(dim=0), length.expand(64, 16))
    torch.testing.assert_close((first * second).sum(0), torch.zeros(64, 16), atol=1e-6, rtol=0)
    direction = torch.atan2(first[1], first[0])
    torch.testing.assert_close(direction, direction[:, :1].expand(-1, 16), atol=1e-5, rtol=0)
    spread = direction[:, 0].sort().values.diff()
    assert spread.max() < math.pi / 4  # 64 directions all around
    assert spread.min() > 0


@pytest.mark.parametrize("made", [AxialRotation, MixedRotation])
def test_logits_depend_on_offsets_alone(made: Made) -> None:
    """The same q and k at every patch: the product is the same for pairs at the same offset, and no others' mean."""
    turn = _turns(angles(made), 0, HEADS)
    q, k = (turned(random(seed, HEADS, 1, WIDTH // HEADS).expand(-1, 15, -1), turn) for seed in (1, 2))
    logits = (q @ k.transpose(1, 2)).unflatten(1, GRID).unflatten(3, GRID)  # [heads, y, x, y, x]
    for dy, dx in ((0, 0), (1, 0), (0, 2), (1, -2), (-2, 3)):
        seen = torch.stack(
            [logits[:, y, x, y + dy, x + dx] for y in range(3) for x in range(5) if 0 <= y + dy < 3 and 0 <= x + dx < 5]
        )
        torch.testing.assert_close(seen, seen[:1].expand_as(seen), rtol=1e-6, atol=1e-6)
        if (dy, dx) != (0, 0):
            assert (seen[0] - logits[:, 0, 0, 0, 0]).abs().min() > 1e-3


@pytest.mark.parametrize("made", [AxialRotation, MixedRotation])
def test_prefix_tokens_are_not_turned_and_lengths_stay(made: Made) -> None:
    x = random(3, 2, HEADS, 2 + 15, WIDTH // HEADS)
    found = turned(x, _turns(angles(made), 2, HEADS))
    assert torch.equal(found[:, :, :2], x[:, :, :2])
    assert not torch.equal(found[:, :, 3:], x[:, :, 3:])
    torch.testing.assert_close(found.norm(dim=-1), x.norm(dim=-1))


def test_half_precision_is_turned_in_single_precision() -> None:
    x, turn = random(4, 1, HEADS, 15, 8), _turns(angles(AxialRotation), 0, HEADS).float()
    exact, half = turned(x.bfloat16().float(), turn), turned(x.bfloat16(), turn)
    assert half.dtype == torch.bfloat16
    assert torch.equal(half, exact.bfloat16())


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_the_fast_ways_are_turned_attention(dtype: torch.dtype) -> None:
    """Packed attention and the projection that turns, against `turned`, with the gradients of all inputs."""
    packed, weights = random(5, 3, 16, 3 * WIDTH), random(6, 3, 16, WIDTH).to(dtype)
    turn = _turns(angles(MixedRotation), 1, HEADS)
    turn = turn if dtype == torch.float64 else turn.float()

    def plain(packed: Tensor, turn: Tensor) -> Tensor:
        q, k, v = packed.unflatten(2, (3, HEADS, -1)).permute(2, 0, 3, 1, 4).unbind()
        return attention(turned(q, turn), turned(k, turn), v, None, 0.0).transpose(1, 2).flatten(2)

    def projected(packed: Tensor, turn: Tensor) -> Tensor:
        return attention(*TurnedProjection.apply(packed, turn), None, 0.0).transpose(1, 2).flatten(2)

    def whole(packed: Tensor, turn: Tensor) -> Tensor:
        out: Tensor = PackedAttention.apply(packed.clone(), HEADS, None, None, turn)[0]  # it writes into its input
        return out

    found = []
    for way in (plain, projected, whole):
        inputs = packed.detach().to(dtype).requires_grad_(), turn.detach().clone().requires_grad_()
        out = way(*inputs)
        found.append([out.detach(), *torch.autograd.grad((out * weights).sum(), inputs)])
    tolerance = {"rtol": 1e-9, "atol": 1e-10} if dtype == torch.float64 else {"rtol": 0.05, "atol": 0.1}
    for other in found[1:]:
        for ours, theirs in zip(found[0], other, strict=True):
            torch.testing.assert_close(ours, theirs, **tolerance)


@pytest.mark.parametrize(("drop", "talking"), [(0.1, False), (0.0, True), (0.1, True)])
def test_dropout_and_talking_heads_train_with_turned_queries_and_keys(drop: float, talking: bool) -> None:
    """Attention then returns the keys' gradients transposed. Against queries and keys turned one by one."""
    layer = Attention(WIDTH, HEADS, qkv_bias=True, drop=drop, talking=talking).double().train()
    for number, parameter in enumerate(layer.parameters()):
        parameter.data = random(number, *parameter.shape)
    x, weights = random(9, 3, 16, WIDTH).requires_grad_(), random(10, 3, 16, WIDTH)
    turn = _turns(angles(MixedRotation), 1, HEADS).clone().requires_grad_()
    inputs = [x, turn, *layer.parameters()]

    def found(*parts: Tensor) -> tuple[Tensor, ...]:
        torch.manual_seed(0)  # of the dropout mask
        return torch.autograd.grad((layer.attend(*parts, NOWHERE) * weights).sum(), inputs)

    q, k, v = layer.project(x)
    expected = found(turned(q, turn), turned(k, turn), v)
    for ours, theirs in zip(found(*layer.turn(x, turn)), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-10)


def test_gradients_numerically() -> None:
    packed = random(7, 2, 3, 3 * 8).requires_grad_()
    turn = nn.functional.normalize(random(8, 2, 3, 2, 2), dim=-1).requires_grad_()
    assert torch.autograd.gradcheck(TurnedProjection.apply, (packed, turn))
    assert torch.autograd.gradcheck(
        lambda *inputs: PackedAttention.apply(inputs[0].clone(), 2, None, None, inputs[1])[0],
        (packed, turn),
        check_undefined_grad=False,
    )


def test_each_layer_learns_its_own_frequencies() -> None:
    with torch.device("meta"):
        model = create_model("deit_tiny", pe="rope_mixed", num_classes=1000, image_size=224)
    own = {name: tuple(value.shape) for name, value in model.named_parameters() if name.startswith("position.")}
    assert own == {f"position.rotations.{block}.frequencies": (2, 3, 32) for block in range(12)}
