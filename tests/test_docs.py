"""docs/claims.md tells the truth: its lists are what the commands print, its example is a claim file.

`python -m tests.test_docs` writes the lists anew.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from suite.verdict.claims.audit import NAMES, audit
from suite.verdict.claims.published import GRADES
from suite.verdict.claims.reader import load_claims, read_claim_files
from tests.conftest import REPOSITORY
from tests.static_counts import registry, static_counts

PAGE = REPOSITORY / "docs" / "claims.md"
BLOCK = re.compile(r"(<!-- (grades|audit|counts) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def grades() -> str:
    return "".join(f"- `{grade}`: {meaning}\n" for grade, meaning in GRADES.items())


def findings() -> str:
    told = [(file, finding) for file in registry() for finding in audit(file) if finding.outcome != "adds_up"]
    return "".join(f"- {file.document.path.name}: {NAMES[one.outcome]}: {one.text}\n" for file, one in told)


def counts() -> str:
    rows = [
        f"| {one.value.table} | {one.value.label} | {one.value.printed} | {one.count:,} | {one.word} |\n"
        for one in static_counts()
    ]
    return "| Table | Row | Printed | Count | Verdict |\n|---|---|--:|--:|---|\n" + "".join(rows)


MADE = {"grades": grades, "audit": findings, "counts": counts}


@pytest.mark.parametrize("name", MADE)
def test_each_list_is_what_the_commands_say(name: str) -> None:
    found = {block[2]: block[3] for block in BLOCK.finditer(PAGE.read_text(encoding="utf-8"))}
    assert found[name] == f"\n{MADE[name]()}\n", "run: python -m tests.test_docs"


def test_the_example_is_a_claim_file(tmp_path: Path) -> None:
    example = re.search(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert example is not None
    (tmp_path / "claims.yaml").write_text(example[1])
    (claim,) = load_claims([tmp_path / "claims.yaml"])
    (same,) = (one for file in registry() for one in file.claims if one.id == "lape-table2-cvt_7_4-lape-cifar10")
    assert claim.model_copy(update={"id": same.id, "family_size": same.family_size}) == same
    (file,) = read_claim_files([tmp_path / "claims.yaml"])
    assert [one.outcome for one in audit(file)] == ["adds_up"]


def test_every_link_leads_somewhere() -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", PAGE.read_text(encoding="utf-8")):
        assert (PAGE.parent / link).exists(), link


if __name__ == "__main__":
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(BLOCK.sub(lambda block: f"{block[1]}\n{MADE[block[2]]()}\n{block[4]}", text), encoding="utf-8")
