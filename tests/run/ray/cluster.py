"""A Ray cluster of this machine, and runs on it."""

from __future__ import annotations

from typing import Any

from suite.grid.trial import Trial
from suite.run.events import Job, Run
from suite.run.policy import Policy
from suite.run.queue import Queue
from tests.records import Heard


def start_cluster() -> Any:
    """A cluster with two CPUs, and two GPUs that are declared and not there."""
    from ray.cluster_utils import Cluster

    import suite.run.ray  # noqa: F401 -- before Ray, which reads some of its settings when it is imported

    return Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 2, "num_gpus": 2, "include_dashboard": False, "object_store_memory": 80 * 2**20},
    )


def alone(trials: list[Trial]) -> list[Job]:
    return [(trial,) for trial in trials]


def run(trials: list[Trial], function: Run, address: str, cpus: float = 1, gpus: float = 0, **policy: Any) -> Heard:
    from suite.run.ray.tune import Resources, run_ray

    queue = Queue(alone(trials), Heard(), Policy(**{"first_wait": 0.1, **policy}))
    run_ray(queue, function, resources=Resources(cpus, gpus), address=address)
    listener: Heard = queue._listener  # type: ignore[assignment]
    return listener
