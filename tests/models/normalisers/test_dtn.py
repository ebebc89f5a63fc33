"""DTN: the released code's recorded outputs and gradients, the paper's equations written out, and its limits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch import Tensor
from torch.nn.functional import instance_norm, layer_norm
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from suite.models import create_model
from suite.models.normalisers.dtn import DynamicTokenNorm, DynamicVarianceNorm, ReleasedDynamicTokenNorm
from suite.models.normalisers.plain import EPS
from tests.conftest import REPOSITORY

HERE = REPOSITORY / "tests" / "golden"
NAMES = {
    "mean_norm_weight": "mean_gate",
    "var_norm_weight": "gate",
    "pos_proj.weight": "position",
    "pos_proj.bias": "position_bias",
}
FORMS = [DynamicTokenNorm, ReleasedDynamicTokenNorm, DynamicVarianceNorm]


def random(kind: type[DynamicTokenNorm], heads: int = 3, grid: tuple[int, int] = (4, 5)) -> DynamicTokenNorm:
    """A norm of 6 channels per head, in float64, with parameters that do something."""
    norm = kind(6 * heads, heads=heads, grid=grid).double()
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for name, parameter in norm.named_parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * (0.3 if "position" in name else 1))
    return norm


def tokens(norm: DynamicTokenNorm, batch: int = 2) -> Tensor:
    count = norm.grid[0] * norm.grid[1]
    generator = torch.Generator().manual_seed(5)
    return torch.randn(batch, count, len(norm.weight), generator=generator, dtype=torch.float64) * 2 + 1


def check(path: Path) -> None:
    with safe_open(path, "pt") as file:
        about = file.metadata()
        recorded = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    rows, columns = map(int, about["grid"].split("x"))
    assert float(about["eps"]) == EPS
    norm = ReleasedDynamicTokenNorm(int(about["channels"]), heads=int(about["heads"]), grid=(rows, columns))
    parts = {part: {name.removeprefix(part): t for name, t in recorded.items() if name.startswith(part)}
             for part in ("state.", "grad.")}  # fmt: skip
    norm.load_state_dict({NAMES.get(name, name): value for name, value in parts["state."].items()})
    x = recorded["input"].requires_grad_()
    output = norm(x)
    (output * recorded["probe"]).sum().backward()  # type: ignore[no-untyped-call]
    assert (output - recorded["output"]).abs().max() <= 1e-5
    expected = {NAMES.get(name, name): grad for name, grad in parts["grad."].items()} | {"x": recorded["grad_input"]}
    found = {name: parameter.grad for name, parameter in norm.named_parameters()} | {"x": x.grad}
    assert found.keys() == expected.keys()
    for name, grad in found.items():
        assert grad is not None
        if name == "position_bias":  # a softmax doesn't see it: zero but for rounding, there and here
            assert max(grad.abs().max(), expected[name].abs().max()) < 1e-4
        else:
            assert (grad - expected[name]).abs().max() <= 1e-4 * expected[name].abs().max(), name


def test_outputs_and_gradients_are_the_releases() -> None:
    check(HERE / "dtn-h4-grid4.safetensors")


def test_outputs_and_gradients_are_the_releases_where_the_grid_is_pooled(shared: Path) -> None:
    check(shared / "golden" / "dtn-h4-grid28.safetensors")


def test_the_papers_equations_token_by_token() -> None:
    norm = random(DynamicTokenNorm)
    x = tokens(norm, batch=1)
    rows, columns = norm.grid
    expected = torch.empty_like(x[0])
    for head in range(norm.heads):
        of_head = slice(6 * head, 6 * head + 6)
        share = torch.sigmoid(norm.gate[head])
        for target in range(rows * columns):
            logits = []
            for source in range(rows * columns):
                dx, dy = target % columns - source % columns, target // columns - source // columns
                logits.append((norm.position[head] * torch.tensor([dx, dy, dx * dx + dy * dy])).sum())
            p = torch.stack(logits).softmax(0)
            near = sum(p[s] * x[0, s, of_head] for s in range(20))
            square = sum(p[s] * x[0, s, of_head] ** 2 for s in range(20))
            mean = share * x[0, target].mean() + (1 - share) * near
            variance = share * x[0, target].var(correction=0) + (1 - share) * (square - near**2)
            expected[target, of_head] = (x[0, target, of_head] - mean) / (variance + 1e-5).sqrt()
    torch.testing.assert_close(norm(x)[0], norm.weight * expected + norm.bias)


def limit(norm: DynamicTokenNorm, gate: float) -> Any:
    with torch.no_grad():
        norm.gate.fill_(gate)
        norm.weight.fill_(1)
        norm.bias.zero_()
    return norm


@pytest.mark.parametrize("grid", [(4, 5), (28, 28)])
def test_with_the_gate_open_it_is_layer_norm(grid: tuple[int, int]) -> None:
    norm = limit(random(DynamicTokenNorm, grid=grid), gate=1000.0)
    x = tokens(norm)
    torch.testing.assert_close(norm(x), layer_norm(x, (18,), eps=EPS))


@pytest.mark.parametrize("grid", [(4, 5), (28, 28)])
def test_with_the_gate_closed_and_a_uniform_p_it_is_instance_norm(grid: tuple[int, int]) -> None:
    norm = limit(random(DynamicTokenNorm, grid=grid), gate=-1000.0)
    with torch.no_grad():
        norm.position.zero_()
    x = tokens(norm)
    torch.testing.assert_close(norm(x), instance_norm(x.transpose(1, 2), eps=EPS).transpose(1, 2))


@pytest.mark.parametrize("kind", FORMS)
def test_rows_of_p_sum_to_one_and_p_is_of_targets_by_sources(kind: type[DynamicTokenNorm]) -> None:
    norm = random(kind)
    with torch.no_grad():
        norm.position[0] = torch.tensor([2.0, 0, -1])  # the head's peak: the source one column to the left
    shares = norm.shares()
    assert shares.shape == (3, 20, 20)
    torch.testing.assert_close(shares.sum(2), torch.ones(3, 20, dtype=torch.float64))
    assert shares[0, 7].argmax() == 6
    pooled = random(kind, grid=(28, 28)).shares()
    assert pooled.shape == (3, 196, 196)


@pytest.mark.parametrize("kind", FORMS)
def test_permuted_with_their_coordinates_tokens_give_the_same(kind: type[DynamicTokenNorm]) -> None:
    norm = random(kind)
    x = tokens(norm)
    order = torch.randperm(20, generator=torch.Generator().manual_seed(1))
    before = norm(x)[:, order]
    assert not torch.allclose(norm(x[:, order]), before)
    norm.offsets = norm.offsets[order][:, order]
    torch.testing.assert_close(norm(x[:, order]), before)


def test_no_share_is_so_small_that_products_are_slow() -> None:
    """Numbers below 10⁻³⁸ aren't normal: a CPU takes many times as long for each. Of 14×14 tokens some would be."""
    norm = DynamicTokenNorm(16, heads=4, grid=(14, 14))
    norm.start("position", norm.position.data, torch.Generator().manual_seed(0))
    shares = norm.shares()
    assert ((shares == 0) | (shares > 1e-30)).all()
    assert (shares == 0).any()
    torch.testing.assert_close(shares.sum(dim=2), torch.ones(4, 196))


def test_each_head_starts_at_a_neighbour_of_its_own() -> None:
    norm = create_model("deit", pe="none", norm="dtn", patch_size=4, embed_dim=20, depth=3, num_heads=5, mlp_ratio=1,
                        num_classes=2, image_size=20).blocks[0].norm1  # fmt: skip
    assert (norm.position[:4, 2] == -1).all()
    assert norm.position[:4, :2].tolist() == [[-1, -1], [-1, 1], [1, -1], [1, 1]]
    assert 0 < norm.position[4].abs().max() < 0.1  # beyond ⌊√5⌋² = 4: at random
    assert not norm.gate.any()


def test_nine_heads_look_to_the_nine_nearest() -> None:
    norm = DynamicTokenNorm(18, heads=9, grid=(5, 5))
    norm.start("position", norm.position.data, torch.Generator())
    peaks = {divmod(int(norm.shares()[head, 12].argmax()), 5) for head in range(9)}
    assert peaks == {(row, column) for row in (1, 2, 3) for column in (1, 2, 3)}


def test_a_large_common_part_of_all_tokens_costs_no_precision() -> None:
    exact = random(DynamicTokenNorm)
    x = tokens(exact) + 1000 * torch.rand(18, dtype=torch.float64)
    rough = random(DynamicTokenNorm).float()
    limit(exact, -1000.0)
    limit(rough, -1000.0)
    torch.testing.assert_close(rough(x.float()).double(), exact(x), atol=2e-3, rtol=1e-3)


@pytest.mark.parametrize("kind", FORMS)
def test_p_is_not_copied_for_each_image(kind: type[DynamicTokenNorm]) -> None:
    """64 tokens of 4 channels: P for each image and head would be by far the largest tensor."""
    largest = 0

    class Sizes(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            nonlocal largest
            result = func(*args, **(kwargs or {}))
            largest = max([largest, *(leaf.numel() for leaf in tree_leaves(result) if isinstance(leaf, Tensor))])
            return result

    norm = kind(4, heads=2, grid=(8, 8))
    x = torch.randn(16, 64, 4, requires_grad=True)
    with Sizes():
        norm(x).sum().backward()
    assert largest < 16 * 2 * 64 * 64 / 4


def test_parameters_beyond_layer_norms() -> None:
    """Per head: 3 of a^h and a gate; as released a bias and a second gate too (6 H)."""
    counts = [sum(p.numel() for p in kind(48, heads=4, grid=(2, 2)).parameters()) - 2 * 48 for kind in FORMS]
    assert counts == [4 * 4, 6 * 4, 5 * 4]
