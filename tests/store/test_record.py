"""What a record says of its run, for people."""

from __future__ import annotations

from suite.store.record import run_name


def test_a_runs_name_says_the_norm_and_the_loss_where_they_are_not_the_usual() -> None:
    levels = {"arch": "vit", "pe": "sin1d", "join": "lape", "norm": "ln", "loss": "default", "dataset": "digits"}
    assert run_name(levels, 3) == "vit sin1d lape digits seed 3"
    other = levels | {"norm": "dtn", "loss": "diversepatch"}
    assert run_name(other, 3) == "vit sin1d lape dtn diversepatch digits seed 3"
