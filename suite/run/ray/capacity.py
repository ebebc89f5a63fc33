"""How many trials can run at once on a cluster, from the resources of its nodes and of a trial. Does not import Ray.

Ray gives a trial all its CPUs and GPUs on one node. A trial has either a fraction of one GPU or a whole number of GPUs.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from suite.errors import InputError

MOST_SHARES = 100  # the most trials per GPU; no model is small enough for more
_SLACK = 1e-6  # tolerance for sums of fractional resources


@dataclass(frozen=True)
class Node:
    """A machine of a cluster.

    Args:
        name: Its host name.
        cpus: CPUs that Ray manages there.
        gpus: GPUs that Ray manages there.
        identity: Ray's node id, which distinguishes nodes with the same name.
    """

    name: str
    cpus: float
    gpus: float = 0.0
    identity: str = field(default="", compare=False)

    @property
    def resources(self) -> str:
        """The node's CPUs and GPUs in words."""
        return f"{_count(self.cpus, 'CPU')}, {_count(self.gpus, 'GPU')}"


@dataclass(frozen=True)
class Needs:
    """The resources that a trial needs.

    Args:
        cpus: CPUs.
        gpus: GPUs: a whole number, 0, or 1/k if k trials share a GPU.

    Raises:
        InputError: Another number of GPUs.
    """

    cpus: float
    gpus: float = 0.0

    def __post_init__(self) -> None:
        if self.gpus >= 1 or self.gpus == 0:
            valid = self.gpus % 1 == 0
        else:
            valid = self.gpus > 0 and self.shares <= MOST_SHARES and abs(self.gpus * self.shares - 1) < 0.03
        if not valid:
            raise InputError(
                "an impossible number of GPUs per trial",
                expected=f"a whole number, or 1/k of one (0.5, 0.33, 0.25, … down to 1/{MOST_SHARES})",
                found=f"{self.gpus:g}",
                where=f"--gpus-per-trial {self.gpus:g}",
                fix="a trial that took 0.7 of a GPU would leave 0.3 that no other can use: give 1, or 0.5",
            )

    @property
    def shares(self) -> int:
        """The number of trials that share a GPU; 1 if each trial has whole GPUs or none."""
        return max(1, round(1 / self.gpus)) if 0 < self.gpus < 1 else 1

    @property
    def ray_gpus(self) -> float:
        """The number of GPUs to request from Ray.

        Ray rounds to multiples of 1/10,000. 1/7 would be rounded up, so that only six trials fit on a GPU. So this
        rounds down.
        """
        return self.gpus if self.shares == 1 else math.floor(10_000 / self.shares) / 10_000

    @property
    def words(self) -> str:
        """The needed CPUs and GPUs in words."""
        gpus = f"1/{self.shares} of a GPU" if self.shares > 1 else _count(self.gpus, "GPU")
        return f"{_count(self.cpus, 'CPU')} and {gpus}"


def room(node: Node, needs: Needs) -> int:
    """The number of such trials that a node can run at once."""
    bounds = []
    if needs.cpus:
        bounds.append(math.floor(node.cpus / needs.cpus + _SLACK))
    if needs.gpus:
        whole = math.floor(node.gpus + _SLACK)
        bounds.append(whole * needs.shares if needs.gpus < 1 else math.floor(whole / needs.gpus))
    return min(bounds, default=0)


def default_gpus(nodes: Iterable[Node]) -> float:
    """The default number of GPUs per trial: 1 if any node has a GPU, else 0."""
    return 1.0 if any(node.gpus >= 1 for node in nodes) else 0.0


def check_feasible(nodes: Sequence[Node], needs: Needs, where: str) -> None:
    """Check that at least one node can run such a trial.

    Args:
        nodes: The nodes.
        needs: The resources of a trial.
        where: The place that the error message names.

    Raises:
        InputError: No node has enough resources, even when it is idle.
    """
    if any(room(node, needs) for node in nodes):
        return
    no_gpus = needs.gpus > 0 and not any(node.gpus >= 1 for node in nodes)
    raise InputError(
        "GPUs were asked for, and no node has any" if no_gpus else "no node can ever run such a trial",
        expected=f"a node with {needs.words}",
        found=kinds(nodes) or "no node at all",
        where=where,
        fix="leave out --gpus-per-trial, or start nodes with GPUs"
        if no_gpus
        else "ask for less with --threads or --gpus-per-trial, or start larger nodes",
    )


def kinds(nodes: Iterable[Node]) -> str:
    """The nodes in words, grouped by their resources."""
    counted = Counter(node.resources for node in nodes)
    return "; ".join(f"{count} × {resources}" if count > 1 else resources for resources, count in counted.items())


@dataclass(frozen=True)
class Capacity:
    """How many trials a cluster runs at once.

    Args:
        needs: The resources of a trial.
        at_once: Trials that run at once; limited by the number of trials too.
        per_node: Each node, with the number of trials that fit on it.
    """

    needs: Needs
    at_once: int
    per_node: tuple[tuple[Node, int], ...]

    @property
    def most(self) -> int:
        """The number of trials that fit on the cluster, even if there are fewer trials."""
        return sum(fits for _, fits in self.per_node)

    @property
    def line(self) -> str:
        """The line that the plan prints."""
        counted = Counter((node.resources, fits) for node, fits in self.per_node)
        nodes = "; ".join(
            f"{f'{count} nodes with' if count > 1 else 'a node with'} {resources}: {fits}{' each' if count > 1 else ''}"
            for (resources, fits), count in counted.items()
        )
        fewer = f" (there is room for {self.most})" if self.most > self.at_once else ""
        return f"{self.at_once:,} trials of {self.needs.words}{fewer}; {nodes}"


def capacity(nodes: Sequence[Node], needs: Needs, trials: int, where: str = "the cluster") -> Capacity:
    """How many trials run at once on these nodes.

    Args:
        nodes: The nodes.
        needs: The resources of a trial.
        trials: Number of trials to run.
        where: The place that an error message names.

    Raises:
        InputError: No node can run such a trial.
    """
    check_feasible(nodes, needs, where)
    per_node = tuple((node, room(node, needs)) for node in nodes)
    return Capacity(needs, min(trials, sum(fits for _, fits in per_node)), per_node)


_NODES = re.compile(r"(?:(\d+)x)?((?:CPU|GPU):\d+(?:\.\d+)?(?:,(?:CPU|GPU):\d+(?:\.\d+)?)*)", re.IGNORECASE)


def parse_nodes(texts: Iterable[str]) -> list[Node]:
    """Parse nodes from the command line: 64xCPU:64,GPU:8 means 64 nodes with 64 CPUs and 8 GPUs each.

    Raises:
        InputError: The text has another form.
    """
    nodes: list[Node] = []
    for text in texts:
        match = _NODES.fullmatch(text.replace(" ", ""))
        has = dict(part.upper().split(":") for part in match[2].split(",")) if match else {}
        if match is None or "CPU" not in has or int(match[1] or 1) > 100_000:
            raise InputError(
                "nodes that can't be read",
                expected="a number of nodes and what each has, such as 64xCPU:64,GPU:8 or CPU:4",
                found=repr(text),
                where="--nodes",
                fix="repeat --nodes for nodes of another kind",
            )
        count = int(match[1] or 1)
        nodes += [
            Node(f"node {len(nodes) + index + 1}", float(has["CPU"]), float(has.get("GPU", 0)))
            for index in range(count)
        ]
    return nodes


def _count(number: float, unit: str) -> str:
    return f"no {unit}" if not number else f"{number:g} {unit}{'' if number == 1 else 's'}"
