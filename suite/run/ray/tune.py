"""The Ray executor: Ray Tune schedules the jobs on reused workers. None of Tune's own state is kept.

Resuming doesn't use Tune's `Tuner.restore`, which needs an unchanged grid. Instead the driver runs only those trials
that have no record in the store. With the settings of `suite.run.ray`, Tune takes hundredths of a second per trial
instead of seconds.
"""

from __future__ import annotations

import logging
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import ray
from ray import tune
from ray.exceptions import RayError
from ray.tune.search import Searcher

from suite.errors import InputError, Problem
from suite.run.events import Job, Run
from suite.run.queue import Queue, lost_record
from suite.run.ray.capacity import room
from suite.run.ray.cluster import check_on, cluster_nodes, connect, feasible
from suite.run.ray.early import EarlyRay
from suite.run.ray.lifeline import lifeline
from suite.store.beats import Beat, parse_beat
from suite.store.environment import node_name, public_name
from suite.store.record import RunRecord, Status
from suite.text import duration
from suite.train.faults import MachineFault, ending, is_machine_fault
from suite.train.heartbeat import reporting

AHEAD = 2  # jobs that Tune holds beyond the cluster's capacity, so that no worker waits for the driver
CONTEXT = 600e6  # bytes of GPU memory that each process uses besides torch's allocations
LOOK_EVERY = 1.0  # seconds between two checks for hung workers


@dataclass(frozen=True)
class Resources:
    """The CPUs and GPUs of each trial. gpus None: 1 if any node of the cluster has a GPU, else 0."""

    cpus: float = 1
    gpus: float | None = None


def run_ray(
    queue: Queue,
    run: Run,
    *,
    resources: Resources,
    address: str | None = None,
    dashboard: bool = False,
    check: Callable[[], None] | None = None,
    at_once: int | None = None,
    begun: EarlyRay | None = None,
) -> None:
    """Run the jobs of a queue, as many at a time as the resources allow.

    Args:
        queue: The jobs.
        run: Runs one job, in a worker. It must be picklable.
        resources: The resources of each job.
        address: The address of an existing cluster ("auto": the one on this machine); None: start one here, and stop
            it at the end.
        dashboard: Whether a cluster that is started here has a dashboard.
        check: Called on each node that can run trials, before the first trial. It must be picklable.
        at_once: The largest number of jobs at a time; None: no limit.
        begun: A cluster whose start on this machine has already begun.

    Raises:
        InputError: There is no such cluster, starting one failed, no node can run such a trial, a node failed the
            check, a worker found bad input, or the cluster lost its head node.
    """
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    if begun is not None:
        begun.join()
    else:
        connect(address, dashboard)
    _stop_on_sigterm()
    with lifeline(_head(address)), ExitStack() as stack:
        stack.callback(ray.shutdown)
        needs, nodes = feasible(cluster_nodes(), resources.cpus, resources.gpus)
        if check is not None:
            check_on(nodes, check)
        source = _Source(queue, sum(room(node, needs) for node in nodes), at_once)
        hears = _Callback(source)
        # Tune requires a folder; nothing in it is needed afterwards.
        with tempfile.TemporaryDirectory(prefix="lape-tune-") as folder:
            # In a list, Ray doesn't resolve the reference: each worker fetches the jobs once, not once per trial.
            trainable = tune.with_parameters(_run_in_worker, run=run, jobs=[ray.put(queue.jobs)], shares=needs.shares)
            tuner = tune.Tuner(
                tune.with_resources(trainable, {"cpu": needs.cpus, "gpu": needs.ray_gpus}),
                tune_config=tune.TuneConfig(
                    search_alg=source,
                    num_samples=-1,
                    reuse_actors=True,
                    trial_name_creator=_trial_id,
                    trial_dirname_creator=_trial_id,
                ),
                run_config=tune.RunConfig(
                    storage_path=folder,
                    callbacks=[hears],
                    failure_config=tune.FailureConfig(max_failures=0),  # the queue handles retries
                    verbose=0,
                ),
            )
            try:
                tuner.fit()
            except Exception:
                if hears.failure is not None:  # Tune has wrapped it in its own error
                    raise hears.failure from None
                raise
        hears.raise_input_errors()


def _head(address: str | None) -> str:
    """HOST:PORT of the head of the cluster that this process is connected to."""
    if address is not None and address.startswith("ray://"):
        return address.removeprefix("ray://")
    return str(ray.get_runtime_context().gcs_address)


def _run_in_worker(config: dict[str, Any], run: Run, jobs: list[Any], shares: int) -> None:
    """The trainable of Tune: run one job and report its records, or the error.

    It raises only for infrastructure errors. Raising makes Ray replace the worker, which takes seconds, but the worker
    may be broken.

    Args:
        config: Tune's config: the id of the job's first trial.
        run: Runs the job.
        jobs: A list with a Ray reference to all jobs.
        shares: The number of trials that share a GPU.
    """
    try:
        _check_gpu()
        _share_gpu(shares)
        with reporting(_report_beats):
            records = run(_fetch(jobs[0])[config["trial"]])
    except InputError as error:
        tune.report({"input_error": error.problems})
    except Exception as error:
        fault = error if isinstance(error, MachineFault) else MachineFault(ending(traceback.format_exc()), node_name())
        is_machines = error is fault or is_machine_fault(error)
        tune.report({"fault": fault, "is_machines": is_machines})
        if is_machines:
            raise
    else:
        tune.report({"records": [record.model_dump_json() for record in records]})


@lru_cache(maxsize=1)
def _fetch(jobs: Any) -> Mapping[str, Job]:
    fetched: Mapping[str, Job] = ray.get(jobs)
    return fetched


class _Source(Searcher):
    """A Tune searcher that suggests the queue's jobs, each when it can start. So Tune's trials hardly wait."""

    def __init__(self, queue: Queue, room: int, at_once: int | None = None) -> None:
        """Create a searcher.

        Args:
            queue: The jobs.
            room: The number of jobs that the cluster can run at once.
            at_once: The largest number of jobs at a time; None: no limit.
        """
        super().__init__()
        if queue.is_chosen:
            at_once = min(at_once or room, room)  # a job that waits for a worker might never be asked for
        self.queue, self.room, self.at_once = queue, room, at_once
        self.jobs: dict[str, Job] = {}  # jobs given to Tune that have not ended, by Tune's trial id
        self.running: set[str] = set()

    def suggest(self, trial_id: str) -> Any:
        if len(self.jobs) - len(self.running) >= max(AHEAD, self.room - len(self.running)):
            return None
        if self.at_once is not None and len(self.jobs) >= self.at_once:
            return None
        job = self.queue.take()
        if job is None:
            return Searcher.FINISHED if self.queue.wait() is None else None
        self.jobs[trial_id] = job
        return {"trial": job[0].id}

    def set_search_properties(self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any) -> bool:
        return True

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        pass

    def save(self, checkpoint_path: str) -> None:
        """Do nothing, because none of Tune's state is kept."""

    def restore(self, checkpoint_path: str) -> None:
        """Do nothing, because none of Tune's state is kept."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


def _report_beats(beats: Sequence[Beat]) -> None:
    tune.report({"beats": [beat.model_dump_json() for beat in beats]})


def _trial_id(trial: Any) -> str:
    return str(trial.config["trial"])


class _Callback(tune.Callback):
    """Passes Tune's events to the queue. Tune pickles its callbacks but never uses the copy, so the copy is empty."""

    def __init__(self, source: _Source) -> None:
        self._source, self._queue = source, source.queue
        self._input_errors: list[Problem] = []
        self._deadlines: dict[str, float] = {}  # by Tune's trial id: the time at which a worker counts as hung
        self._hung: set[str] = set()
        self._looked = time.monotonic()
        self.failure: BaseException | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        job = self._source.jobs[trial.trial_id]
        self._source.running.add(trial.trial_id)
        after = self._queue.policy.hung_after(len(job))
        if after is not None:
            self._deadlines[trial.trial_id] = time.monotonic() + after
        self._tell(lambda: self._queue.started(job))

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        if "beats" in result:
            beats = [beat for text in result["beats"] if (beat := parse_beat(text)) is not None]
            self._tell(lambda: self._queue.progressed(beats))
            return
        job = self._over(trial)
        if job is None:
            return
        self._input_errors += result.get("input_error", ())
        if "fault" in result:
            self._failed(job, result["fault"], result["is_machines"])
            return
        records = [RunRecord.model_validate_json(record) for record in result.get("records", ())]
        self._tell(lambda: self._queue.finished(job, records))

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """The worker died, was killed, or raised. If it raised, it has already reported the error."""
        hung, job = trial.trial_id in self._hung, self._over(trial)
        if job is None:
            return
        reason = str(trial.get_error() or "the worker died")
        fault = MachineFault(ending(reason), _node(trial))
        if hung:
            limit = duration(self._queue.policy.hung_after(len(job)) or 0.0)
            late = MachineFault(f"the worker gave no sign of an end for {limit}, and was killed", fault.node)
            self._failed(job, late, False, "timeout")
        else:
            # Ray's OutOfMemoryError means that the host ran out of memory.
            self._failed(job, fault, True, "oom" if "OutOfMemoryError" in reason else "error")

    def _failed(self, job: Job, fault: MachineFault, is_machines: bool, status: Status = "error") -> None:
        if is_machines:
            self._tell(lambda: self._queue.lost(job, fault, status))
        else:
            records = [lost_record(trial, fault, status, is_machines=False) for trial in job]
            self._tell(lambda: self._queue.finished(job, records))

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Kill workers that exceed the time limit by far."""
        now = time.monotonic()
        if not self._deadlines or now < self._looked + LOOK_EVERY:
            return
        self._looked = now
        late = {identity for identity, deadline in self._deadlines.items() if deadline < now} - self._hung
        for trial in trials if late else ():
            if trial.trial_id in late and trial.temporary_state.ray_actor is not None:
                self._hung.add(trial.trial_id)
                ray.kill(trial.temporary_state.ray_actor)

    def _over(self, trial: Any) -> Job | None:
        """Remove a Tune trial that has ended. Returns its job; None if it was removed before."""
        self._source.running.discard(trial.trial_id)
        self._deadlines.pop(trial.trial_id, None)
        self._hung.discard(trial.trial_id)
        return self._source.jobs.pop(trial.trial_id, None)

    def _tell(self, told: Callable[[], None]) -> None:
        """Call a listener, and remember its error (such as a full disk), which ends the run."""
        try:
            told()
        except BaseException as error:
            self.failure = error
            raise

    def raise_input_errors(self) -> None:
        """Raise one `InputError` with all bad input that workers found. Called after all trials have ended."""
        if self._input_errors:
            raise InputError(problems=dict.fromkeys(self._input_errors))


def _node(trial: Any) -> str | None:
    """The name of the node that ran one of Tune's trials; None if it is unknown."""
    with suppress(RayError):
        hostname = trial.last_result.get("hostname")
        return None if hostname is None else public_name(str(hostname))
    return None


@lru_cache
def _share_gpu(shares: int) -> None:
    """Limit this process to its part of the GPU's memory. Ray counts fractions of a GPU but doesn't enforce them."""
    if shares > 1:
        import torch

        if torch.cuda.is_available():
            context = CONTEXT / torch.cuda.get_device_properties(0).total_memory
            torch.cuda.set_per_process_memory_fraction(max(1 / shares - context, 0.5 / shares))


def _check_gpu() -> None:
    """Raise MachineFault if an earlier trial made the GPU unusable for this process. Only a new process can use it."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return
    try:
        torch.cuda.synchronize()
    except RuntimeError as error:
        raise MachineFault(ending(str(error)), node_name(), spent=True) from None


def _stop_on_sigterm() -> None:
    """Make SIGTERM, which clusters send, end a run like Ctrl-C. Ray's own handler would print a crash report."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)
