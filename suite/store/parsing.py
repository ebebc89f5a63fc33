"""Read a record from JSON text, or say in which file and line it is damaged.

Every reader of records comes through here: `run`, `status`, `tables`, `report`, `verify`, `merge` and `rerun` accept
and refuse the same records.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from suite.errors import InputError, first_line
from suite.store.canonical import config_ids
from suite.store.files import check_inside, open_regular, read_regular
from suite.store.record import AXIS_FIELDS, MIGRATIONS, SCHEMA_VERSION, RunRecord

LARGEST_FILE = 2 * 2**30  # bytes of runs.jsonl
LARGEST_RECORD = 64 * 2**20  # bytes: a training run of 100,000 epochs, with a bit for each of 100 million test images
_LARGEST_INTEGER = 2**63  # what a column of a frame holds


def sort_key(record: RunRecord) -> tuple[str | int, ...]:
    """Where a record stands in runs.jsonl: by its axes, then its seed."""
    return (*(getattr(record, axis) for axis in AXIS_FIELDS), record.recipe, record.seed_index, record.trial_id)


def parse_record(line: str, where: str, trial_id: str | None = None) -> RunRecord:
    """A record from its JSON, whatever version of the suite wrote it.

    Args:
        line: the JSON text.
        where: the file and line, for the error message.
        trial_id: the id that the record must have, if its file is named after it.

    Raises:
        InputError: the record is damaged, its ids aren't those of its config, or a newer version of the suite wrote it.
    """
    try:
        values = _current(_strict_json(line), where)
        record = RunRecord.model_validate(values)
        _check_ids(record, trial_id)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _damaged_record(line, where, error) from None
    return record


def read_lines(path: Path) -> Iterator[tuple[str, str]]:
    """The lines of a runs.jsonl that aren't blank, each with its place for messages; none if there is no such file.

    One line at a time is in memory. Bytes that are not UTF-8 become lone surrogates, which `parse_record` refuses, so
    that they damage only their line.

    Raises:
        InputError: the file can't be read or is too large, a line is too long, or a link leads out of the folder.
    """
    check_inside(path, path.parent)
    with open_regular(path, LARGEST_FILE) as file:
        number = 0
        while file is not None and (content := file.readline(LARGEST_RECORD + 1)):
            number += 1
            where = f"{path}, line {number}"
            text = _decoded(content if number > 1 else content.removeprefix(b"\xef\xbb\xbf"))
            if len(content) > LARGEST_RECORD:
                raise _damaged_record(text[:61], where, _too_long())
            if text.strip():
                yield where, text.removesuffix("\n")


def read_spooled(path: Path) -> RunRecord | None:
    """The record in a spool file, which is named by its trial's id; None if the file is gone.

    Raises:
        InputError: the file can't be read, is too large, or its record is damaged or of another trial.
    """
    content = read_regular(path, LARGEST_RECORD)
    if content is None:
        return None
    return parse_record(_decoded(content.removeprefix(b"\xef\xbb\xbf")), str(path), path.stem)


def _decoded(content: bytes) -> str:
    return content.decode("utf-8", errors="surrogateescape")


def _strict_json(line: str) -> Any:
    """The value of JSON text as the standard has it: without NaN, infinite numbers and halves of surrogate pairs.

    Raises:
        ValueError: it isn't such JSON, is too long, or holds an integer of more than 64 bits.
    """
    if len(line) > LARGEST_RECORD:
        raise _too_long()
    try:
        value = from_json(line, allow_inf_nan=False)
    except (ValueError, TypeError) as error:
        raise _explained(line, error) from None
    key = _bad_number(value)
    if key is not None:
        raise ValueError(f"{key}: a number that is infinite, or an integer of more than 64 bits")
    return value


def _bad_number(value: Any) -> str | None:
    """The key of a number that overflows, if there is one. Without recursion: the nesting is the file's."""
    pending = [("", value)]
    while pending:
        key, value = pending.pop()
        kind = type(value)
        if kind is dict:
            pending.extend(value.items())
        elif kind is list:
            pending.extend((key, part) for part in value)
        elif (kind is float and not math.isfinite(value)) or (kind is int and not abs(value) < _LARGEST_INTEGER):
            return key
    return None


def _explained(line: str, error: Exception) -> Exception:
    """Why text isn't the JSON of a record. error: what the strict parser said, which names no NaN and no surrogate."""
    try:
        line.encode()
        json.loads(line, parse_constant=_refuse_constant)
    except UnicodeEncodeError:
        return ValueError("bytes that are not UTF-8")
    except (ValueError, RecursionError) as found:
        return found if isinstance(found, ValueError) else error
    return ValueError("half of a surrogate pair in a text") if "surrogate" in str(error) or "\\u" in line else error


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name}, which is not a number in JSON")


def _too_long() -> ValueError:
    return ValueError(f"longer than {LARGEST_RECORD:,} bytes, which no record is")


def _current(values: Any, where: str) -> dict[str, Any]:
    """The values of a record brought to this version of the schema."""
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
    current: dict[str, Any] = values
    return current


def _check_ids(record: RunRecord, trial_id: str | None) -> None:
    if trial_id is not None and record.trial_id != trial_id:
        raise ValueError(f"a record of trial {record.trial_id}, which the name of its file doesn't say")
    found = {"trial_id": record.trial_id, "cell_id": record.cell_id}
    for (name, mine), computed in zip(found.items(), config_ids(record.config), strict=True):
        if mine != computed:
            raise ValueError(f"{name} is {mine}, but the config has the id {computed}: one of them was changed")


def _damaged_record(line: str, where: str, error: Exception) -> InputError:
    reason = first_line(error)
    return InputError(
        "a damaged record",
        expected="a run's record as one JSON object",
        found=f"{line[:60]!r}… ({reason})" if len(line) > 60 else f"{line!r} ({reason})",
        where=where,
        fix="restore it from version control, or delete the damaged line (or file): its trial then runs again",
    )
