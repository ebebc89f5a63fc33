"""The transformer of sequences: padding has no effect, positions have one dimension, and it trains as others do."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.func import functional_call, stack_module_state

from suite.errors import InputError
from suite.models import create_model
from suite.models.architectures import FAMILIES, resolve_architecture
from suite.models.build import build_model
from suite.models.costs.macs import count_forward, count_parameters
from suite.models.inspection import inspect
from suite.models.joins import JOINS
from suite.models.layers.dropout import masks_from
from suite.models.layers.sparing import sparing, sparing_tokens
from suite.models.levels import Cell, refusal
from suite.models.model import Model
from suite.models.model_cell import ModelCell, Shape
from suite.models.norms import NORMS
from suite.models.positions import POSITIONS
from suite.models.sequence_size import SequenceSize
from suite.models.weights.checkpoint import read_checkpoint, write_checkpoint

LENGTH, CLASSES = 17, 5
SIZES: dict[str, Any] = {
    "embed_dim": 20, "depth": 3, "num_heads": 2, "mlp_ratio": 1.5, "drop": 0.1, "attn_drop": 0.1, "head_dim": 7,
}  # fmt: skip
PE = ("none", "learnable", "sin1d")
NORM = ("ln", "dtn", "scalenorm", "rmsnorm", "dyt")
LEVELS = [
    *(("sequence", "learnable", join, "ln") for join in JOINS),
    *(("sequence", pe, "default", "ln") for pe in ("none", "sin1d")),
    *(("sequence", "learnable", "lape", norm) for norm in NORM[1:]),
    ("sequence_late", "learnable", "lape", "ln"),
    ("sequence_late", "sin1d", "default", "dtn"),
]


def build(family: str = "sequence", pe: str = "sin1d", join: str = "default", norm: str = "ln", **sizes: Any) -> Model:
    torch.manual_seed(3)
    return create_model(
        family, pe=pe, join=join, norm=norm, num_classes=CLASSES, image_size=LENGTH, in_chans=1, **{**SIZES, **sizes}
    )


def disturbed(model: Model) -> Model:
    """With random numbers in all parameters, some of which start alike or at zero."""
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.2)
    return model


@pytest.fixture(scope="module")
def sequences() -> Tensor:
    """Three sequences of 17, 9 and 2 symbols, [3, 1, 1, 17]."""
    made = torch.randint(1, 16, (3, 1, 1, LENGTH), generator=torch.Generator().manual_seed(1)).float()
    made[1, ..., 9:] = 0
    made[2, ..., 2:] = 0
    return made


@pytest.fixture(autouse=True, scope="module")
def forget_compiled_models() -> Iterator[None]:
    yield
    torch.compiler.reset()


@pytest.mark.parametrize("levels", LEVELS, ids="-".join)
def test_a_training_step(levels: tuple[str, ...], sequences: Tensor) -> None:
    model = build(*levels)
    model(sequences).square().mean().backward()
    for name, parameter in model.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, name
        assert parameter.grad is None or torch.isfinite(parameter.grad).all(), name
    model.eval()
    with torch.no_grad():
        exact = model(sequences)
        assert exact.shape == (3, CLASSES)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rough = model(sequences).float()
    # bfloat16 has 8 bits, and three blocks and a hidden layer lie one after another.
    assert (rough - exact).abs().max() <= 0.05 * exact.abs().max()


@pytest.mark.parametrize("levels", LEVELS, ids="-".join)
def test_padding_changes_nothing(levels: tuple[str, ...], sequences: Tensor) -> None:
    """Neither what its vector is, nor how long it is."""
    model = disturbed(build(*levels)).double().eval()
    with torch.no_grad():
        whole = model(sequences)
        for row, count in ((1, 9), (2, 2)):
            alone = disturbed_like(model, levels, count)(sequences[row : row + 1, ..., :count])
            torch.testing.assert_close(whole[row : row + 1], alone, atol=1e-12, rtol=1e-10)
        model.tokenizer.weight[0] = 1e3
        torch.testing.assert_close(model(sequences), whole, atol=1e-12, rtol=1e-10)
        changed = sequences.clone()
        changed[:, ..., 1] = changed[:, ..., 1] % 15 + 1
        assert ((model(changed) - whole).abs().amax(dim=1) > 1e-6).all()  # the second symbol is in all three


def disturbed_like(model: Model, levels: tuple[str, ...], length: int) -> Model:
    """The same model for shorter sequences: with the first rows of its position embedding."""
    family, pe, join, norm = levels
    shorter = create_model(
        family, pe=pe, join=join, norm=norm, num_classes=CLASSES, image_size=length, in_chans=1, **SIZES
    )
    state = {name: t[:, : length + 1] if ".tables." in name else t for name, t in model.state_dict().items()}
    shorter.double().eval().load_state_dict(state)
    return shorter


def test_sequences_of_padding_alone_give_finite_numbers() -> None:
    for norm in ("ln", "dtn"):
        assert build(norm=norm).eval()(torch.zeros(2, 1, 1, LENGTH)).isfinite().all()


@pytest.mark.parametrize("levels", LEVELS, ids="-".join)
def test_shared_weights_start_alike(levels: tuple[str, ...]) -> None:
    ours, plain = build(*levels).state_dict(), build(levels[0], "none").state_dict()
    different = {name for name in ours.keys() ^ plain.keys() if not name.startswith("position.")}
    assert all(levels[3] != "ln" and "norm" in name for name in different), different
    assert all(torch.equal(ours[name], value) for name, value in plain.items() if name in ours)


@pytest.mark.parametrize("levels", [LEVELS[0], LEVELS[-1]], ids="-".join)
def test_the_last_block_may_spare_tokens(levels: tuple[str, ...], sequences: Tensor) -> None:
    model = build(*levels).eval()
    with sparing_tokens():
        spared = model(sequences)
    torch.testing.assert_close(spared, model(sequences), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("norm", ["ln", "dtn"])
def test_dropout_is_of_the_callers_generator_and_models_stack(norm: str, sequences: Tensor) -> None:
    models = [build(norm=norm), build(norm=norm)]
    masks = [torch.Generator().manual_seed(seed) for seed in (1, 2)]
    alone = []
    for model, generator in zip(models, masks, strict=True):
        with masks_from([generator]), sparing():
            alone.append(model(sequences))
    assert not torch.equal(*alone)
    states = stack_module_state(models)

    def run(*state: Any) -> Tensor:
        return functional_call(models[0], state, (sequences,))

    with masks_from([torch.Generator().manual_seed(1) for _ in models]):
        both = torch.vmap(run, randomness="different")(*states)
    with masks_from([torch.Generator().manual_seed(1)]):
        expected = models[0](sequences)
    for found in both:
        torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize(
    "levels", [pytest.param(("sequence", "learnable", "lape", "ln"), marks=pytest.mark.slow), LEVELS[-1]], ids="-".join
)
def test_compiles_without_a_graph_break_and_exports(levels: tuple[str, ...], sequences: Tensor) -> None:
    model = build(*levels)
    torch.compiler.reset()
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    compiled(sequences).square().mean().backward()
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)
    model.eval()
    with torch.no_grad():
        exported = torch.export.export(model, (sequences,)).module()
        torch.testing.assert_close(exported(sequences), model(sequences), atol=1e-5, rtol=1e-5)


def test_costs_are_those_written_out_here() -> None:
    """With L tokens and a class token, C channels, M hidden ones; LayerNorm's 5 per element are counted, too."""
    length, width, hidden, head = 40, 64, 128, 10
    model = create_model("lra_small", pe="learnable", num_classes=head, image_size=length, in_chans=1)
    tokens = length + 1
    block = tokens * (3 * width**2 + width**2 + 2 * width * hidden) + 2 * tokens**2 * width + 2 * 5 * tokens * width
    assert count_forward(model, length, 1).macs == 4 * block + 5 * tokens * width + width * head
    norms, one = 2 * 2 * width, 4 * width**2 + width + 2 * width * hidden + hidden + width
    with_dtn = create_model("lra_small", pe="none", norm="dtn", num_classes=head, image_size=length, in_chans=1)
    plain = create_model("lra_small_late", pe="none", num_classes=head, image_size=length, in_chans=1)
    # Two norms of two blocks: P times x and x², and for each target the sum of P over a sequence's own tokens.
    added = 2 * 2 * (length**2 * 2 * width + 4 * length**2) - 2 * 2 * 5 * length * width
    assert count_forward(with_dtn, length, 1).macs - count_forward(plain, length, 1).macs == added
    parameters = 16 * width + width + tokens * width + 4 * (one + norms) + 2 * width + width * head + head
    assert count_parameters(model).total == parameters


def test_weights_are_kept_and_positions_inspected(tmp_path: Path, sequences: Tensor) -> None:
    cell = ModelCell(resolve_architecture("sequence", SIZES), "sin1d", "lape", "ln", Shape(CLASSES, LENGTH, 1))
    model = build_model(cell)
    write_checkpoint(tmp_path / "model.safetensors", model, cell, dataset="lists", trial_id="0" * 16)
    read = read_checkpoint(tmp_path / "model.safetensors")
    assert read is not None
    assert torch.equal(read.model.eval()(sequences), model.eval()(sequences))
    layers = inspect(model).correlations
    assert [layer.grid for layer in layers] == [(1, LENGTH)] * 3


def test_which_levels_fit_a_sequence() -> None:
    """PEs of one dimension, and norms that padding can be kept out of."""
    arch = resolve_architecture("sequence", SIZES)

    def fit(known: Any, axis: str) -> tuple[str, ...]:
        usual = {"pe": "none", "join": "default", "norm": "ln"}
        return tuple(n for n in known if refusal(known, Cell(arch, LENGTH, {**usual, axis: n})) is None)

    assert fit(POSITIONS, "pe") == PE
    assert fit(NORMS, "norm") == NORM
    for pe, message in (("sin2d", "a sequence has one row"), ("rope2d", "a site that arch sequence doesn't have")):
        with pytest.raises(InputError, match=message):
            build(pe=pe)
    with pytest.raises(InputError, match="can't tell the padding of a sequence"):
        build(norm="bn")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"norm": "dtn", "depth": 2}, "leaves the last 2 blocks"),
        ({"norm": "dtn", "norm_where": "all"}, "sequences without the class token"),
        ({"num_heads": 3}, "divisible by the number of heads"),
        ({"drop_path": 0.1}, "a number of at most 0"),
        ({"vocabulary": 1}, "a number of at least 2"),
        ({"head_drop": 0.1}, "two kinds of dropout"),
    ],
)
def test_what_cannot_be_built(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        build(**changes)


def test_images_of_three_channels_are_no_sequence() -> None:
    with pytest.raises(InputError, match="is of sequences of tokens"):
        create_model("lra_small", num_classes=2, image_size=8)


def test_both_families_have_these_sizes() -> None:
    names = {name for name, family in FAMILIES.items() if family.size is SequenceSize}
    assert names == {"sequence", "sequence_late"}
    base = resolve_architecture("lra_base").canonical()
    published = {"embed_dim": 512, "num_heads": 8, "depth": 6, "mlp_ratio": 4.0, "drop": 0.1, "attn_drop": 0.1}
    assert published.items() <= base.items()
    late = [resolve_architecture(f"lra_{size}_late").family.late_prefix for size in ("base", "small")]
    assert late == [True, True]
    assert {*product(PE, JOINS)} >= {(pe, join) for _, pe, join, _ in LEVELS}
