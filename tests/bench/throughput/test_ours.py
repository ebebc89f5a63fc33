"""Our side runs the suite's own trainer, and the step alone is on a batch that lies ready."""

from __future__ import annotations

import pytest
import torch

from suite.bench.throughput.ours import OurLoop
from suite.bench.throughput.turns import LoopSetting
from tests.bench.throughput.workloads import workload


def test_a_step_is_on_one_batch_as_the_pipeline_makes_it() -> None:
    loop = OurLoop(workload())
    with loop.ready("step", LoopSetting(1)):
        assert loop._batch is not None
    inputs, target = loop._batch
    with loop.ready("step", LoopSetting(1)):
        assert loop._batch == (inputs, target)
    assert len(inputs) == len(target.labels) == workload().recipe.batch_size
    assert target.share is not None
    assert target.partners is not None
    assert torch.equal(target.partners, target.labels.flip(0))


@pytest.mark.parametrize(
    ("task", "threads", "moves"), [("step", 1, True), ("pipeline", 2, False), ("training", 1, True)]
)
def test_each_task(task: str, threads: int, moves: bool) -> None:
    """The pipeline's setting, too, leaves the trainer as it is: there is one at a time."""
    loop = OurLoop(workload())
    with loop.ready("step", LoopSetting(1)):
        trainer = loop._trainer
    assert trainer is not None
    before = [parameter.clone() for parameter in trainer.model.parameters()]
    with loop.ready(task, LoopSetting(threads)) as run:  # type: ignore[arg-type]
        run(3)
    after = list(trainer.model.parameters())
    assert any(not torch.equal(one, other) for one, other in zip(before, after, strict=True)) == moves


def test_a_trainer_has_the_threads_of_its_setting() -> None:
    loop = OurLoop(workload())
    for threads in (1, 2, 1):
        with loop.ready("training", LoopSetting(threads)) as run:
            run(1)
        assert loop._trainer is not None
        assert loop._trainer.threads == threads


def test_no_image_comes_again_before_all_have_come() -> None:
    loop = OurLoop(workload(batch_size=1024))
    order = loop._order(3)
    assert len(order) == 3 * 1024
    assert torch.equal(order[:2048].sort().values, torch.arange(2048))
    assert len(order[2048:].unique()) == 1024
