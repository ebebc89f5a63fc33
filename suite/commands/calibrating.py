"""`lape plan --calibrate`: a few steps of each kind of trial, so that a plan can tell its time before any run."""

from __future__ import annotations

from dataclasses import replace

from suite.data.cache import open_root, verify
from suite.report.workspace import Workspace
from suite.run.plan import make_plan
from suite.run.timing.calibration import calibrate
from suite.run.timing.pace import kind_of
from suite.store.files import make_folder
from suite.train.machine import Machine


def calibrate_grid(workspace: Workspace, machine: Machine, workers: int | None) -> None:
    """Measure each kind of trial that is to do, and keep what was found beside the results: no record comes of it.

    workers: as many trials at a time as will run here; None: as many as the cores allow, or one on a GPU.
    """
    plan = make_plan(workspace.expansion, workspace.records)
    kinds = {kind_of(trial.config).whole: trial for trial in reversed(plan.to_do)}
    if not kinds:
        return
    trials = list(reversed(kinds.values()))
    root = open_root(machine.data_root)
    for dataset in {trial.dataset.name: trial.dataset for trial in trials}.values():
        verify(dataset, root)
    make_folder(workspace.store.folder)
    on_cpu = machine.torch_device().type == "cpu"
    at_a_time = workers or (workspace.workers(machine.threads) if on_cpu else 1)
    measured = calibrate(trials, replace(machine, data_root=root), min(at_a_time, len(plan.to_do)))
    measured.write(workspace.store.folder)
