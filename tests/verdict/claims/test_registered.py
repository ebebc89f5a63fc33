"""The published numbers that are registered, against the tables as they are printed."""

from __future__ import annotations

import csv
from collections import Counter
from functools import cache

import pytest

from suite.verdict.claims.claim import Claim
from suite.verdict.claims.published import GRADES, Value
from suite.verdict.claims.reader import Claims, read_claim_files
from tests.conftest import REPOSITORY


@cache
def registry() -> list[Claims]:
    """All claim files of the project."""
    return read_claim_files(CLAIM_FILES)


CLAIM_FILES = sorted((REPOSITORY / "grids" / "claims").glob("*.yaml"))
_SYSTEMS = {"DTN": "norm", "L2BN": "norm", "DiversePatch": "loss", "DCN": "clustering"}  # and what they change
GOLDEN = REPOSITORY / "tests" / "golden" / "claims"


def published() -> list[Value]:
    return [value for file in registry() for value in file.values.values()]


def registered() -> list[Claim]:
    return [claim for file in registry() for claim in file.claims]


def rows(name: str) -> list[dict[str, str]]:
    with (GOLDEN / name).open(newline="") as file:
        return list(csv.DictReader(file))


def test_every_value_of_the_papers_tables_is_registered_as_it_is_printed() -> None:
    found = Counter()
    for value in published():
        if value.paper == "LaPE":
            epochs = value.epoch or value.epochs
            metric = "top1" if value.metric.startswith("top1") else value.metric
            cell = [getattr(value.cell, axis) for axis in ("arch", "pe", "join", "dataset")]
            found[value.table, *cell, metric, str(epochs or ""), value.printed] += 1
            assert (value.cell.norm, value.cell.loss, value.version) == ("ln", "default", "ICCV 2023")
            assert value.evidence == "printed_table"
            assert value.runs == (5 if value.table in ("2", "3", "4") else None)
    expected = Counter(tuple(row.values()) for row in rows("lape_iccv2023.csv"))
    assert sum(expected.values()) == 135
    assert found == expected


def test_the_values_stand_in_the_order_of_the_tables() -> None:
    for table in "12345678":
        (file,) = (file for file in registry() if file.document.path.stem == f"table{table}")
        expected = [row["value"] for row in rows("lape_iccv2023.csv") if row["table"] == table]
        assert [value.printed for value in file.values.values()] == expected


def test_accuracies_are_compared_with_the_epoch_that_they_are_of() -> None:
    for value in published():
        if value.paper == "LaPE" and value.metric.startswith("top1"):
            early = value.column == "100 epochs"
            assert (value.metric, value.epoch) == (("top1", 100) if early else ("top1_best_epoch", None)), value.id
            assert value.epochs == (310 if value.cell.arch == "t2t_vit_7" else 300)


def test_every_treatment_of_the_papers_tables_is_claimed_against_the_default_of_its_block() -> None:
    claims = [claim for claim in registered() if claim.paper == "LaPE" and claim.version == "ICCV 2023"]
    claimed = Counter(claim.table for claim in claims if claim.kind == "published")
    gains = ("top1", "box_ap", "mask_ap", "miou")
    cells = [row for row in rows("lape_iccv2023.csv") if row["metric"] in gains]
    treated = Counter(row["table"] for row in cells if row["join"] != "default")
    assert claimed == treated
    for claim in claims:
        contrast = claim.contrast
        assert "default" in (contrast.baseline, contrast.treatment) or "differ in pe and join" in claim.not_runnable
        assert claim.margin == pytest.approx(claim.claimed_gain / 2)
        assert (claim.alpha, claim.side, claim.min_pairs) == (0.05, "greater", 3)


def test_the_gains_of_the_preprint_are_registered() -> None:
    claims = {claim.contrast.match["arch"]: claim for claim in registered() if claim.version == "arXiv v1"}
    expected = rows("lape_arxiv_v1.csv")
    assert len(claims) == len(expected) == 3
    for row in expected:
        claim = claims[row["arch"]]
        assert claim.claimed_gain == float(row["claimed_gain_points"])
        assert (claim.contrast.axis, claim.contrast.baseline) == ("join", "default")
        assert claim.contrast.treatment == row["join"]
        assert (claim.contrast.match["pe"], claim.contrast.match["dataset"]) == (row["pe"], row["dataset"])
        assert (claim.table, claim.evidence) == (row["source"], "abstract")


def test_the_other_systems_are_registered_with_the_grade_of_their_evidence() -> None:
    found = Counter()
    for value in published():
        if value.paper in _SYSTEMS and value.metric not in ("params_millions", "macs_billions"):
            level = {"norm": value.cell.norm, "loss": value.cell.loss, "clustering": value.cell.other}
            factor = _SYSTEMS[value.paper]
            assert value.metric != "top1", "their trainers print the best epoch, as those that LaPE builds on"
            metric = "top1" if value.metric == "top1_best_epoch" else value.metric
            found[value.paper.lower(), value.cell.arch, factor, level[factor], value.cell.dataset, metric,
                  value.printed, value.evidence] += 1  # fmt: skip
            trained = value.paper == "DTN" or value.cell.arch in ("deit_small_24", "deit_base_24", "deit_base_12")
            assert bool(value.not_runnable) == (not trained)
    expected = rows("other_systems.csv")
    assert found == Counter(tuple(row.values()) for row in expected if "range" not in row["metric"])
    stated = {f"{one.printed} to {one.up_to}" for file in registry() for one in file.stated if one.up_to is not None}
    assert stated == {row["value"] for row in expected if "range" in row["metric"]}
    assert set(GRADES) == {*(row["grade"] for row in expected), "printed_table"}


def test_the_papers_on_positions_and_dyt_are_registered_as_they_are_printed() -> None:
    """The sides of the rows are the levels that stand for them; other forms than these levels can't be run."""
    found = Counter()
    for value in published():
        if value.paper in ("RoPE-ViT", "CPVT", "iRPE", "DyT"):
            cell, metric = value.cell, value.metric
            larger = "tested at 384 pixels" in cell.other
            form = {"in five blocks": "5 × cpe", "queries, keys and values": "iRPE-QKV"}.get(cell.other, cell.pe)
            metric = ("top1_384" if larger else "top1_224") if metric == "top1_best_epoch" else metric
            found[value.paper, cell.arch, form, cell.norm, metric, value.printed, value.evidence] += 1
            assert (cell.join, cell.loss, cell.dataset) == ("default", "default", "imagenet1k")
            runs = form == cell.pe and not larger and cell.arch not in ("vit_large_16", "convnext_large")
            assert bool(value.not_runnable) == (not runs), value.id
    assert found == Counter(tuple(row.values()) for row in rows("positions_and_norms.csv"))


def test_what_the_suite_cant_run_is_told_with_its_reason() -> None:
    reasons = {claim.id: claim.obstacle for claim in registered()}
    assert reasons["lape-table3-vit_adapter_tiny-lape-box_ap"] == "object detection isn't built"
    assert reasons["lape-table1-deit_tiny-lape"] == reasons["digits-table2-cct"] == ""
    assert reasons["lape-table1-deit_tiny-lape-e100"] == ""  # judged from the runs' epochs
    assert "below the rounding of the printed numbers" in reasons["lape-table7-sin2d-shared"]
    assert "differ in pe and join" in reasons["lape-table1-swin_tiny-learnable-rpe2d-lape"]
