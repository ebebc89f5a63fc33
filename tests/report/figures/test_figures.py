from __future__ import annotations

import math
import re
import shutil
import xml.etree.ElementTree as ET

import pandas as pd
import pytest

from suite.models.joins import JOINS
from suite.report.figures import curves
from suite.report.figures.gains import MAX_GAINS, draw_gains, gain_marks
from suite.report.figures.kept import cache_folder
from suite.report.figures.style import DASHES, PALETTE, colour_number, line_style, svg_file
from suite.verdict.comparisons import comparisons
from tests.frames import frame_of, history_of, paired_rows, run

SVG = "{http://www.w3.org/2000/svg}"


def test_a_line_is_the_mean_over_seeds() -> None:
    frame = frame_of(paired_rows([0.4, 0.2]))
    history = history_of(frame, epochs=4)
    (panel,), groups = curves.panels(frame, history)
    assert groups == 1
    assert panel.title == "vit_lite_digits · learnable"
    assert [line.join for line in panel.lines] == ["default", "lape"]
    line = panel.lines[1]
    assert (line.n, line.epochs) == (2, (1, 2, 3, 4))
    assert line.mean[-1] == pytest.approx((93.4 + 93.3) / 2)
    assert line.sd[-1] == pytest.approx(0.1 / math.sqrt(2))


def test_epochs_without_a_test_are_left_out() -> None:
    frame = frame_of(paired_rows([0.4, 0.2]))
    history = history_of(frame, epochs=6)
    history.loc[history["epoch"].isin([0, 1, 2, 4]), ["top1", "test_loss"]] = math.nan
    (panel,), _ = curves.panels(frame, history)
    assert {line.epochs for line in panel.lines} == {(4, 6)}
    assert "nan" not in curves.draw_panels([panel])[panel.name].lower()


def test_only_finished_runs_are_drawn() -> None:
    rows = paired_rows([0.4, 0.2])
    rows[-1] |= {"status": "diverged"}
    frame = frame_of(rows)
    history = history_of(frame_of(paired_rows([0.4, 0.2])), epochs=4)
    (panel,), _ = curves.panels(frame, history)
    assert [line.n for line in panel.lines] == [2, 1]
    failed = frame_of([run(0, status="oom")])
    assert curves.panels(failed, history) == ([], 0)
    assert curves.panels(frame_of([]), history_of(frame_of([]))) == ([], 0)
    assert curves.draw_panels([]) == {}


def test_panels_are_capped_and_in_the_order_of_tables() -> None:
    frame = frame_of(run(0, arch=f"arch_{number:02d}", pe=pe) for number in range(20) for pe in ("sin1d", "learnable"))
    found, groups = curves.panels(frame, history_of(frame, epochs=2))
    assert (len(found), groups) == (curves.MAX_PANELS, 40)
    assert [panel.title for panel in found[:3]] == ["arch_00 · learnable", "arch_00 · sin1d", "arch_01 · learnable"]


def test_a_title_says_what_varies() -> None:
    rows = [run(0, dataset="cifar10"), run(0, dataset="cifar100", norm="l2bn")]
    found, _ = curves.panels(frame_of(rows), history_of(frame_of(rows)))
    assert [panel.title for panel in found] == [
        "vit_lite_digits · learnable · cifar10",
        "vit_lite_digits · learnable · l2bn · cifar100",
    ]


def test_a_panel_is_sound_and_the_same_every_time() -> None:
    frame = frame_of(paired_rows([0.4, 0.2], arch="a<b> & $x$"))
    found, _ = curves.panels(frame, history_of(frame))
    first = curves.draw_panels(found)
    shutil.rmtree(cache_folder())
    assert curves.draw_panels(found) == first
    (text,) = first.values()
    root = ET.fromstring(text)
    assert root.tag == f"{SVG}svg"
    assert {"default", "lape", "epoch", "top-1 (%)"} <= {str(element.text) for element in root.iter(f"{SVG}text")}
    assert "<dc:date" not in text
    assert "matplotlib.org" not in text
    assert "<style" not in text


def test_a_drawing_doesnt_depend_on_those_before_it() -> None:
    frame = frame_of(paired_rows([0.4, 0.2], arch="one") + paired_rows([5.0, 2.0, 1.0], arch="two", base=50))
    found, _ = curves.panels(frame, history_of(frame))
    alone = curves.draw_panels(found[1:])["curves-02"]
    shutil.rmtree(cache_folder())
    assert curves.draw_panels(found)["curves-02"] == alone


def test_drawings_can_stand_in_one_page() -> None:
    frame = frame_of(paired_rows([0.4, 0.2], arch="one") + paired_rows([0.4, 0.2], arch="two"))
    found, _ = curves.panels(frame, history_of(frame))
    drawings = [*curves.draw_panels(found).values(), draw_gains(comparisons(frame))]
    ids = [re.findall(r'\bid="([^"]+)"', text) for text in drawings]
    assert all(ids)
    assert len({one for part in ids for one in part}) == sum(map(len, ids))
    for text, own in zip(drawings, ids, strict=True):
        assert set(re.findall(r'(?:url\(#|href="#)([^")]+)', text)) <= set(own)


def test_colours_are_variables_with_a_fallback() -> None:
    frame = frame_of(paired_rows([0.4, 0.2]))
    text = draw_gains(comparisons(frame))
    assert f"var(--c1, {PALETTE[1]})" in text
    assert set(re.findall(r": (#[0-9a-f]{6})", text)) <= {"#000000", "#ffffff"}


def test_one_epoch_and_one_seed() -> None:
    frame = frame_of([run(0)])
    found, _ = curves.panels(frame, history_of(frame, epochs=1))
    assert "svg" in curves.draw_panels(found)["curves-01"]


def test_every_join_has_its_own_look() -> None:
    looks = {line_style(join) for join in JOINS}
    assert len(looks) == len(JOINS)
    assert all(0 <= look < len(PALETTE) * len(DASHES) for look in looks)
    assert colour_number("default") == 0
    assert 0 <= colour_number("a join of somebody's own") < len(PALETTE)


def test_the_gains_without_any_and_with_too_many() -> None:
    assert ET.fromstring(draw_gains([])).tag == f"{SVG}svg"
    rows = [row for number in range(50) for row in paired_rows([0.3, 0.1], arch=f"arch_{number:02d}")]
    text = draw_gains(comparisons(frame_of(rows)))
    assert text.count("digits arch_") == MAX_GAINS


def test_marks_share_one_scale() -> None:
    rows = (
        paired_rows([0.3, 0.1, 0.2], arch="a")
        + paired_rows([-0.3, -0.1, -0.2], arch="b")
        + [run(0, join="lape", arch="c")]
    )
    found = comparisons(frame_of(rows))
    head, marks = gain_marks([None, *found])
    assert marks[0] == ""
    centres = [float(re.findall(r'<circle cx="([\d.]+)%', mark)[0]) for mark in marks[1:]]
    assert centres[0] - 50 == pytest.approx(50 - centres[1], abs=0.02)
    assert centres[0] > 50
    assert re.search(r">\+0\.\d+<", str(head))
    assert gain_marks([None]) == ("", [])


def test_an_interval_that_is_too_wide_is_cut_and_marked() -> None:
    narrow = [row for number in range(12) for row in paired_rows([0.3, 0.2, 0.25], arch=f"arch_{number:02d}")]
    wide = paired_rows([4.0, -3.6], arch="wide")
    found = comparisons(frame_of(narrow + wide))
    _, marks = gain_marks(found)
    assert "▸" in marks[-1]
    assert "◂" in marks[-1]
    assert not any("▸" in mark for mark in marks[:-1])
    for mark in marks:
        assert all(0 <= float(x) <= 100 for x in re.findall(r'x\d?="([\d.]+)%', mark))


def test_history_without_these_runs() -> None:
    frame = frame_of(paired_rows([0.4, 0.2]))
    found, groups = curves.panels(frame, pd.DataFrame(history_of(frame_of([]))))
    assert (found, groups) == ([], 1)


def test_a_file_has_the_pages_dark_colours_and_a_drawing_in_a_page_has_no_style_of_its_own() -> None:
    drawing = draw_gains(comparisons(frame_of(paired_rows([0.4, 0.2]))))
    file = svg_file(drawing)
    ET.fromstring(file.encode())
    assert "<style" not in drawing
    (dark,) = re.findall(r"<style>@media \(prefers-color-scheme: dark\) \{ :root \{ (.*?) \} \}</style>", file)
    assert {name for name, _ in re.findall(r"--(\w+): (#\w+);", dark)} == {"ink", "line", *(f"c{n}" for n in range(8))}


def test_a_drawing_keeps_its_labels_and_has_short_numbers() -> None:
    frame = frame_of(paired_rows([0.4, 0.2], arch="net 1.23456"))
    (text,) = curves.draw_panels(curves.panels(frame, history_of(frame))[0]).values()
    assert not re.search(r'\b(?:d|x|y)="[^"]*\.\d\d', text)
    text = draw_gains(comparisons(frame))
    assert "net 1.23456" in text
