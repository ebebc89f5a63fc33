"""Joining methods in timm's models, as programs: scripted, traced, exported, and run by several threads at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.models.test_timm_join import IMAGE, distilled, joined, swin, vit

CASES = [
    (vit, "lape"), (vit, "shared"), (vit, "unshared"), (distilled, "pe_scalar_norm"), (swin, "lape"),
    (swin, "shared_paper"),
]  # fmt: skip

EXPORTED = [(vit, "unshared"), (distilled, "pe_scalar_norm"), (swin, "lape")]


def images(batch: int, seed: int = 1) -> Tensor:
    return torch.randn(batch, 3, IMAGE, IMAGE, generator=torch.Generator().manual_seed(seed))


def scripted(model: nn.Module) -> Any:
    before = {name: type(module) for name, module in model.named_modules()}
    program = torch.jit.script(model)
    assert [name for name, _ in program.named_parameters()] == [name for name, _ in model.named_parameters()]
    assert {name: type(module) for name, module in model.named_modules()} == before
    return program


def traced(model: nn.Module) -> Any:
    return torch.jit.trace(model, images(2))


def symbolic(model: nn.Module) -> Any:
    program = torch.fx.symbolic_trace(model)
    assert {name for name, _ in program.named_parameters()} == {name for name, _ in model.named_parameters()}
    return program


def exported(model: nn.Module) -> Any:
    dynamic = {"x": {0: torch.export.Dim("batch")}}
    return torch.export.export(model, (images(2),), dynamic_shapes=dynamic).module()


@pytest.mark.filterwarnings("ignore:.torch.jit:FutureWarning")  # TorchScript is deprecated, and still in use
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")  # timm's checks of the size
@pytest.mark.parametrize(
    ("make", "join", "program"),
    # An export takes seconds: by default one per kind of model.
    [
        pytest.param(*case, program, marks=pytest.mark.slow if program is exported and case not in EXPORTED else ())
        for case, program in product(CASES, (scripted, traced, symbolic, exported))
    ],
)
def test_a_program_takes_any_batch(make: Any, join: str, program: Any) -> None:
    model = joined(make, join)
    made = program(model)
    for batch in (1, 5):
        torch.testing.assert_close(made(images(batch)), model(images(batch)))
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if name.startswith("position."):
                parameter.add_(0.5)  # the program has the weights themselves, and no copy that was made by tracing
    if program is not symbolic:
        torch.testing.assert_close(made(images(2)), model(images(2)))


@pytest.mark.parametrize("join", ["lape", "shared", "unshared"])
@pytest.mark.parametrize("make", [vit, distilled, swin])
def test_threads_share_a_model(make: Any, join: str) -> None:
    model = joined(make, join)
    batches = [images(1 + number % 3, number) for number in range(8)]
    with torch.no_grad():
        expected = [model(batch) for batch in batches]

        def run(number: int) -> bool:
            return torch.equal(model(batches[number % 8]), expected[number % 8])

        def run_without_gradients(number: int) -> bool:
            with torch.no_grad():
                return run(number)

        with ThreadPoolExecutor(4) as pool:
            assert all(pool.map(run_without_gradients, range(64)))


@pytest.mark.parametrize("make", [vit, distilled, swin])
def test_a_call_leaves_nothing_on_the_modules(make: Any) -> None:
    model = joined(make, "shared")

    def held() -> dict[str, Any]:
        return {
            f"{path}.{name}": value
            for path, module in model.named_modules()
            for name, value in vars(module).items()
            if not name.startswith("_")
        }

    before = held()
    model(images(2))
    model.forward_intermediates(images(2))
    assert held() == before


@pytest.mark.parametrize("make", [vit, distilled, swin])
@pytest.mark.parametrize("join", ["lape", "unshared"])
def test_intermediates_are_those_of_the_blocks(make: Any, join: str) -> None:
    """As timm's own: the last one, normalised, is the features; early stopping changes none."""
    model = joined(make, join)
    with torch.no_grad():
        features, taken = model.forward_intermediates(images(2), norm=True)
        early = model.forward_intermediates(images(2), indices=[0], stop_early=True, intermediates_only=True)
    torch.testing.assert_close(features, model.forward_features(images(2)))
    shown = features[:, model.num_prefix_tokens :].transpose(1, 2) if make is not swin else features.permute(0, 3, 1, 2)
    torch.testing.assert_close(taken[-1].flatten(2), shown.flatten(2))
    raw = model.forward_intermediates(images(2), indices=[0], intermediates_only=True)
    torch.testing.assert_close(early[0], raw[0])
    assert [len(early), len(raw)] == [1, 1]
