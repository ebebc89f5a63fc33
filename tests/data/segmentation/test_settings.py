"""The settings of masks on the command line and in the checksum."""

from __future__ import annotations

import pytest

from suite.data.segmentation.settings import Segmentation, parse_segmentation
from suite.errors import InputError


def test_options_and_settings_are_inverse():
    rule = parse_segmentation("classes=11,first_value=1,train=train+extra,test=val")
    assert rule.split_names == {"train": ["train", "extra"], "test": ["val"]}
    assert parse_segmentation(rule.options.removeprefix("--segmentation ")) == rule


def test_each_setting_is_in_the_checksum():
    rule = parse_segmentation("classes=11")
    changes = [{"classes": 12}, {"first_value": 1}, {"train": "other"}, {"test": "other"}, {"height": 9}, {"width": 9}]
    changes.append({"covers": "counts"})
    assert {key for change in changes for key in change} == set(Segmentation.model_fields)
    others = [rule.model_copy(update=change) for change in changes]
    assert len({one.checksum("a" * 64) for one in (rule, *others)}) == 8
    assert rule.checksum("a" * 64) != rule.checksum("b" * 64)


def test_the_counts_are_in_the_checksum_of_counts():
    rule = parse_segmentation("classes=11,height=360,width=480,covers=counts")
    assert parse_segmentation(rule.options.removeprefix("--segmentation ")) == rule
    counts = [(20, 5, 96, 3), (21, 5, 96, 3), (20, 6, 96, 3), (20, 5, 97, 3), (20, 5, 96, 1)]
    assert len({rule.counted(*one) for one in counts}) == len(counts)


def test_settings_without_sizes_are_written_as_before_there_were_sizes():
    rule = parse_segmentation("classes=11")
    assert rule.model_dump() == {"classes": 11, "first_value": 0, "train": "train", "test": "val"}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "''"),
        ("train=a", "no classes"),
        ("classes=many", "'classes=many'"),
        ("classes=1", "classes=1: for classes, a number of at least 2"),
        ("classes=255", "classes=255: for classes, a number of at most 254"),
        ("classes=2,classes=3", "classes twice"),
        ("classes=2,first_value=2", "first_value=2: for first_value, 0 or 1"),
        ("classes=2,height=7,width=30", "height=7: for height, a number of at least 8"),
        ("classes=2,covers=pixels", "covers=pixels: for covers, 'counts'"),
        ("classes=2,size=3", "an unknown key 'size'"),
    ],
)
def test_refused(text: str, found: str):
    with pytest.raises(InputError) as refused:
        parse_segmentation(text)
    (problem,) = refused.value.problems
    assert found in f"{problem.found}: {problem.expected}"
    assert problem.where == f"--segmentation {text}"


@pytest.mark.parametrize(
    ("text", "expected", "found"),
    [
        ("classes=2,height=30", "height and width, or neither", "classes=2,height=30"),
        ("classes=2,train=../up", "names of lists or folders", "train=../up"),
        ("classes=2,train=a,test=b+a", "each name once", "classes=2,train=a,test=b+a"),
    ],
)
def test_what_does_not_fit_together(text: str, expected: str, found: str):
    with pytest.raises(InputError) as refused:
        parse_segmentation(text)
    (problem,) = refused.value.problems
    assert problem.expected.startswith(expected)
    assert problem.found == found
    assert problem.where == f"--segmentation {text}"
