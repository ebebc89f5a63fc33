from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import judging
from benchmarks.rows import Row
from suite.store.frames import load_frame
from suite.verdict.verdicts import judge


@pytest.mark.parametrize("images", [0, 50])
def test_each_claim_finds_its_runs(images: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "TRIALS", 300)
    monkeypatch.setattr(judging, "COPIES", 1)
    judging.write_runs(tmp_path, images)
    found = judge(load_frame(tmp_path), judging.claims())
    assert len(found) == 40
    for verdict in found:
        assert verdict.evidence is not None
        assert verdict.evidence.pairs == 3
        assert (verdict.evidence.images.images if verdict.evidence.images else 0) == images


def test_a_row_says_whether_its_bounds_are_kept() -> None:
    kept, slow = Row("reading", 1.5, 2.0), Row("covers", 0.93, 0.96, 0.94, "")
    assert (kept.kept, slow.kept) == (True, False)
    assert str(kept).endswith("1.500 s   (at most 2 s)")
    assert str(slow).endswith("0.930   (from 0.94 to 0.96)   OUT OF BOUNDS")
