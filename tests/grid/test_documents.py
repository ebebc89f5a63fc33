"""YAML files: what is read, and what is said about what can't be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field

from suite.errors import InputError
from suite.grid import documents
from suite.grid.documents import load_document, read_document
from suite.grid.yaml import load_yaml


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    width: int = Field(ge=1, description="channels")


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    rate: float
    inner: Inner
    items: list[Inner] = []


def write(folder: Path, text: str) -> Path:
    path = folder / "some.yaml"
    path.write_text(text)
    return path


def problems(folder: Path, text: str) -> list[str]:
    with pytest.raises(InputError) as caught:
        load_document(write(folder, text), Outer)
    return [str(problem) for problem in caught.value.problems]


def test_yaml_1_2_numbers_and_words(tmp_path: Path) -> None:
    path = write(tmp_path, "a: 5e-4\nb: no\nc: 1e3\nd: [on, 0o17, 012]\ne: true\n")
    values = read_document(path).values
    assert values == {"a": 5e-4, "b": "no", "c": 1e3, "d": ["on", 15, 12], "e": True}
    assert type(values["a"]) is float  # not the loader's own type
    assert type(values["d"][1]) is int


def test_a_good_file(tmp_path: Path) -> None:
    outer = load_document(write(tmp_path, "rate: 5e-4\ninner: {width: 3}\n"), Outer)
    assert outer == Outer(rate=5e-4, inner=Inner(width=3))


def test_every_problem_is_told_with_its_line(tmp_path: Path) -> None:
    told = problems(tmp_path, "rate: fast\ninner:\n  widht: 3\nitems:\n  - width: 1\n  - width: 0\n")
    assert len(told) == 4
    assert any("rate" in text and "line 1" in text and "'fast' (str)" in text for text in told)
    assert any(
        "unknown key 'inner.widht'" in text and "line 3" in text and "did you mean 'width'?" in text for text in told
    )
    assert any("'inner.width' is missing" in text and "line 2" in text and "channels" in text for text in told)
    assert any("items.1.width" in text and "line 6" in text and "a number of at least 1" in text for text in told)


@pytest.mark.parametrize(
    ("text", "what", "line"),
    [
        ("rate: 1\nrate: 2\n", "the same key twice", 2),
        ("rate: [1\ninner: 2\n", "not YAML", 2),
        ("\trate: 1\n", "not YAML", 1),
        ("a: &a {x: 1}\nb:\n  <<: *a\n", "a merge key", 3),
        ("a: 1\n{b: 1}: 2\n", "a key that is no word", 2),
        ("a: 1\n? [b]\n: 2\n", "a key that is no word", 2),
        ("a: " + "[" * 9999, "nested too deeply", 1),
        ("\n".join("  " * depth + "a:" for depth in range(999)), "nested too deeply", 21),
        ("a: 1\nb: " + "9" * 5000, "a number that is too long", 2),
        ("a: 1\nb: 0x" + "f" * 5000, "a number that is too long", 2),
        ("a: 1\nb: -1." + "9" * 400 + "e5", "a number that is too long", 2),
        ("a: &a0 [1, 1]\n" + "".join(f"b{i}: &a{i + 1} [*a{i}, *a{i}]\n" for i in range(40)), "too many values", 16),
        ("a: &a 1\nb: [*a]\nc: &a 2\n", "the same anchor twice", 3),
        ("a: 1\nb: &a [*a]\n", "a value inside itself", 2),
        ("a: &a {b: [{c: *a}]}\n", "a value inside itself", 1),
        ("%YAML 1.1\n---\na: yes\n", "another version of YAML", 2),
        ("a: 1\nb: !!set {c}\n", "a YAML tag", 2),
        ("a: 2026-02-30\n", "not YAML", None),
        ('a: "\\Uffffffff"\n', "not YAML", None),
        ("a: \0\n", "not YAML", None),
        ('a: 1\nb: "x \\ud800 y"\n', "half of a character", 2),
        ('a: [{"\\udfff": 1}]\n', "half of a character", 1),
        ('a: |\n  x\n"\\uDC00b": 1\n', "half of a character", 3),
        ("- 1\n- 2\n", "doesn't hold what it should", None),
        ("", "doesn't hold what it should", None),
        ("just words", "doesn't hold what it should", None),
    ],
)
def test_what_is_no_mapping(tmp_path: Path, text: str, what: str, line: int | None) -> None:
    (told,) = problems(tmp_path, text)
    assert what in told
    assert f"some.yaml{f', line {line}' if line else ''}" in told


def test_what_looks_odd_but_is_good(tmp_path: Path) -> None:
    digest = "9" + "ab12" * 15 + "e01"  # 64 hexadecimal digits in no quotes
    text = f"\ufeffa: &a [1, 2]\nb: *a\nc: {digest}\n'<<': {'-'.join('123456789' * 9)}\n"
    values = read_document(write(tmp_path, text)).values
    assert values == {"a": [1, 2], "b": [1, 2], "c": digest, "<<": "-".join("123456789" * 9)}


def test_numbers_are_not_read_from_strings_nor_truth_from_numbers(tmp_path: Path) -> None:
    (told,) = problems(tmp_path, "rate: '1.0'\ninner: {width: 1}\n")
    assert "'1.0' (str)" in told
    (told,) = problems(tmp_path, "rate: 1.0\ninner: {width: true}\n")
    assert "True (bool)" in told


def test_a_large_value_is_told_by_what_it_is(tmp_path: Path) -> None:
    (told,) = problems(tmp_path, f"rate: {list(range(99))}\ninner: {{width: 1}}\n")
    assert "found:      a list of 99\n" in told
    (told,) = problems(tmp_path, f"rate: {'x' * 999}\ninner: {{width: 1}}\n")
    assert len(told) < 500
    keys = ", ".join(f"key{i}: {i}" for i in range(50))
    (told,) = problems(tmp_path, f"rate: {{{keys}}}\ninner: {{width: 1}}\n")
    assert "the keys key0, key1" in told
    assert len(told) < 500


def test_a_missing_file_names_the_nearest(tmp_path: Path) -> None:
    write(tmp_path, "name: a\nseeds: [0]\n")
    with pytest.raises(InputError, match=r"did you mean 'some.yaml'") as caught:
        read_document(tmp_path / "sone.yaml")
    assert "no such file" in str(caught.value)


def test_files_of_other_programs_are_not_suggested(tmp_path: Path) -> None:
    for name, text in (("fig.yaml", "repos: []\n"), (".grid.yaml", "seeds: [0]\n"), ("gridd.yaml", "\xff\n")):
        (tmp_path / name).write_text(text, encoding="latin-1")
    (tmp_path / "folder.yaml").mkdir()
    with pytest.raises(InputError) as caught:
        read_document(tmp_path / "grid.yaml")
    (problem,) = caught.value.problems
    assert problem.fix == f"there is no grid, recipe or claim file in {tmp_path}; give another path"
    (tmp_path / "recipe.yaml").write_text("version: 1\nepochs: 3\n")
    (tmp_path / "claims.yaml").write_text("# of a paper\nvalues:\n  - id: a\n")
    with pytest.raises(InputError) as caught:
        read_document(tmp_path / "grid.yaml")
    assert caught.value.problems[0].fix.endswith(f"choose one of: claims.yaml, recipe.yaml, in {tmp_path}")


def test_a_folder_and_binary_data_are_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="can't be read"):
        read_document(tmp_path)
    (tmp_path / "x.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="can't be read"):
        read_document(tmp_path / "x.yaml")


class TestOverrides:
    def test_values_are_yaml_and_keep_their_place_in_errors(self, tmp_path: Path) -> None:
        document = read_document(write(tmp_path, "rate: 1\ninner: {width: 3}\n"))
        document.override("rate=5e-4")
        document.override("inner.width=7")
        document.override("items=[{width: 2}]")
        assert document.validate(Outer) == Outer(rate=5e-4, inner=Inner(width=7), items=[Inner(width=2)])
        document.override("inner.width=wide")
        with pytest.raises(InputError, match=r"where: +--set inner\.width=wide"):
            document.validate(Outer)

    def test_what_an_override_replaced_is_no_longer_the_place(self, tmp_path: Path) -> None:
        document = read_document(write(tmp_path, "rate: 1\ninner: {width: 3}\nitems:\n  - width: 1\n"))
        document.override("items=[{width: wide}]")
        with pytest.raises(InputError, match=r"where: +--set items=\[\{width: wide\}\]"):
            document.validate(Outer)

    def test_a_recipe_that_was_a_name_becomes_a_base(self, tmp_path: Path) -> None:
        document = read_document(write(tmp_path, "recipe: digits\n"))
        document.override("recipe.epochs=3")
        assert document.values == {"recipe": {"base": "digits", "epochs": 3}}

    @pytest.mark.parametrize("text", ["epochs", "=3", "a..b=3", "rate.x=3", "inner.width=[1"])
    def test_bad_ones_are_refused(self, tmp_path: Path, text: str) -> None:
        document = read_document(write(tmp_path, "rate: 1\ninner: {width: 3}\n"))
        with pytest.raises(InputError, match="--set"):
            document.override(text)


def test_a_file_is_parsed_once_and_each_reader_has_a_copy_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed: list[str] = []

    def counted(text: str, where: str) -> Any:
        parsed.append(where)
        return load_yaml(text, where)

    monkeypatch.setattr(documents, "load_yaml", counted)
    path = tmp_path / "a.yaml"
    path.write_text("a: {b: [1, 2]}\n")
    first, second = read_document(path), read_document(path)
    first.values["a"]["b"].append(3)
    first.lines.clear()
    assert second.values == {"a": {"b": [1, 2]}}
    assert second.lines
    assert parsed == [str(path)]
    path.write_text("a: {b: [1]}\n")
    assert read_document(path).values == {"a": {"b": [1]}}


@pytest.mark.parametrize("assignment", ['a="\\ud800"', 'a=["\\udfff"]', "a=\udcff", "a.\udcff=1", "\ud800"])
def test_an_override_with_half_of_a_character_is_refused(tmp_path: Path, assignment: str) -> None:
    """What a shell passes on that isn't UTF-8 has them too."""
    document = read_document(write(tmp_path, "a: {b: 1}\n"))
    with pytest.raises(InputError) as caught:
        document.override(assignment)
    str(caught.value).encode()  # the message can be printed and written
    assert document.values == {"a": {"b": 1}}
