"""Read a record from JSON text, or say in which file and line it is damaged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from suite.errors import InputError, first_line
from suite.store.files import cannot_read, check_inside, read_regular
from suite.store.history import LARGEST_FILE
from suite.store.record import AXIS_FIELDS, MIGRATIONS, SCHEMA_VERSION, RunRecord


def sort_key(record: RunRecord) -> tuple[str | int, ...]:
    """Where a record stands in runs.jsonl: by its axes, then its seed."""
    return (*(getattr(record, axis) for axis in AXIS_FIELDS), record.recipe, record.seed_index, record.trial_id)


def parse_record(line: str, where: str, trial_id: str | None = None) -> RunRecord:
    """A record from its JSON, whatever the version that wrote it. trial_id: of the trial that it must be of.

    Raises:
        InputError: it is damaged, or a newer version of the suite wrote it. where: what the message names.
    """
    values = parse_values(line, where)
    try:
        return _of(RunRecord.model_validate(values), trial_id)
    except (ValueError, TypeError, RecursionError) as error:
        raise damaged_record(line, where, error) from None


def parse_values(line: str, where: str) -> dict[str, Any]:
    """The values of a record as JSON has them, brought to this version of the schema; not validated.

    Raises:
        InputError: it is no JSON object with a version, or one of a newer version.
    """
    try:
        values: dict[str, Any] = json.loads(line)
        version = values["schema_version"]
        if version > SCHEMA_VERSION:
            raise InputError(
                "a record of a newer version",
                expected=f"records of schema version {SCHEMA_VERSION} or older",
                found=f"schema version {version}",
                where=where,
                fix="update the suite; nothing was changed in the file",
            )
        while version < SCHEMA_VERSION:
            values = MIGRATIONS[version](values)
            version += 1
            values["schema_version"] = version
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise damaged_record(line, where, error) from None
    return values


def damaged_record(line: str, where: str, error: Exception) -> InputError:
    """The message for a line that is no record. error: what was found wrong with it."""
    reason = first_line(error)
    return InputError(
        "a damaged record",
        expected="a run's record as one JSON object",
        found=f"{line[:60]!r}… ({reason})" if len(line) > 60 else f"{line!r} ({reason})",
        where=where,
        fix="restore it from version control, or delete the damaged line (or file): its trial then runs again",
    )


def _of(record: RunRecord, trial_id: str | None) -> RunRecord:
    if trial_id is not None and record.trial_id != trial_id:
        raise ValueError(f"a record of trial {record.trial_id}, which the name doesn't say")
    return record


def read_text(path: Path) -> str:
    """A file of records; raises `InputError` if there is none, or if it is a link out of its folder."""
    check_inside(path, path.parent)
    text = text_of(path, LARGEST_FILE)
    if text is None:
        raise cannot_read(path, "nothing")
    return text


def text_of(path: Path, largest: int) -> str | None:
    """A file's text, without the mark that some editors put first; bytes that are no UTF-8 damage only their line."""
    content = read_regular(path, largest)
    return None if content is None else content.decode("utf-8-sig", errors="replace")
