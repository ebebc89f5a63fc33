"""Ray Tune as the scheduler: a list of trials, workers that are used again, and nothing of Tune's own state.

Resume is not Tune's `Tuner.restore`, which needs an unchanged grid: the driver subtracts what the store
holds. The settings of `suite.execution` are what makes Tune cost hundredths of a second per trial instead of seconds.
"""

from __future__ import annotations

import logging
import signal
import socket
import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import ray
from ray import tune

from suite.environment import describe
from suite.errors import InputError, Problem
from suite.execution.dashboard import HOST, secure_token, tell_dashboard
from suite.execution.events import Job, Listener, Run
from suite.heartbeat import Beat, parse_beat, reporting
from suite.record import RunRecord
from suite.trial import Trial

RETRIES = 2  # of a trial whose worker died; an error inside a trial is an outcome and isn't tried again
OBJECT_STORE = 100 * 2**20  # bytes: records are small, and data sets don't travel through Ray


@dataclass(frozen=True)
class Resources:
    """What each trial gets; Ray runs as many at once as fit. gpus None: one, if any node of the cluster has one."""

    cpus: float = 1
    gpus: float | None = None


def run_ray(
    jobs: Sequence[Job],
    run: Run,
    listener: Listener,
    *,
    resources: Resources,
    address: str | None = None,
    dashboard: bool = False,
) -> None:
    """Run the jobs, as many at a time as the resources allow.

    run: what to do with one job, in a worker; it must be picklable. address: an existing cluster
    ("auto" for the one on this machine); None starts one here, and stops it in the end. dashboard: of that one.

    Raises:
        InputError: no such cluster, the cluster can never run such a trial, or a worker met bad input.
    """
    _connect(address, dashboard)
    _stop_on_sigterm()
    try:
        gpus = _feasible_gpus(resources)
        by_id = {job[0].id: job for job in jobs}
        hears = _Callback(by_id, listener)
        # Tune insists on a folder of its own; nothing in it is needed afterwards.
        with tempfile.TemporaryDirectory(prefix="lape-tune-") as folder:
            trainable = tune.with_parameters(_run_in_worker, jobs=by_id, run=run)
            tuner = tune.Tuner(
                tune.with_resources(trainable, {"cpu": resources.cpus, "gpu": gpus}),
                param_space={"trial": tune.grid_search(list(by_id))},
                tune_config=tune.TuneConfig(
                    reuse_actors=True, trial_name_creator=_trial_id, trial_dirname_creator=_trial_id
                ),
                run_config=tune.RunConfig(
                    storage_path=folder,
                    callbacks=[hears],
                    failure_config=tune.FailureConfig(max_failures=RETRIES),
                    verbose=0,
                ),
            )
            try:
                tuner.fit()
            except Exception:
                if hears.failure is not None:  # Tune hides it in an error of its own
                    raise hears.failure from None
                raise
        hears.raise_input_errors()
    finally:
        ray.shutdown()


def _run_in_worker(config: dict[str, Any], jobs: dict[str, Job], run: Run) -> None:
    """The trainable. It never raises for what a trial can do: a raise would cost the worker and seconds."""
    try:
        with reporting(_report_beats):
            records = run(jobs[config["trial"]])
        tune.report({"records": [record.model_dump_json() for record in records]})
    except InputError as error:
        tune.report({"input_error": error.problems})


def _report_beats(beats: Sequence[Beat]) -> None:
    tune.report({"beats": [beat.model_dump_json() for beat in beats]})


def _trial_id(trial: Any) -> str:
    return str(trial.config["trial"])


class _Callback(tune.Callback):
    """Passes on what Tune tells. Tune pickles its callbacks, though it never needs the copy: that one is empty."""

    def __init__(self, jobs: dict[str, Job], listener: Listener) -> None:
        self._jobs, self._listener = jobs, listener
        self._input_errors: list[Problem] = []
        self.failure: BaseException | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        for started in self._jobs[_trial_id(trial)]:
            self._tell(self._listener.started, started)

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        if "input_error" in result:
            self._input_errors += result["input_error"]
        for text in result.get("beats", ()):
            if (beat := parse_beat(text)) is not None:
                self._tell(self._listener.progressed, beat)
        for record in result.get("records", ()):
            self._tell(self._listener.finished, RunRecord.model_validate_json(record))

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """The worker died more often than `RETRIES`: that is the trial's record."""
        reason = str(trial.get_error() or "the worker died")
        for lost in self._jobs[_trial_id(trial)]:
            self._tell(self._listener.finished, _lost(lost, reason))

    def _tell(self, told: Callable[[Any], None], what: Trial | Beat | RunRecord) -> None:
        """A listener that fails (the disk is full, say) ends the run, with its own error."""
        try:
            told(what)
        except BaseException as error:
            self.failure = error
            raise

    def raise_input_errors(self) -> None:
        """Bad input that only the workers could see, once the trials are through."""
        if self._input_errors:
            raise InputError(problems=dict.fromkeys(self._input_errors))


def _lost(trial: Trial, reason: str) -> RunRecord:
    """The record of a trial that never came back."""
    return RunRecord(
        **trial.identity,
        status="error",
        epochs=0,
        started_at=datetime.now(UTC).isoformat(timespec="seconds"),
        environment=describe("unknown", "unknown", "unknown", 0),
        error="\n".join(reason.strip().splitlines()[-12:]),
    )


def _connect(address: str | None, dashboard: bool = False) -> None:
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    if address is None:
        # "local": without it Ray joins any cluster that it finds on this machine, be it of somebody else's run.
        secure_token()
        shown: dict[str, Any] = {"include_dashboard": dashboard, "dashboard_host": HOST}
        context = ray.init(address="local", object_store_memory=OBJECT_STORE, **shown, **quiet)
        if dashboard:
            tell_dashboard(context.dashboard_url)
        return
    try:
        _knock(address)
        ray.init(address=address, **quiet)
    except (OSError, ValueError) as error:  # a ConnectionError is an OSError
        raise InputError(
            "no Ray cluster at that address",
            expected="a running cluster",
            found=str(error).strip().splitlines()[0],
            where=f"--address {address}",
            fix="start one with `ray start --head`, or leave --address out to use this machine",
        ) from None


def _knock(address: str) -> None:
    """Raise OSError if nobody listens at HOST:PORT: Ray itself would try for minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()


def _stop_on_sigterm() -> None:
    """Let a cluster's SIGTERM end a run as Ctrl-C does; Ray's own handler would print a crash."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)


def _feasible_gpus(resources: Resources) -> float:
    """How many GPUs a trial gets.

    Raises:
        InputError: no node has what a trial asks for. It would wait for ever, with one line in a log.
    """
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    gpus = resources.gpus
    if gpus is None:
        gpus = 1.0 if any(node.get("GPU", 0) >= 1 for node in nodes) else 0.0
    if not any(node.get("CPU", 0) >= resources.cpus and node.get("GPU", 0) >= gpus for node in nodes):
        most = [f"{node.get('CPU', 0):g} CPUs and {node.get('GPU', 0):g} GPUs" for node in nodes]
        raise InputError(
            "no node of the cluster can run such a trial",
            expected=f"a node with {resources.cpus:g} CPUs and {gpus:g} GPUs",
            found="; ".join(most) or "no node at all",
            where="the Ray cluster",
            fix="ask for less with --threads or --gpus-per-trial",
        )
    return gpus
