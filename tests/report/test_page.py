from __future__ import annotations

import itertools
import json
import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from suite.errors import InputError
from suite.report.figures.curves import MAX_PANELS
from suite.report.page import render
from suite.report.remarks import GridSummary
from suite.report.run_list import SHORT, short_ids
from suite.verdict.claims.reader import load_claims
from suite.verdict.sentences import WORDS
from suite.verdict.verdicts import judge
from tests.conftest import REPOSITORY
from tests.frames import GPU, frame_of, history_of, paired_rows, run
from tests.report.pages import EVIL, Page
from tests.verdict.test_verdicts import CASES, claim

GRID = GridSummary(
    name="small",
    description="Does the gain show?",
    total=12,
    done=10,
    failed=1,
    missing=1,
    seeds=[0, 1, 2, 3, 4],
    recipes={"digits": {"epochs": 30, "lr": 0.001, "betas": [0.9, 0.999], "train_images": None, "flip": False}},
    command="lape run grids/small.yaml --set recipe.epochs=30",
    dropped=[("digits vit none lape", "nothing to join"), ("digits cct none lape", "nothing to join")],
)


def small_frame() -> pd.DataFrame:
    rows = [*paired_rows(CASES["confirmed"]), *paired_rows([0.3, -0.2], arch="cct_digits")]
    rows.append(run(7, status="diverged", join="lape", diverged_step=412, error="Traceback:\n  in step\nloss is nan"))
    return frame_of(rows)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a small grid with every kind of thing in it."""
    frame = small_frame()
    rows = [row for word, gains in CASES.items() for row in paired_rows(gains, arch=word)]
    claims = [claim(id=word, match={"arch": word}) for word in CASES]
    claims[0] = claims[0].model_copy(update={"kind": "analogue", "published_for": "ViT-Lite-7/4 on CIFAR-10"})
    path = tmp_path_factory.mktemp("report") / "small"
    render(GRID, frame, history_of(frame), judge(frame_of(rows), claims), path)
    return path


@pytest.fixture(scope="module")
def page(folder: Path) -> Page:
    return Page((folder / "index.html").read_text(encoding="utf-8"))


def test_all_files_are_written(folder: Path) -> None:
    found = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    assert found == [
        "figures/curves-01.svg", "figures/curves-02.svg", "figures/gains.svg", "index.html",
        "tables/summary.csv", "tables/summary.md", "tables/summary.tex", "verdicts.json",
    ]  # fmt: skip
    assert [verdict["word"] for verdict in json.loads((folder / "verdicts.json").read_text())] == [
        "gain_here", *list(CASES)[1:]
    ]  # fmt: skip


def test_a_smaller_budget_is_told_once_on_the_page_and_in_each_table(tmp_path: Path) -> None:
    frame = frame_of(paired_rows([0.3, -0.2]))
    path = render(replace(GRID, budget="ten epochs"), frame, history_of(frame, 2), [], tmp_path)
    assert Page(path.read_text(encoding="utf-8")).words.count("ten epochs") == 1
    assert "ten epochs" in (tmp_path / "tables" / "summary.csv").read_text(encoding="utf-8")


def test_the_page_needs_nothing_but_itself(page: Page, folder: Path) -> None:
    assert not {tag for tag, _ in page.elements} & {"script", "link", "img", "iframe", "object", "base"}
    policy = next(str(attrs["content"]) for _, attrs in page.elements if "Content-Security-Policy" in attrs.values())
    assert policy.startswith("default-src 'none'")
    text = (folder / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"@import|url\((?!#)|src=", text)
    assert not any(name.startswith("on") for _, attrs in page.elements for name in attrs)
    addresses = set(re.findall(r"https?://[^\s\"'<]+", text))
    assert addresses <= {"http://www.w3.org/1999/xlink", "http://www.w3.org/2000/svg"}  # names, not requests


def test_links_lead_somewhere_and_ids_are_unique(page: Page, folder: Path) -> None:
    ids = page.attributes("id")
    assert len(ids) == len(set(ids))
    for target in (*page.attributes("href"), *page.attributes("xlink:href")):
        assert target[1:] in ids if target.startswith("#") else (folder / target).is_file(), target
    assert set(page.attributes("aria-labelledby")) <= set(ids)


def test_the_page_can_be_read_without_eyes_or_a_mouse(page: Page) -> None:
    assert ("html", {"lang": "en"}) in page.elements
    headings = [tag for tag, _ in page.elements if re.fullmatch(r"h\d", tag)]
    assert headings.count("h1") == 1
    assert all(int(after[1]) <= int(before[1]) + 1 for before, after in itertools.pairwise(headings))
    for tag, attrs in page.elements:
        if tag == "th":  # without a scope: the first cell of a row, in a column of such cells; it heads its row
            assert attrs.get("scope") in ("col", "row", "rowgroup", None)
        if "scroll" in str(attrs.get("class")):
            assert attrs["tabindex"] == "0"
        if attrs.get("role") == "img":
            assert attrs["aria-label"]
    drawings = [attrs for tag, attrs in page.elements if tag == "svg" and attrs.get("role") == "img"]
    assert len(drawings) == len(WORDS) + 2


def test_the_page_says_it_all(page: Page) -> None:
    for text in (
        "10 of 12 trials are done, 1 failed, 1 is still to do",
        "Of 5 verdicts: 1 not tested, 1 contradicted, 1 direction only, 1 inconclusive, 1 gain here. "
        "1 of them carries a published gain over",
        "Claimed +0.84, observed +0.31 [+0.25, +0.37] over 5 pairs, as one of 5 claims: direction only; smaller than "
        "claimed: one of +0.42 or more is ruled out.",
        "An analogue: the paper’s gain is for ViT-Lite-7/4 on CIFAR-10.",
        "Seed default (%) lape (%) Gain Runs 0 93.00 93.80 +0.80",
        "of 10000 test images",
        "Images gained, lost; McNemar’s p seed 0 +80 −0, < 0.0001; seed 1 +88 −0, < 0.0001",
        "at the end: default 93.08 % (n = 5); lape 93.93 % (n = 5)",
        "the loss was not finite at step 412",
        "nothing to join (2)",
        "lape verify grids/small.yaml --set recipe.epochs=30",
        "betas [0.9, 0.999]",
        "train_images none",
        "30 epochs on all training images",
        "With 2 pairs, the intervals are wide",
        "torch 2.15.0, cpu, fp32: 15 runs",
        "from runs of 2026-11-20",
        "One test image is 0.01 points",
    ):
        assert text in page.words, text


def test_a_verdict_leads_to_its_runs_and_back(page: Page, folder: Path) -> None:
    frame = small_frame()
    runs = {str(trial) for trial in frame["trial_id"]}
    ids = page.attributes("id")
    assert {f"run-{trial[:SHORT]}" for trial in runs} <= set(ids)
    assert {f"lape rerun {trial} --grid grids/small.yaml --set recipe.epochs=30" for trial in runs} == set(
        re.findall(r"lape rerun \S+ --grid grids/small.yaml --set recipe.epochs=30", page.words)
    )
    claims = [name for name in ids if name.startswith("claim-")]
    assert claims == [f"claim-{word}" for word in CASES]


def test_each_run_says_where_it_was_made_and_which_claims_count_it(tmp_path: Path) -> None:
    frame = frame_of([*paired_rows([0.3, 0.1, 0.2]), run(9, status="diverged")])
    (verdict,) = judge(frame, [claim(id="c")])
    page = Page(render(GRID, frame, history_of(frame), [verdict], tmp_path, up="../index.html").read_text())
    links = page.attributes("href")
    assert links.count("../index.html") == 2
    assert links.count("#claim-c") == 2  # from the runs of each of its cells
    for side in (verdict.evidence.comparison.baseline, verdict.evidence.comparison.treatment):
        for trial in side.trials.values():
            assert f"#run-{trial[:SHORT]}" in links
    assert links.count("#place-1") == 3  # from each cell's runs, and from the one that no claim counts
    assert "#curves-01" in links


def test_a_run_goes_by_as_much_of_its_id_as_tells_it_from_the_others() -> None:
    assert short_ids(["0123456789abcdef", "1123456789abcdef"]) == {
        "0123456789abcdef": "01234567", "1123456789abcdef": "11234567"
    }  # fmt: skip
    assert set(short_ids(["0123456789abcdef", "012345678fabcdef"]).values()) == {"0123456789", "012345678f"}


def test_a_caveat_of_many_claims_is_one_note(page: Page) -> None:
    check = "the exact sign-flip check can't go below p = 0.0312"
    assert page.words.count(check) == 1
    assert page.attributes("href").count("#note-1") > 1


def test_runs_with_fewer_than_three_tests_are_drawn_as_dots(tmp_path: Path) -> None:
    frame = frame_of(paired_rows([0.3, 0.1, 0.2]))
    for tests, title in ((2, "Accuracies"), (3, "Accuracy curves")):
        page = Page(render(GRID, frame, history_of(frame, tests), [], tmp_path).read_text(encoding="utf-8"))
        drawing = (tmp_path / "figures" / "curves-01.svg").read_text(encoding="utf-8")
        assert title in page.words
        assert ("a dot for each seed" in page.words) == (tests == 2)
        # matplotlib draws each marker as a `use`: of dots there is one per run, and of curves none.
        assert ("top-1 (%) at the end" in drawing) == (tests == 2)
        assert ("epoch" in drawing) == (tests == 3)


def test_the_same_input_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    frame, claims = small_frame(), load_claims([REPOSITORY / "grids" / "claims" / "quickstart.yaml"])
    places = [tmp_path / "a", tmp_path / "b"]
    for place, ordered in zip(places, (frame, frame.sample(frac=1, random_state=2)), strict=True):
        render(GRID, ordered, history_of(ordered), judge(ordered, claims), place)
    first, second = ({p.relative_to(at): p.read_bytes() for p in at.rglob("*") if p.is_file()} for at in places)
    assert first == second


def test_what_comes_from_records_is_escaped(tmp_path: Path) -> None:
    rows = paired_rows([0.3, 0.1], arch=EVIL, dataset=EVIL, recipe=EVIL, environment=EVIL)
    rows += [run(5, arch=EVIL, status="error", error=f"x\n{EVIL}", started_at=EVIL)]
    frame = frame_of(rows)
    evil = claim(id="c", match={"arch": EVIL}, paper=EVIL, row=EVIL, kind="analogue", published_for=EVIL)
    grid = replace(
        GRID, name=EVIL, description=EVIL, recipes={EVIL: {EVIL: EVIL}}, command=EVIL, dropped=[(EVIL, EVIL)]
    )
    path = render(grid, frame, history_of(frame), judge(frame, [evil]), tmp_path)
    text = path.read_text(encoding="utf-8")
    assert "<script" not in text
    assert "script" not in {tag for tag, _ in Page(text).elements}
    assert Page(text).words.count(EVIL) > 10
    for drawing in (tmp_path / "figures").iterdir():
        assert "<script" not in drawing.read_text(encoding="utf-8")


def test_two_thousand_runs_and_two_hundred_claims_fit_two_megabytes(tmp_path: Path) -> None:
    gains = [0.3 + 0.01 * number for number in range(20)]
    rows = [row for number in range(50) for row in paired_rows(gains, arch=f"vit_lite_{number}")]
    frame = frame_of(rows)
    one = judge(frame_of(paired_rows(gains, arch="vit_lite_0")), [claim(match={"arch": "vit_lite_0"})])[0]
    verdicts = [replace(one, claim=one.claim.model_copy(update={"id": f"claim-{n}"})) for n in range(200)]
    assert len(frame) == 2000
    page = render(GRID, frame, None, verdicts, tmp_path)
    assert page.stat().st_size < 2_000_000 - MAX_PANELS * 11_000  # what figures of curves may add


def test_a_grid_that_hasnt_run_has_a_report(tmp_path: Path) -> None:
    frame = frame_of([])
    grid = replace(GRID, done=0, failed=0, missing=12, dropped=[])
    claims = load_claims([REPOSITORY / "grids" / "claims" / "quickstart.yaml"])
    for number, verdicts in enumerate(([], judge(frame, claims))):
        path = render(grid, frame, history_of(frame), verdicts, tmp_path / str(number))
        words = Page(path.read_text(encoding="utf-8")).words
        assert "No trial has been run yet" in words
        assert "0 of 12 trials are done, none failed, 12 are still to do" in words
        assert "Cells left out" not in words
    assert "Not tested" in words


def test_long_lists_are_capped_with_a_note(tmp_path: Path) -> None:
    rows = [run(seed, status="error", error="no") for seed in range(230)]
    rows += [run(0, arch=f"arch_{number:02d}") for number in range(30)]
    frame = frame_of(rows)
    words = Page(render(GRID, frame, history_of(frame, 2), [], tmp_path).read_text(encoding="utf-8")).words
    assert "These are the first 200 of 230." in words
    assert "These are the first 24 of 30 groups of cells." in words
    assert "This grid names no claims" in words


def test_curves_of_an_earlier_report_go(tmp_path: Path) -> None:
    two, one = frame_of([run(0, arch="a"), run(0, arch="b")]), frame_of([run(0, arch="a")])
    render(GRID, two, history_of(two, 2), [], tmp_path)
    (tmp_path / "figures" / "mine.svg").write_text("mine")
    render(GRID, one, history_of(one, 2), [], tmp_path)
    assert sorted(path.name for path in (tmp_path / "figures").iterdir()) == ["curves-01.svg", "gains.svg", "mine.svg"]


def test_mixed_environments_stand_in_the_table_and_the_caveats(tmp_path: Path) -> None:
    rows = [row if row["join"] == "default" else {**row, "environment": GPU} for row in paired_rows([0.3, 0.1, 0.2])]
    frame = frame_of(rows)
    words = Page(render(GRID, frame, history_of(frame, 2), [], tmp_path).read_text(encoding="utf-8")).words
    assert "the two sides of the gain ran in different environments" in words
    assert "The runs come from more than one environment" in words


def test_a_folder_that_cant_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    frame = small_frame()
    with pytest.raises(InputError, match="can't write"):
        render(GRID, frame, history_of(frame), [], tmp_path / "file")
