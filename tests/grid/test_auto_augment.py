"""Augmentation policies as text: what can be read, against timm, and what is said about the rest."""

from __future__ import annotations

import math

import pytest
from timm.data import auto_augment as timm
from torchvision.transforms import AutoAugment, AutoAugmentPolicy

from suite.errors import InputError
from suite.grid.auto_augment import LEARNED_POLICIES, RAND_OPERATIONS, RandAugment, parse_policy


@pytest.mark.parametrize(
    "text",
    ["rand", "rand-m9-mstd0.5-inc1", "rand-n3-p0.7-m12-mmax15", "rand-inc0-m0", "rand-mstd101-m7"],
)
def test_a_string_means_what_it_means_to_timm(text: str) -> None:
    ours = parse_policy(text)
    assert isinstance(ours, RandAugment)
    theirs = timm.rand_augment_transform(text, {})
    assert ours.layers == theirs.num_layers
    assert len(theirs.ops) == len(RAND_OPERATIONS)
    for name, op in zip(RAND_OPERATIONS, theirs.ops, strict=True):
        assert op.name.removesuffix("Increasing") == name
        assert op.prob == ours.probability
        assert op.magnitude == ours.magnitude
        assert op.magnitude_std == ours.magnitude_std
        assert (op.magnitude_max or 10) == ours.magnitude_max
    assert ("ColorIncreasing" in {op.name for op in theirs.ops}) == ours.increasing


def test_a_large_deviation_means_uniform() -> None:
    for text in ("rand-mstd101", "rand-mstdinf"):
        policy = parse_policy(text)
        assert isinstance(policy, RandAugment)
        assert policy.magnitude_std == math.inf


def test_the_learned_policy_is_torchvisions() -> None:
    theirs = AutoAugment(AutoAugmentPolicy.CIFAR10).policies
    assert [tuple((name, p, bin_ or 0) for name, p, bin_ in pair) for pair in theirs] == list(
        LEARNED_POLICIES["cifar10"].pairs
    )


@pytest.mark.parametrize(
    ("text", "character", "found"),
    [
        ("", 1, "''"),
        ("augmix-m5", 1, "'augmix'"),
        ("RAND-m9", 1, "'RAND'"),
        ("rand-m9-tweights", 9, "'tweights'"),
        ("rand-m9--inc1", 9, "''"),
        ("rand-m9.5", 6, "'m9.5'"),
        ("rand-m", 6, "'m'"),
        ("rand-minf", 6, "'minf'"),
        ("rand-m9-m8", 9, "'m8'"),
        ("rand-m9-inc2", 9, "'inc2'"),
        ("rand-n0", 6, "'n0'"),
        ("rand-n999", 6, "'n999'"),
        ("rand-p1.5", 6, "'p1.5'"),
        ("rand-m9-mstd0.5x", 9, "'mstd0.5x'"),
        ("rand-m9\n", 6, r"'m9\\n'"),
        ("rand-m९", 6, "'m९'"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_place(text: str, character: int, found: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_policy(text)
    (problem,) = caught.value.problems
    assert f"at character {character} of" in problem.what
    assert problem.found == found.replace(r"\\n", r"\n")
    assert problem.expected == "cifar10, or rand and its settings, such as rand-m9-mstd0.5-inc1"
    assert problem.fix
