"""CPVT's positional encoding generator."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from suite.models import create_model
from suite.models.sites.convolution import PositionGenerator
from suite.models.sites.site import Place


def generator(rows: int, columns: int, prefix: int = 0) -> PositionGenerator:
    module = PositionGenerator(Place((rows, columns), prefix, 3, 1)).double()
    with torch.no_grad():
        for seed, parameter in enumerate(module.parameters()):
            parameter.copy_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(seed)))
    return module


def random(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(5), dtype=torch.double)


@torch.no_grad()
def test_it_is_the_sum_over_neighbours() -> None:
    """x + Σ w[c, dy, dx] x[c, y + dy, x + dx] + b[c], with zeros outside; the class token stays."""
    module, x = generator(4, 5, prefix=1), random(2, 21, 3)
    expected = x.clone()
    for row in range(4):
        for column in range(5):
            for channel in range(3):
                added = module.bias[channel].clone()
                for dy in (-1, 0, 1):
                    for dx in (-1, 0, 1):
                        if 0 <= row + dy < 4 and 0 <= column + dx < 5:
                            neighbour = x[:, 1 + (row + dy) * 5 + column + dx, channel]
                            added = added + module.weight[channel, 0, dy + 1, dx + 1] * neighbour
                expected[:, 1 + row * 5 + column, channel] += added
    found = module.of_tokens(x)
    torch.testing.assert_close(found, expected)
    assert torch.equal(found[:, 0], x[:, 0])


@torch.no_grad()
def test_it_moves_with_the_image_away_from_the_border_and_tells_places_apart_at_it() -> None:
    module, image = generator(6, 6), random(1, 8, 8, 3)
    cut = [image[:, y : y + 6, x : x + 6].flatten(1, 2) for y, x in ((0, 0), (1, 2))]
    here, there = (module(patches).unflatten(1, (6, 6)) for patches in cut)
    torch.testing.assert_close(here[:, 2:5, 3:5], there[:, 1:4, 1:3])
    assert not torch.allclose(here[:, 2:, 3:], there[:, 1:5, 1:4])
    alike = module(torch.ones(1, 36, 3, dtype=torch.double)).unflatten(1, (6, 6))[0]
    assert torch.equal(alike[2, 2], alike[3, 3])
    assert not torch.allclose(alike[0, 0], alike[3, 3])


def test_it_stands_after_the_first_block_of_each_stage_and_starts_as_released() -> None:
    torch.manual_seed(0)
    deit = create_model("deit_small", pe="cpe", depth=3, num_classes=3, image_size=32)
    shapes = {name: tuple(value.shape) for name, value in deit.named_parameters() if name.startswith("position.")}
    assert shapes == {"position.outputs.0.weight": (384, 1, 3, 3), "position.outputs.0.bias": (384,)}
    weight, bias = (deit.get_parameter(name) for name in shapes)
    assert weight.std().item() == pytest.approx((2 / 9) ** 0.5, rel=0.05)
    assert not bias.any()
    assert [at.after is not None for at in deit.position().blocks] == [True, False, False]  # type: ignore[operator]
    sizes = {"embed_dim": 8, "num_heads": (2, 2), "depth": (2, 2), "mlp_ratio": 1.0, "patch_size": 4, "window_size": 2}
    swin = create_model("swin", pe="cpe", num_classes=3, image_size=32, **sizes)
    own = [name for name, _ in swin.named_parameters() if name.startswith("position.") and name.endswith("weight")]
    assert own == ["position.0.outputs.0.weight", "position.1.outputs.0.weight"]
