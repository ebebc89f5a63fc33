"""Lists from files: the published form, and what doesn't parse."""

from __future__ import annotations

import re

import numpy as np
import pytest

from suite.data.listops.reading import evaluate, parse_list, read_lists
from suite.data.listops.settings import SYMBOLS, parse_listops
from suite.errors import InputError
from suite.text import Progress

NESTED = "( ( ( ( [MED 2 ) ( ( ( [SM 9 ) 4 ) ] ) ) 7 ) ] )"  # as the published generator writes [MED 2 [SM 9 4 ] 7 ]
HEADER = "Source\tTarget"


def read(folder, train, test, lengths="min_length=1,max_length=12", counts="train=2,test=1"):
    for name, lines in (("basic_train.tsv", train), ("basic_test.tsv", test)):
        if lines is not None:
            (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    with Progress("reading") as progress:
        return read_lists(folder, parse_listops(f"{lengths},{counts}"), progress)


def test_published_files_are_read(tmp_path):
    splits = read(tmp_path, [HEADER, f"{NESTED}\t3", "( ( ( [MAX 1 ) 8 ) ] )\t8"], [HEADER, "( ( [MIN 5 ) ] )\t5"])
    train, test = splits["train"], splits["test"]
    assert [train.labels.tolist(), test.labels.tolist()] == [[3, 8], [5]]
    assert (train.images.shape, test.images.shape) == ((2, 1, 12, 1), (1, 1, 12, 1))
    row = train.images[0, 0, :, 0]
    assert [SYMBOLS[token] for token in row[row > 0]] == ["[MED", "2", "[SM", "9", "4", "]", "7", "]"]
    assert row.dtype == np.uint8


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("[MAX 1 2 ] 3", "'3' after the end of the list, at token 5"),
        ("[MAX 1 2 ] ]", "']' after the end of the list, at token 5"),
        ("] 1", "a ']' that closes no list, at token 1"),
        ("[MAX 1 [SM 2 ]", "1 list never closed"),
        ("[MAX ]", "'[MAX' without arguments, closed at token 2"),
        ("[AVG 1 2 ]", "the symbol '[AVG'"),
        ("padding", "the symbol 'padding'"),
        ("10", "the symbol '10'"),
        ("", "no list"),
    ],
)
def test_what_does_not_parse(text, found):
    with pytest.raises(ValueError, match=f"^{re.escape(found)}$"):
        evaluate(parse_list(text))


@pytest.mark.parametrize(
    ("lines", "found", "where"),
    [
        (["[MAX 1 2 ]\t2", "[MAX 1 2\t2"], "1 list never closed", ", line 3"),
        (["[MAX 1 2 ]\t1"], "'1' as Target", ", line 2"),
        (["[MAX 1 2 ]"], "'' as Target", ", line 2"),
        (["5\t5"], "1 tokens", ", line 2"),
        (["[MAX 1 2 3 4 5 6 7 8 9 0 1 2 ]\t9"], "14 tokens", ", line 2"),
        (["[MAX 1 2 ]\t2"], "1", ""),
        (["[MAX 1 2 ]\t2"] * 3, "more", ", line 4"),
    ],
)
def test_lists_that_are_refused(tmp_path, lines, found, where):
    with pytest.raises(InputError, match="lists of a file can't be used") as caught:
        read(tmp_path, [HEADER, *lines], [HEADER, "[MAX 1 2 ]\t2"])
    (problem,) = caught.value.problems
    assert (problem.found, problem.where) == (found, f"{tmp_path / 'basic_train.tsv'}{where}")


def test_files_that_are_refused(tmp_path):
    with pytest.raises(InputError, match="can't be read") as caught:
        read(tmp_path, None, None)
    assert caught.value.problems[0].found == "No such file or directory"
    with pytest.raises(InputError, match="the columns Source and Target"):
        read(tmp_path, ["[MAX 1 2 ]\t2"], None)
    (tmp_path / "basic_train.tsv").write_bytes(b"Source\tTarget\n\xff\t1\n")
    with pytest.raises(InputError, match="can't be read"):
        read(tmp_path, None, None)
