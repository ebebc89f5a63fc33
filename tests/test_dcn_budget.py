"""What docs/dcn.md says in words of the committed runs of dcn_budget."""

from __future__ import annotations

from statistics import fmean

from suite.verdict.comparisons import comparisons
from tests.conftest import REPOSITORY
from tests.findings import workspace

DCN, CLUSTERINGS = "dcn_lite_4_4", ("kmeans_lite_4_4", "spectral_lite_4_4")


def test_the_words_of_the_page_hold() -> None:
    page = " ".join((REPOSITORY / "docs" / "dcn.md").read_text(encoding="utf-8").split())
    assert (
        "less with people's regions than either clustering does: by covering and PRI in every pair, and by VoI" in page
    )
    assert "It uses most of its five prototypes in each photograph" in page
    frame = workspace("dcn_budget").frame
    assert [verdict.word for verdict in workspace("dcn_budget").verdicts] == ["opposite_here"] * 2
    for metric in ("covering", "rand_index", "variation_of_information"):
        for clustering in CLUSTERINGS:
            (found,) = [one for one in comparisons(frame, "arch", clustering, metric) if one.treatment.level == DCN]
            assert len(found.gains) == 5
            assert (fmean(found.gains) if metric == "variation_of_information" else max(found.gains)) < 0
    regions = [count for arch, count in zip(frame["arch"], frame["regions"], strict=True) if arch == DCN]
    assert 3.5 < fmean(regions) <= 5
