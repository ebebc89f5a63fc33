from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suite.errors import InputError
from suite.verdict.claims.audit import NAMES, Finding, audit
from suite.verdict.claims.published import Interval
from suite.verdict.claims.reader import read_claim_files
from tests.conftest import REPOSITORY

CLAIM_FILES = sorted((REPOSITORY / "grids" / "claims").glob("*.yaml"))

TABLE = """
paper: P
version: v
table: "6"
evidence: printed_table
metric: train_seconds_per_epoch
epochs: 300
cell: {{pe: learnable, arch: deit_tiny, dataset: imagenet1k}}
values:
  - {{id: base, group: DeiT, row: default, column: C, cell: {{join: default}}, printed: "{base}"}}
  - {{id: ours, group: DeiT, row: LaPE, column: C, cell: {{join: lape}}, printed: "{ours}"}}
stated:
  - {{id: said, where: text, {said}}}
"""
BOTH = "baseline: base, treatment: ours"


def findings(tmp_path: Path, base: str, ours: str, said: str) -> list[Finding]:
    path = tmp_path / "table.yaml"
    path.write_text(TABLE.format(base=base, ours=ours, said=said))
    (file,) = read_claim_files([path])
    return audit(file)


@pytest.mark.parametrize(
    ("base", "ours", "said", "outcome"),
    [
        ("71.54", "73.11", f'quantity: difference, {BOTH}, printed: "+1.57"', "adds_up"),
        ("71.54", "73.11", f'quantity: difference, {BOTH}, printed: "1.57"', "adds_up"),
        ("71.54", "73.11", f'quantity: difference, {BOTH}, printed: "1.6"', "adds_up"),
        ("71.54", "73.11", f'quantity: difference, {BOTH}, printed: "1.58"', "rounding"),
        ("71.54", "73.11", f'quantity: difference, {BOTH}, printed: "1.59"', "differs"),
        ("73.11", "71.54", f'quantity: difference, {BOTH}, printed: "-1.57"', "adds_up"),
        ("73.11", "71.54", f'quantity: difference, {BOTH}, printed: "1.57"', "differs"),
        # A tie may be rounded either way, and so may each of the two values.
        ("93.0", "93.25", f'quantity: difference, {BOTH}, printed: "0.2"', "adds_up"),
        ("93.0", "93.25", f'quantity: difference, {BOTH}, printed: "0.3"', "adds_up"),
        ("588", "590", f'quantity: percent, {BOTH}, printed: "+0.34"', "adds_up"),
        ("588", "590", f'quantity: percent, {BOTH}, printed: "+0.51"', "rounding"),
        ("588", "590", f'quantity: percent, {BOTH}, printed: "+0.52"', "differs"),
        ("71.5", "73.1", f'quantity: difference, {BOTH}, printed: "0.5", up_to: "2"', "adds_up"),
        ("71.5", "73.1", f'quantity: difference, {BOTH}, printed: "1.7", up_to: "2"', "rounding"),
        ("71.5", "73.1", f'quantity: difference, {BOTH}, printed: "1.8", up_to: "2"', "differs"),
        ("71.5", "73.1", 'quantity: value, of: ours, printed: "73.12"', "adds_up"),
        ("71.5", "73.1", 'quantity: value, of: ours, printed: "73"', "adds_up"),
        ("71.5", "73.1", 'quantity: value, of: ours, printed: "73.0"', "differs"),
        ("71.5", "73.1", 'quantity: epochs, of: ours, printed: "300"', "adds_up"),
        ("71.5", "73.1", 'quantity: epochs, of: ours, printed: "310"', "differs"),
        ("71.5", "73.1", 'quantity: difference, about: something else, printed: "3"', "no_values"),
    ],
)  # fmt: skip
def test_a_statement_is_recomputed_as_exactly_as_its_digits_allow(
    tmp_path: Path, base: str, ours: str, said: str, outcome: str
) -> None:
    (finding,) = findings(tmp_path, base, ours, said)
    assert (finding.id, finding.outcome) == ("said", outcome)
    assert finding.text.startswith("text: ")


def test_the_text_gives_all_the_numbers(tmp_path: Path) -> None:
    (finding,) = findings(tmp_path, "58.8", "59.0", f'quantity: percent, {BOTH}, printed: "+0.51", note: why')
    assert finding.text == (
        "text: DeiT, LaPE over default, C, +0.51 % is stated; 59.0 over 58.8 in Table 6 is +0.34 %; "
        "rounded as they are, they allow +0.17 % to +0.51 % (why)"
    )
    (finding,) = findings(tmp_path, "59.0", "58.8", f'quantity: difference, {BOTH}, printed: "3.25"')
    assert finding.text.endswith("58.8 over 59.0 in Table 6 is −0.20")


def test_a_percentage_of_what_may_be_zero_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"may be zero(?s:.*)table.yaml, line 13"):
        findings(tmp_path, "0", "2", f'quantity: percent, {BOTH}, printed: "+1"')


@given(st.integers(0, 10**6), st.integers(0, 4), st.fractions(-Fraction(1, 2), Fraction(1, 2)))
def test_an_interval_holds_exactly_what_rounds_to_its_digits(whole: int, places: int, off: Fraction) -> None:
    digits = f"{Decimal(whole).scaleb(-places):f}"
    interval = Interval.of(digits)
    assert interval.printed == Fraction(whole, 10**places)
    assert interval.holds(interval.printed + off / 10**places)
    assert not interval.holds(interval.printed + (off + (2 if off >= 0 else -2)) / 10**places)
    assert interval.high - interval.low == Fraction(1, 10**places)


def test_intervals_that_only_touch_are_not_one_number() -> None:
    assert Interval.of("54.45").overlaps(Interval.of("54.4"))
    assert not Interval.of("54.5").overlaps(Interval.of("54.4"))


def test_values_of_one_cell_must_agree(tmp_path: Path) -> None:
    path = tmp_path / "table.yaml"
    path.write_text(TABLE.format(base="71.5", ours="73.1", said='quantity: value, of: ours, printed: "73.1"'))
    text = TABLE.format(base="71.54", ours="73.2", said='quantity: value, of: other-ours, printed: "73.2"')
    text = text.replace("{id: ", "{id: other-").replace('table: "6"', 'table: "7"\nrefer_to: [table.yaml]')
    (tmp_path / "other.yaml").write_text(text)
    _, other = read_claim_files([path, tmp_path / "other.yaml"])
    told = {finding.id: finding for finding in audit(other)}
    assert told["base = other-base"].outcome == "adds_up"
    assert told["ours = other-ours"].outcome == "differs"
    assert told["ours = other-ours"].text == (
        "Table 6, DeiT, LaPE, C: 73.1; the same cell in Table 7, DeiT, LaPE, C: 73.2"
    )


def test_what_doesnt_add_up_in_the_registered_papers() -> None:
    found = {finding.id: finding.outcome for file in read_claim_files(CLAIM_FILES) for finding in audit(file)}
    assert set(found.values()) == set(NAMES)
    assert {name for name, outcome in found.items() if outcome == "differs"} == {
        "diversepatch-swin_large_upernet-diversepatch-ade20k-readme",
        "diversepatch-swin_large_upernet-diversepatch-cityscapes-readme",
        "irpe-readme-deit_base",
        "irpe-readme-deit_small-qkv",
        "lape-arxiv-vs-table1-deit",
        "lape-arxiv-vs-table2-cct",
        "lape-arxiv-vs-table2-vit-lite",
        "lape-arxiv-vs-table7-deit",
        "lape-code-rpe2d-params",
        "lape-table1-t2t-epochs",
        "lape-text-cct_7_3x1-cifar100",
        "lape-text-vit_lite_7_4-cifar100",
    }
    assert {name for name, outcome in found.items() if outcome == "rounding"} == {
        "lape-table5-deit_tiny-percent",
        "lape-table6-deit_base-time-percent",
        "lape-table6-deit_tiny-time-percent",
    }
    # Tables 7 and 8 repeat the DeiT-Ti of Table 1.
    assert found["t1-deit_tiny-lape = t7-learnable-lape"] == found["t1-deit_tiny-lape = t8-lape"] == "adds_up"
