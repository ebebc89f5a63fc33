"""How trials are run: the options of `lape run` and `lape try`, and which of them contradict each other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from suite.errors import InputError, unknown
from suite.run.curves import check_curves
from suite.run.ray.dashboard import check_dashboard

EXECUTORS = ("ray", "serial")


@dataclass(frozen=True)
class Execution:
    """How trials are run.

    Args:
        executor: "ray" or "serial".
        address: An existing Ray cluster; None: one that is started here.
        gpus_per_trial: GPUs of each trial; None: one, where there is any.
        at_once: Trials at the same time at most; None: as many as there is room for.
        dashboard: Start Ray's dashboard.
        keep_weights: Keep the weights of done trials.
        storage: An address for snapshots and records.
        curves: A folder for TensorBoard.
    """

    executor: str = "ray"
    address: str | None = None
    gpus_per_trial: float | None = None
    at_once: int | None = None
    dashboard: bool = False
    keep_weights: bool = False
    storage: str | None = None
    curves: Path | None = None

    @property
    def is_local(self) -> bool:
        """Whether all trials run on this machine."""
        return self.executor == "serial" or self.address is None

    def check(self) -> None:
        """Raise `InputError` if the options contradict each other."""
        if self.executor not in EXECUTORS:
            raise unknown("executor", self.executor, EXECUTORS, where="--executor")
        if self.executor == "serial" and (self.at_once or 1) > 1:
            raise InputError(
                "the serial executor runs one trial at a time",
                expected="--at-once 1, or --executor ray",
                found=f"--at-once {self.at_once} with --executor serial",
                where="--at-once",
                fix="leave one of the two out",
            )
        if self.executor == "serial" and self.address is not None:
            raise InputError(
                "the serial executor runs in this process, on no cluster",
                expected="--address with --executor ray",
                found=f"--address {self.address} with --executor serial",
                where="--address",
                fix="leave one of the two out",
            )
        if self.executor == "serial" and self.gpus_per_trial is not None and self.gpus_per_trial < 2:
            raise InputError(
                "the serial executor gives a trial the whole device",
                expected="--gpus-per-trial with --executor ray, or 2 GPUs and more",
                found=f"--gpus-per-trial {self.gpus_per_trial:g} with --executor serial",
                where="--gpus-per-trial",
                fix="leave it out, and name the device with --device cuda or --device cpu",
            )
        if self.dashboard:
            if self.executor != "ray" or self.address is not None:
                raise InputError(
                    "a dashboard of a cluster that isn't started here",
                    expected="--dashboard with --executor ray and without --address",
                    found="--executor serial" if self.executor != "ray" else f"--address {self.address}",
                    where="--dashboard",
                    fix="leave it out: a cluster of its own has a dashboard on its head, and a serial run has none",
                )
            check_dashboard()
        if self.curves is not None:
            check_curves(self.curves)
