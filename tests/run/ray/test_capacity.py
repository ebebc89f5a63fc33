"""How many trials run at once: against packings that are tried out one by one."""

from __future__ import annotations

from fractions import Fraction
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suite.errors import InputError
from suite.run.ray.capacity import Needs, Node, capacity, default_gpus, kinds, parse_nodes, room


@cache
def packed(cpus: int, free: tuple[Fraction, ...], needs_cpus: int, needs_gpus: Fraction) -> int:
    """The most trials that any way to give out CPUs and GPUs one after another comes to. free: of each GPU."""
    if cpus < needs_cpus:
        return 0
    if needs_gpus == 0:
        return 1 + packed(cpus - needs_cpus, free, needs_cpus, needs_gpus)
    best = 0
    if needs_gpus < 1:
        for index, left in enumerate(free):
            if left >= needs_gpus:
                rest = tuple(sorted((*free[:index], left - needs_gpus, *free[index + 1 :])))
                best = max(best, 1 + packed(cpus - needs_cpus, rest, needs_cpus, needs_gpus))
    else:
        whole = [index for index, left in enumerate(free) if left == 1]
        if len(whole) >= needs_gpus:
            taken = set(whole[: int(needs_gpus)])
            rest = tuple(left for index, left in enumerate(free) if index not in taken)
            best = 1 + packed(cpus - needs_cpus, rest, needs_cpus, needs_gpus)
    return best


gpus_of_a_trial = st.one_of(
    st.just(Fraction(0)), st.integers(2, 5).map(lambda k: Fraction(1, k)), st.integers(1, 4).map(Fraction)
)


@given(
    nodes=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 4)), min_size=1, max_size=5),
    cpus=st.integers(1, 4),
    gpus=gpus_of_a_trial,
    trials=st.integers(1, 60),
)
def test_a_cluster_holds_what_the_best_packing_holds(
    nodes: list[tuple[int, int]], cpus: int, gpus: Fraction, trials: int
) -> None:
    cluster = [Node(str(index), float(has[0]), float(has[1])) for index, has in enumerate(nodes)]
    expected = [packed(has[0], (Fraction(1),) * has[1], cpus, gpus) for has in nodes]
    needs = Needs(cpus, float(gpus))
    if not sum(expected):
        with pytest.raises(InputError, match=r"a node with|no node has any"):
            capacity(cluster, needs, trials)
        return
    found = capacity(cluster, needs, trials)
    assert [fits for _, fits in found.per_node] == expected
    assert found.at_once == min(trials, sum(expected))
    assert found.most == sum(expected)


@given(shares=st.integers(2, 100))
def test_ray_is_asked_for_a_share_of_which_as_many_fit_a_gpu(shares: int) -> None:
    """It counts in ten-thousandths."""
    needs = Needs(1, round(1 / shares, 4))
    assert needs.shares == shares
    ten_thousandths = round(needs.ray_gpus * 10_000)
    assert needs.ray_gpus == ten_thousandths / 10_000
    assert 10_000 // ten_thousandths == shares


def test_64_nodes_with_8_gpus_each() -> None:
    nodes = parse_nodes(["64xCPU:64,GPU:8"])
    assert len(nodes) == 64
    assert capacity(nodes, Needs(4, 1), 10_000).at_once == 512
    assert capacity(nodes, Needs(4, 0.5), 10_000).at_once == 1024
    assert capacity(nodes, Needs(8, 0.25), 10_000).at_once == 512  # the CPUs are what is scarce
    assert capacity(nodes, Needs(1, 8), 10_000).at_once == 64
    few = capacity(nodes, Needs(4, 1), 100)
    assert (few.at_once, few.most) == (100, 512)
    assert few.line == ("100 trials of 4 CPUs and 1 GPU (there is room for 512); 64 nodes with 64 CPUs, 8 GPUs: 8 each")


def test_nodes_of_several_kinds() -> None:
    nodes = parse_nodes(["2xCPU:8,GPU:1", "cpu:4", "CPU:0"])
    assert [room(node, Needs(1, 0.5)) for node in nodes] == [2, 2, 0, 0]
    assert default_gpus(nodes) == 1
    assert default_gpus(nodes[2:]) == 0
    assert kinds(nodes) == "2 × 8 CPUs, 1 GPU; 4 CPUs, no GPU; no CPU, no GPU"
    assert [room(node, Needs(1)) for node in nodes] == [8, 8, 4, 0]


@pytest.mark.parametrize("text", ["", "64", "64xGPU:8", "CPU", "CPU:x", "-1xCPU:1", "999999999xCPU:1", "CPU:1;GPU:1"])
def test_nodes_that_cannot_be_read(text: str) -> None:
    with pytest.raises(InputError, match="nodes that can't be read"):
        parse_nodes([text])


@pytest.mark.parametrize("gpus", [0.7, 0.4, 1.5, 2.01, -1, 0.001, float("inf"), float("nan")])
def test_a_share_that_leaves_a_useless_rest_is_refused(gpus: float) -> None:
    with pytest.raises(InputError, match="an impossible number of GPUs per trial"):
        Needs(1, gpus)


@pytest.mark.parametrize(("gpus", "shares"), [(0.5, 2), (0.33, 3), (0.3333, 3), (0.25, 4), (0.143, 7), (0.1, 10)])
def test_shares_as_people_write_them(gpus: float, shares: int) -> None:
    assert Needs(1, gpus).shares == shares


def test_gpus_where_there_are_none_are_told_as_such() -> None:
    with pytest.raises(InputError, match=r"no node has any[\s\S]*2 × 4 CPUs, no GPU") as caught:
        capacity(parse_nodes(["2xCPU:4"]), Needs(1, 1), 10)
    assert "leave out --gpus-per-trial" in caught.value.problems[0].fix
    with pytest.raises(InputError, match="no node can ever run"):
        capacity(parse_nodes(["2xCPU:4,GPU:1"]), Needs(1, 2), 10)
