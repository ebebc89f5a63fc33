"""Tables against golden files.

To write them anew, when a change is meant: python -m tests.report.tables.test_summary
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from suite.report.tables import render, terminal
from suite.report.tables.rows import rows, summary
from suite.report.tables.summary import count_text, summary_table, write_tables
from suite.report.tables.table import Table
from suite.store.frames import load_frame
from tests.conftest import REPOSITORY
from tests.frames import GPU, frame_of, paired_rows, run

GOLDEN = REPOSITORY / "tests" / "golden_tables"


def table_of(frame: pd.DataFrame, budget: str = "") -> Table:
    return summary_table(rows(frame), budget)


def in_terminal(table: Table, width: int = 100) -> str:
    console = Console(width=width, file=io.StringIO(), color_system=None, legacy_windows=False)
    console.print(terminal.to_terminal(table, width))
    assert isinstance(console.file, io.StringIO)
    return "".join(f"{line.rstrip()}\n" for line in console.file.getvalue().splitlines())


RENDERERS: dict[str, Callable[[Table], str]] = {
    "summary.csv": render.to_csv,
    "summary.md": render.to_markdown,
    "summary.tex": render.to_latex,
    "summary.html": render.to_html,
    "terminal.txt": in_terminal,
}


@pytest.fixture(scope="module")
def golden() -> pd.DataFrame:
    """Twenty-nine runs: equal gains, a diverged trial, one without memory, and a pair on two machines."""
    return load_frame(GOLDEN / "runs.jsonl")


@pytest.mark.parametrize("name", RENDERERS)
def test_the_golden_tables(golden: pd.DataFrame, name: str) -> None:
    assert RENDERERS[name](table_of(golden)) == (GOLDEN / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", RENDERERS)
def test_the_order_of_the_runs_doesnt_matter(golden: pd.DataFrame, name: str) -> None:
    shuffled = golden.sample(frac=1, random_state=1)
    assert RENDERERS[name](table_of(shuffled)) == RENDERERS[name](table_of(golden))


def test_gains_of_norms_and_losses_are_over_the_usual_ones() -> None:
    """A join counts first, then a loss, then a norm; bn is a treatment of transformers, and the usual of others."""
    cells: list[dict[str, str]] = [
        {}, {"norm": "bn"}, {"norm": "dtn"}, {"norm": "dtn", "loss": "diversepatch"}, {"norm": "dtn", "join": "lape"},
        {"arch": "resnet20", "norm": "bn"}, {"arch": "resnet20", "norm": "l2bn"},
    ]  # fmt: skip
    frame = frame_of(run(seed, 60 + place + seed, **cell) for place, cell in enumerate(cells) for seed in (0, 1))
    gains = {
        (row.cell["arch"], row.cell["norm"], row.cell["loss"], row.cell["join"]): row.comparison
        and (row.comparison.axis, row.comparison.baseline.level, row.comparison.gain.mean)
        for row in rows(frame)
    }
    vit = "vit_lite_digits"
    assert gains == {
        (vit, "ln", "default", "default"): None,
        (vit, "bn", "default", "default"): ("norm", "ln", 1.0),
        (vit, "dtn", "default", "default"): ("norm", "ln", 2.0),
        (vit, "dtn", "diversepatch", "default"): ("loss", "default", 1.0),
        (vit, "dtn", "default", "lape"): ("join", "default", 2.0),
        ("resnet20", "bn", "default", "default"): None,
        ("resnet20", "l2bn", "default", "default"): ("norm", "bn", 1.0),
    }
    assert any("usual norm" in note for note in table_of(frame).below)
    assert not any("usual norm" in note for note in table_of(frame_of(paired_rows([0.1, 0.2]))).below)


def test_the_summary_by_hand() -> None:
    rows = paired_rows([0.25, 0.5, 0.75], base=90.0, params=22_000_000.0)
    default, lape = summary(frame_of(rows)).to_dict("records")
    assert (default["join"], lape["join"]) == ("default", "lape")
    assert (lape["n"], lape["failed"], lape["pairs"]) == (3, 0, 3)
    assert default["top1_mean"] == pytest.approx((90 + 90.1 + 90.2) / 3)
    assert default["top1_sd"] == pytest.approx(0.1)
    assert default["best_epoch_mean"] == pytest.approx(default["top1_mean"] + 0.5)
    assert math.isnan(default["gain"])
    assert pd.isna(default["pairs"])
    assert lape["gain"] == pytest.approx(0.5)
    half = 4.302652729911275 * 0.25 / math.sqrt(3)  # Student's t at 0.975 with two degrees of freedom
    assert (lape["gain_low"], lape["gain_high"]) == pytest.approx((0.5 - half, 0.5 + half))
    assert lape["params"] == 22_000_000


def test_axes_are_columns_only_where_they_vary() -> None:
    plain = paired_rows([0.1, 0.2])
    assert not {"norm", "loss", "recipe", "recipe_id"} & set(summary(frame_of(plain)))
    other = paired_rows([0.1, 0.2], norm="l2bn", recipe="long", recipe_id="f" * 16)
    found = summary(frame_of(plain + other))
    assert {"norm", "recipe"} <= set(found)
    assert "recipe_id" not in found  # the names are enough
    photos = paired_rows([0.1, 0.2], dataset="cifar10", recipe_id="e" * 16)  # an id covers the data, too
    assert "recipe_id" not in summary(frame_of(plain + photos))
    changed = paired_rows([0.1, 0.2], recipe_id="f" * 16)
    assert "recipe_id" in summary(frame_of(plain + changed))
    assert "norm" in summary(frame_of(other))  # not what a reader expects, so it is said


def test_rows_come_default_first_and_in_the_order_of_the_registries() -> None:
    rows = [
        run(0, arch=arch, pe=pe, join=join)
        for arch in ("vit_lite_digits", "cct_digits")
        for pe in ("sin1d", "learnable")
        for join in ("lape", "default")
    ]
    found = summary(frame_of(rows))[["arch", "pe", "join"]].to_numpy().tolist()
    assert found == [
        [arch, pe, join]
        for arch in ("cct_digits", "vit_lite_digits")
        for pe in ("learnable", "sin1d")
        for join in ("default", "lape")
    ]


def test_what_a_number_would_hide_is_a_note() -> None:
    rows = [*paired_rows([0.3, 0.1, 0.2]), run(3), run(3, status="timeout", join="lape"), run(4, join="lape")]
    notes = summary(frame_of(rows))["notes"].tolist()
    assert notes == ["", "1 of 5 trials failed (1 timeout; seed 3); no pair for seed 4: only one side is finished"]
    sides = [row if row["join"] == "default" else {**row, "environment": GPU} for row in paired_rows([0.3, 0.1])]
    assert "different environments" in summary(frame_of(sides))["notes"].iloc[1]
    assert "n differs between rows: from 4 to 5 seeds" not in render.to_markdown(table_of(frame_of(sides)))
    assert "n differs between rows: from 1 to 2 seeds" in render.to_markdown(table_of(frame_of(sides[1:])))


def test_a_cell_of_failures_alone_prints_dashes() -> None:
    frame = frame_of([run(seed, status="oom", params=math.nan, macs=math.nan) for seed in range(2)])
    (row,) = summary(frame).to_dict("records")
    assert (row["n"], row["failed"]) == (0, 2)
    assert pd.isna(row["params"])
    line = next(line for line in render.to_markdown(table_of(frame)).splitlines() if "learnable" in line)
    assert [cell.strip() for cell in line.split("|")[5:-2]] == ["0", "–", "–", "–", "–", "–", "–"]
    assert "nan" not in "".join(made(table_of(frame)).lower() for made in RENDERERS.values())


@pytest.mark.parametrize("name", RENDERERS)
def test_no_runs_at_all(name: str) -> None:
    assert isinstance(RENDERERS[name](table_of(frame_of([]))), str)


def parse_tabulars(text: str) -> list[list[list[str]]]:
    """The cells of each tabular; fails where LaTeX would: unbalanced braces, bare specials, ragged rows."""
    depth = 0
    for character in re.findall(r"\\.|[{}]", text):
        depth += {"{": 1, "}": -1}.get(character, 0)
        assert depth >= 0
    assert depth == 0
    found = []
    for spec, body in re.findall(
        r"\\begin\{tabular\}\{((?:[^{}]|\{[^{}]*\})*)\}\n(.*?)\\end\{tabular\}", text, re.DOTALL
    ):
        columns = len(re.findall(r"[lrcp]", re.sub(r"@\{\}|\{[^{}]*\}", "", spec)))
        rows = []
        for line in body.splitlines():
            if line in (r"\toprule", r"\midrule", r"\bottomrule"):
                continue
            assert line.endswith(r"\\")
            cells = re.split(r"(?<!\\)&", line.removesuffix(r"\\"))
            spanned = sum(int(width) - 1 for width in re.findall(r"\\multicolumn\{(\d+)\}", line))
            assert len(cells) + spanned == columns
            for cell in cells:
                assert not re.search(r"(?<!\\)[%_#$&]", cell), cell
            rows.append([cell.strip() for cell in cells])
        found.append(rows)
    return found


def test_the_latex_is_sound(golden: pd.DataFrame) -> None:
    table, notes = parse_tabulars(render.to_latex(table_of(golden)))
    assert table[0][:4] == ["Data", "Architecture", "PE", "Join"]
    assert r"Top-1 (\%)" in table[0]
    assert len(table) == 8
    assert table[1][1] == r"cct\_digits"
    assert notes[0][1].startswith("Top-1 of the last epoch")
    assert "−" not in render.to_latex(table_of(golden))  # U+2212 is unknown to pdflatex


class Texts(HTMLParser):
    """What a browser would see: the tags, and the text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


names = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=12)


@settings(max_examples=25, deadline=None)
@given(names)
def test_any_name_is_escaped(name: str) -> None:
    frame = frame_of(paired_rows([0.1, 0.3], arch=name, recipe=name))
    parse_tabulars(render.to_latex(table_of(frame)))
    header, _, *body = render.to_markdown(table_of(frame)).split("\n\n")[0].splitlines()
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in body if "\\\\" not in line} <= {header.count("|")}
    read = pd.read_csv(io.StringIO(render.to_csv(table_of(frame))), keep_default_na=False, dtype=str)
    assert [text.removeprefix("'") for text in read["arch"]] == [name.removeprefix("'")] * 2

    parser = Texts()
    parser.feed(render.to_html(table_of(frame)))
    parser.close()
    assert parser.tags <= {"table", "caption", "thead", "tbody", "tr", "th", "td", "p", "ol", "li"}
    assert name in "".join(parser.texts)
    assert in_terminal(table_of(frame))


def test_a_spreadsheet_runs_no_name_as_a_formula() -> None:
    names = ["=1+1", "+cmd", "-cmd", "@SUM(A1)", "-5"]
    frame = frame_of(row for name in names for row in paired_rows([0.1, 0.3], arch=name))
    read = pd.read_csv(io.StringIO(render.to_csv(table_of(frame))), keep_default_na=False, dtype=str)
    assert set(read["arch"]) == {"'=1+1", "'+cmd", "'-cmd", "'@SUM(A1)", "-5"}
    assert read["gain_low"].str.startswith("-").any()  # numbers stay numbers


def test_the_terminal_table_fits_a_hundred_columns(golden: pd.DataFrame) -> None:
    lines = in_terminal(table_of(golden)).splitlines()
    assert max(map(len, lines)) <= 100
    assert any(line.startswith("vit_lite_digits  learnable  default") for line in lines)
    wide = paired_rows(
        [-10.0, 0.5, 12.0], arch="t2t_vit_14_with_a_long_name", pe="learnable+rpe2d", join="pe_scalar_norm", base=80
    )
    text = in_terminal(table_of(frame_of(wide)))
    assert max(map(len, text.splitlines())) <= 100
    assert re.search(r"\+0\.83 \[−\d\d\.\d\d, \+\d\d\.\d\d\]", text)


def test_a_narrow_terminal_gets_whole_names_before_intervals(golden: pd.DataFrame) -> None:
    text = in_terminal(table_of(golden), 80)
    assert "[95 %]" in text
    text = in_terminal(table_of(golden), 60)
    assert max(map(len, text.splitlines())) <= 60
    assert any(line.startswith("vit_lite_digits learnable default") for line in text.splitlines())
    assert "[95 %]" not in text
    assert "intervals of the gains take" in text


def test_no_name_vanishes_from_a_wide_table() -> None:
    rows = [
        row
        for arch in ("vit_lite_2_4", "cct_2_3x2")
        for recipe, recipe_id in (("cifar_subset", "a" * 16), ("compact_transformers_cifar100", "b" * 16))
        for dataset in ("cifar10", "cifar100")
        for row in paired_rows([1, 2.5, 4], arch=arch, dataset=dataset, recipe=recipe, recipe_id=recipe_id, base=40)
    ]
    text = in_terminal(table_of(frame_of(rows)))
    assert "vit_lite_2_4" in text
    assert "compact_transformers_cifar100" in text
    assert max(map(len, text.splitlines())) <= 100
    assert re.search(r"\+2\.50 \[.*\]\n", text) or "intervals of the gains take" in text
    assert in_terminal(table_of(frame_of(paired_rows([1.0, 2.5, 4.0], arch="a" * 60))))


LONG = "deit+batch_size=8+epochs=2+lr=0.001+repeats=3+resizer={}+warmup_epochs=0"


def of_long_recipes() -> Table:
    rows = [
        row
        for letter, resizer in zip("ab", ("pillow", "torch"), strict=True)
        for row in paired_rows([8.3, 8.4, 8.2], recipe=LONG.format(resizer), recipe_id=letter * 16, base=12.5)
    ]
    return table_of(frame_of(rows))


@pytest.mark.parametrize("width", [48, 50, 60, 80, 100, 200])
def test_no_number_is_cut_where_names_are_long(width: int) -> None:
    text = in_terminal(of_long_recipes(), width)
    assert max(map(len, text.splitlines())) <= width
    assert len(re.findall(r"12\.60 ± 0\.10", text)) == 2
    assert len(re.findall(r"20\.90 ± 0\.10", text)) == 2
    assert len(re.findall(r"\+8\.30\b", text)) == 2


def test_a_terminal_shows_what_differs_between_recipes() -> None:
    text = in_terminal(of_long_recipes())
    assert "resizer=pillow" in text
    assert "resizer=torch" in text
    assert text.count("warmup_epochs") == 1
    assert "Recipe: what all rows share is deit+batch_size=8+epochs=2+lr=0.001+repeats=3+warmup_epochs=0." in " ".join(
        text.split()
    )
    assert text == in_terminal(of_long_recipes())
    assert LONG.format("torch") in in_terminal(of_long_recipes(), 250)  # there is room for all of it


def test_the_recipes_id_is_shown_only_where_its_name_is_ambiguous_on_a_data_set() -> None:
    rows = paired_rows([1.0, 2.0], recipe_id="a" * 16)
    rows += paired_rows([1.0, 2.0], dataset="cifar10", recipe_id="b" * 16)  # of other data the id always differs
    assert "recipe_id" not in summary(frame_of(rows))
    other = paired_rows([1.0, 2.0], arch="cct_digits", recipe_id="c" * 16)
    assert "recipe_id" in summary(frame_of(rows + other))


def test_a_smaller_budget_is_told_in_every_form(golden: pd.DataFrame, tmp_path: Path) -> None:
    note = "ten epochs & no more"
    for path in write_tables(golden, tmp_path, note):
        assert "ten epochs" in path.read_text(encoding="utf-8"), path.name
    assert "Another budget than the paper's: ten epochs & no more." in in_terminal(table_of(golden, note))


def test_counts_have_three_digits() -> None:
    values = (0, 999, 999.6, 1000, 68_426, 999_400, 999_600, 5_717_416, 86_567_656, 1.2588e9, math.nan)
    assert [count_text(value) for value in values] == [
        "0", "999", "1.00 k", "1.00 k", "68.4 k", "999 k", "1.00 M", "5.72 M", "86.6 M", "1.26 G", "–",
    ]  # fmt: skip


def test_tables_are_written(golden: pd.DataFrame, tmp_path: Path) -> None:
    paths = write_tables(golden, tmp_path / "new" / "tables")
    assert [path.name for path in paths] == ["summary.csv", "summary.md", "summary.tex"]
    for path in paths:
        assert path.read_bytes() == (GOLDEN / path.name).read_bytes()


if __name__ == "__main__":
    for golden_name, golden_render in RENDERERS.items():
        (GOLDEN / golden_name).write_text(golden_render(table_of(load_frame(GOLDEN / "runs.jsonl"))), encoding="utf-8")
