"""`lape plan --address` and `--nodes`: how many of a grid's trials run at once on a cluster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from suite.errors import InputError
from suite.run.opened_grid import OpenGrid
from suite.run.plan import make_plan
from suite.run.ray.capacity import Capacity, Needs, capacity, default_gpus, parse_nodes


def find_room(
    opened: OpenGrid, address: str | None, described: Sequence[str], threads: int, gpus: float | None
) -> Capacity:
    """What is asked of the cluster at the address, or of nodes as they are described.

    Raises:
        InputError: there is no such cluster, or none of its nodes could ever run such a trial.
    """
    if address is not None and described:
        raise InputError(
            "a cluster, and nodes besides",
            expected="either --address or --nodes",
            found="both",
            where="lape plan",
            fix="leave one of the two out",
        )
    if address is None:
        nodes, where = parse_nodes(described), "--nodes"
    else:
        from suite.run.ray.cluster import ask_nodes

        nodes, where = ask_nodes(address), "--address"
    needs = Needs(threads, default_gpus(nodes) if gpus is None else gpus)
    needs = replace(needs, cpus=threads * max(1, int(needs.gpus)))  # a process of so many threads for each GPU
    to_do = make_plan(opened.expansion, opened.store.records()).to_do
    return capacity(nodes, needs, max(1, len(to_do)), where)
