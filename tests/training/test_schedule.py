"""The learning rate, against the values that the published recipe's trainer gives."""

from __future__ import annotations

import pytest

from suite.recipe import Recipe
from suite.training.schedule import learning_rate

# Compact Transformers on CIFAR-10: 300 epochs, 10 of warm-up; its trainer goes on to 310 at min_lr.
COMPACT = Recipe(
    version=1, epochs=300, batch_size=128, lr=5.5e-4, min_lr=1e-5, warmup_epochs=10, warmup_lr=1e-5, weight_decay=0.06
)


@pytest.mark.parametrize(
    ("epoch", "expected"),
    [(0, 1.0e-5), (1, 6.4e-5), (5, 2.8e-4), (9, 4.96e-4), (10, 5.485e-4), (150, 2.8e-4), (299, 1.001e-5)],
)
def test_published_values(epoch: int, expected: float) -> None:
    assert learning_rate(COMPACT, epoch) == pytest.approx(expected, rel=5e-4)


def test_without_warm_up_it_falls_from_the_peak() -> None:
    recipe = Recipe(version=1, epochs=7, batch_size=1, lr=0.1)
    rates = [learning_rate(recipe, epoch) for epoch in range(7)]
    assert rates[0] == 0.1
    assert rates == sorted(rates, reverse=True)
    assert 0 < rates[-1] < 0.01
