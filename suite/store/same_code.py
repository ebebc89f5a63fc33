"""Evidence that changed code still gives the same training results. It is a file of its own: records never change.

    results/NAME/same_code.jsonl   a line per run that newer code trained again, with the same result

A line counts for all records of its scope that were made by the same code. The records of a scope have one config,
except for the seed and some numbers of the recipe.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from suite.errors import InputError, first_line
from suite.store.canonical import fingerprint
from suite.store.files import read_regular, write_atomic
from suite.store.record import Id, Moment, Name, RunRecord

SAME_CODE = "same_code.jsonl"
_LARGEST = 16 * 2**20  # bytes of the file
# Keys of a recipe that the code of no level sees: how long a run trains, how fast, and when it is tested.
_UNSEEN = ("epochs", "lr", "test_every")


class SameCode(BaseModel):
    """A run that was trained again by newer code, with the same outcome."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    trial_id: Id = Field(description="the trial that was trained again")
    scope: Id = Field(description="hash of its config without the seed and the numbers that no level's code sees")
    older: dict[Name, Id] = Field(description="by axis, the fingerprint of the code of the stored run")
    newer: dict[Name, Id] = Field(description="by axis, the fingerprint of the code that trained it again")
    environment: Name = Field(description="what it was trained again with: version of torch, device, precision")
    commit: Name | None = Field(description="git commit of the newer code, with '+dirty' if it had local changes")
    checked_at: Moment = Field(description="UTC, ISO 8601")


def scope_of(config: Mapping[str, Any]) -> str:
    """A hash of the part of a config that code can depend on: what is shown for one run holds for all of its scope."""
    recipe = {key: value for key, value in config["recipe"].items() if key not in _UNSEEN}
    rest = {key: value for key, value in config.items() if key != "seed_index"}
    return fingerprint({**rest, "recipe": recipe})


def read_same_code(folder: Path) -> list[SameCode]:
    """The proofs of a results folder, oldest first; none if there is no such file.

    Raises:
        InputError: the file can't be read, is too large, or a line is damaged.
    """
    path = folder / SAME_CODE
    lines = (read_regular(path, _LARGEST) or b"").decode("utf-8", "replace").splitlines()
    return [_parsed(line, f"{path}, line {number}") for number, line in enumerate(lines, 1) if line.strip()]


def write_same_code(folder: Path, proofs: Iterable[SameCode]) -> None:
    """Replace the proofs of a results folder, atomically. Raises `InputError` if they can't be written."""
    text = "".join(f"{proof.model_dump_json()}\n" for proof in proofs)
    write_atomic(folder / SAME_CODE, text.encode())


def apply_proofs(records: Iterable[RunRecord], proofs: Iterable[SameCode]) -> None:
    """Set `RunRecord.code_now` of each record: the newest code that was shown to give the same results as its own."""
    by_scope: dict[str, list[SameCode]] = {}
    for proof in proofs:
        by_scope.setdefault(proof.scope, []).append(proof)
    if not by_scope:
        return
    for record in records:
        if record.code is None:
            continue
        code = record.code
        for proof in by_scope.get(scope_of(record.config), ()):
            if proof.older == code:
                code = proof.newer
        record.stand_for(code)


def _parsed(line: str, where: str) -> SameCode:
    try:
        return SameCode.model_validate_json(line)
    except ValueError as error:
        raise InputError(
            "a damaged line on code that was checked",
            expected="what `lape run --stale verify` writes, one JSON object per line",
            found=f"{line[:60]!r} ({first_line(error)})",
            where=where,
            fix="restore the file from version control, or delete the line: its runs are stale again",
        ) from None
