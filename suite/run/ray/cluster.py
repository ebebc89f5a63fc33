"""Connect to a Ray cluster: check its address and versions, list its nodes, and run checks on them."""

from __future__ import annotations

import json
import logging
import os
import platform
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from suite.errors import InputError, Problem
from suite.run.ray.capacity import Needs, Node, check_feasible, default_gpus, room
from suite.run.ray.starting import start_ray
from suite.store.environment import public_name
from suite.train.faults import without_addresses

PATIENCE = 60.0  # seconds until a cluster must have answered with its version
LOOKING = 1800.0  # seconds until a node must have checked its data; ImageNet has 1.3 million files

# Run in a separate process, because Ray's client waits for minutes or aborts if the server is not Ray or has another
# version.
_ASK = """
import sys
from ray._raylet import GcsClient
from ray._common.usage.usage_lib import get_cluster_metadata
import json
print(json.dumps(get_cluster_metadata(GcsClient(address=sys.argv[1]))))
"""


def connect(address: str | None, dashboard: bool = False) -> None:
    """Connect to a Ray cluster, or start one on this machine for this process.

    Args:
        address: The address of an existing cluster ("auto": the one on this machine); None: start one.
        dashboard: Whether a cluster that is started here has a dashboard.

    Raises:
        InputError: There is no such cluster, it has another version of Ray or Python, or starting one failed.
    """
    if address is None:
        start_ray(dashboard)
        return
    try:
        _knock(address)
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, ValueError) as error:  # a ConnectionError is an OSError
        raise _no_cluster(str(error).strip().splitlines()[0]) from None
    except RuntimeError as error:
        if (versions := re.findall(r"(?:Ray|Python): (\S+)", str(error))) and "ersion mismatch" in str(error):
            check_versions(versions[0], versions[1])
        raise


def _knock(address: str) -> None:
    """Check that a usable cluster answers at HOST:PORT. Without this, Ray would try to connect for minutes.

    Raises:
        OSError: Nothing listens there.
        InputError: It is not Ray, or has another version of Ray or Python.
    """
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit():
        return
    socket.create_connection((host.removeprefix("ray://").strip("[]"), int(port)), timeout=10).close()
    if address.startswith("ray://"):
        return  # Ray's client checks the versions itself
    try:
        answer = subprocess.run(
            [sys.executable, "-c", _ASK, address], capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    except subprocess.TimeoutExpired:
        raise _no_cluster("something listens there, but doesn't answer as Ray does") from None
    try:
        metadata = json.loads(answer.stdout.strip().splitlines()[-1])
        versions = str(metadata["ray_version"]), str(metadata["python_version"])
    except (ValueError, TypeError, KeyError, IndexError):
        last = (answer.stderr.strip().splitlines() or ["no answer"])[-1]
        raise _no_cluster(f"no answer that tells its version: {without_addresses(last)}") from None
    check_versions(*versions)


def check_versions(of_cluster: str, python_of_cluster: str) -> None:
    """Raise `InputError` if this process can't use a cluster with these versions of Ray and Python."""
    here = platform.python_version()
    exact = os.environ.get("RAY_DEFAULT_PYTHON_VERSION_MATCH_LEVEL", "patch") == "patch"
    parts = None if exact else 2
    same = here.split(".")[:parts] == python_of_cluster.split(".")[:parts]
    if of_cluster == ray.__version__ and same:
        return
    raise InputError(
        "a Ray cluster of another version",
        expected=f"Ray {ray.__version__} and Python {here}, as this command has them",
        found=f"Ray {of_cluster} and Python {python_of_cluster}",
        where="--address",
        fix="install the same environment here and on all nodes (`uv sync --frozen`, with the same Python)",
    )


def _no_cluster(found: str) -> InputError:
    return InputError(
        "no Ray cluster at that address",
        expected="a running cluster",
        found=found,
        where="--address",
        fix="start one with `ray start --head`, or leave --address out to use this machine; if it asks for a token, "
        "set RAY_AUTH_MODE=token here too",
    )


def cluster_nodes() -> list[Node]:
    """The nodes of the cluster that this process is connected to."""
    nodes = [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    return [
        Node(
            public_name(node["NodeManagerHostname"]),
            cpus=node["Resources"].get("CPU", 0.0),
            gpus=node["Resources"].get("GPU", 0.0),
            identity=node["NodeID"],
        )
        for node in nodes
    ]


def ask_nodes(address: str) -> list[Node]:
    """Connect to the cluster at an address, list its nodes, and disconnect.

    Raises:
        InputError: See `connect`.
    """
    connect(address)
    try:
        return cluster_nodes()
    finally:
        ray.shutdown()


def feasible(nodes: Sequence[Node], cpus: float, gpus: float | None) -> tuple[Needs, list[Node]]:
    """The resources of a trial, and the nodes that can run at least one.

    Args:
        nodes: The nodes of the cluster.
        cpus: CPUs per trial.
        gpus: GPUs per trial; None: 1 if any node has a GPU, else 0.

    Raises:
        InputError: No node has enough resources. Ray would let such a trial wait forever, with only a line in a log.
    """
    needs = Needs(cpus, default_gpus(nodes) if gpus is None else gpus)
    check_feasible(nodes, needs, "the Ray cluster")
    return needs, [node for node in nodes if room(node, needs)]


def check_on(nodes: Sequence[Node], check: Callable[[], None]) -> None:
    """Call a function on each node in parallel.

    Args:
        nodes: The nodes.
        check: The function. It must be picklable.

    Raises:
        InputError: The function raised `InputError` on a node, or a node couldn't run it. The error lists the problems
            of all nodes, with the names of the nodes.
    """
    call: Any = ray.remote(_call)
    asked = {}
    for node in nodes:
        there = NodeAffinitySchedulingStrategy(node.identity, soft=False)
        asked[call.options(num_cpus=0, max_retries=0, scheduling_strategy=there).remote(check)] = node
    problems: list[Problem] = []
    for answer, node in asked.items():
        try:
            found: Iterable[Problem] = ray.get(answer, timeout=LOOKING)
        except RayError as error:
            found = [
                Problem(
                    "a node that can't run the suite",
                    expected="this suite and its environment on every node",
                    found=without_addresses(str(error).strip().splitlines()[-1]),
                    fix="install the same environment there, or take the node out of the cluster",
                )
            ]
        problems += [replace(problem, where=f"{problem.where} on node {node.name}".strip()) for problem in found]
    if problems:
        raise InputError(problems=dict.fromkeys(problems))


def _call(check: Callable[[], None]) -> tuple[Problem, ...]:
    try:
        check()
    except InputError as error:
        return error.problems
    return ()
