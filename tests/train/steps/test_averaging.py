"""The running mean of the weights, against the formula."""

from __future__ import annotations

import torch
from torch import nn

from suite.train.steps.averaging import Average


def test_it_follows_parameters_and_buffers() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    average = Average(model, 0.9)
    expected = {name: value.clone().double() for name, value in model.state_dict().items()}
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(5):
        model(torch.randn(8, 3)).pow(2).sum().backward()
        optimiser.step()
        average.update()
        for name, value in model.state_dict().items():
            expected[name] = value.double() if "num" in name else 0.9 * expected[name] + 0.1 * value.double()
    found = average.model.state_dict()
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.allclose(found[name].double(), value, atol=1e-6), name
    assert int(found["1.num_batches_tracked"]) == 5
    assert not average.model.training
    assert not any(parameter.requires_grad for parameter in average.model.parameters())
    assert all(parameter.requires_grad for parameter in model.parameters())
