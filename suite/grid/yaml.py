"""Reads YAML 1.2, and reports the line of any text that can't be read.

For some texts ruamel.yaml's loader fails without a line, or takes very long: merge keys, keys that aren't scalars,
numbers with thousands of digits, deep nesting, and nested aliases. Its event stream handles these texts, so they are
detected there: nothing is built of an event before it has been checked.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    Event,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
)
from ruamel.yaml.parser import RoundTripParser

from suite.errors import InputError, first_line

# Limits: more than any file of the suite needs, and less than what makes the loader fail.
MOST_LEVELS, MOST_VALUES, MOST_DIGITS = 20, 100_000, 40

# Half of a surrogate pair, which no UTF-8 text can have: an escape in quotes makes one.
HALF = re.compile("[\ud800-\udfff]")

# The quantifiers are possessive, because backtracking would take time quadratic in the number of digits.
_NUMBER = re.compile(r"[-+]?(0x[0-9a-f_]++|0o[0-7_]++|[0-9_]*+(\.[0-9_]*+)?(e[-+]?[0-9]++)?)", re.IGNORECASE)


def load_yaml(text: str, where: str) -> Any:
    """Load a YAML text into ruamel.yaml's own containers, which know the lines of their items.

    Args:
        text: the YAML text.
        where: the source of the text for messages: a file, or an option.

    Raises:
        InputError: the text isn't YAML 1.2, uses a feature that isn't allowed here, or exceeds a limit.
    """
    try:
        return _yaml(where).load(text)
    except DuplicateKeyError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else "?"
        raise InputError(
            "the same key twice",
            expected="each key once",
            found=str(error.problem).splitlines()[0],
            where=f"{where}, line {line}",
            fix="remove one of the two",
        ) from None
    except YAMLError as error:
        mark = error.problem_mark if isinstance(error, MarkedYAMLError) else None
        raise InputError(
            "not YAML",
            expected="YAML 1.2",
            found=str(getattr(error, "problem", None) or error).splitlines()[0],
            where=f"{where}, line {mark.line + 1}" if mark else where,
            fix="check the indentation, the colons and the brackets around that line",
        ) from None
    except (ValueError, OverflowError) as error:  # the loader converts text that looks like a date or an escape
        raise InputError(
            "not YAML",
            expected="YAML 1.2, with dates and characters that exist",
            found=first_line(error),
            where=where,
            fix="put the value in quotes",
        ) from None


def _yaml(where: str) -> YAML:
    yaml = YAML(typ="rt", pure=True)  # only the round-trip loader keeps line numbers
    yaml.version = (1, 2)
    yaml.Parser = partial(_CheckedParser, where=where)
    yaml.composer.warn_double_anchors = False  # it is an error here
    return yaml


@dataclass
class _Open:
    """A mapping or a sequence whose end hasn't been parsed yet.

    Args:
        mapping: whether it is a mapping.
        anchor: its anchor, if any.
        parts: direct keys and values so far.
        values: all values inside so far, with aliases expanded.
    """

    mapping: bool
    anchor: str | None
    parts: int = 0
    values: int = 0


class _CheckedParser(RoundTripParser):
    """Raises `InputError` at the first construct in the text that the loader must not get."""

    def __init__(self, loader: YAML, where: str) -> None:
        super().__init__(loader=loader)
        self._where = where
        self._anchors = set[str]()
        self._stack = [_Open(mapping=False, anchor=None)]
        self._sizes: dict[str | None, int] = {}  # the number of values in each anchored collection

    def get_event(self) -> Any:
        """The next event, checked."""
        event = super().get_event()
        self._check(event)
        return event

    def _check(self, event: Event) -> None:
        stack, inner = self._stack, self._stack[-1]
        refusal = _refusal(event, is_key=inner.mapping and inner.parts % 2 == 0)
        if isinstance(event, CollectionEndEvent):
            self._sizes[inner.anchor] = inner.values
            stack.pop()
            stack[-1].values += inner.values
        elif isinstance(event, NodeEvent):
            inner.parts += 1
            inner.values += self._sizes.get(event.anchor, 1) if isinstance(event, AliasEvent) else 1
            if isinstance(event, CollectionStartEvent):
                stack.append(_Open(isinstance(event, MappingStartEvent), event.anchor))
        if isinstance(event, NodeEvent) and not isinstance(event, AliasEvent) and event.anchor is not None:
            if event.anchor in self._anchors:
                refusal = ("the same anchor twice", "each anchor once", f"&{event.anchor}", "rename one of the two")
            self._anchors.add(event.anchor)
        if isinstance(event, AliasEvent) and event.anchor in {collection.anchor for collection in stack}:
            refusal = (
                "a value inside itself",
                "an alias of a value that has ended",
                f"*{event.anchor}",
                "write it out",
            )
        if len(stack) > MOST_LEVELS + 1:
            refusal = ("nested too deeply", f"at most {MOST_LEVELS} levels", "more", "close the brackets earlier")
        if sum(collection.values for collection in stack) > MOST_VALUES:
            refusal = ("too many values", f"at most {MOST_VALUES}", "more", "write fewer, and fewer aliases")
        if refusal is not None:
            what, expected, found, fix = refusal
            line = event.start_mark.line + 1
            raise InputError(what, expected=expected, found=found, where=f"{self._where}, line {line}", fix=fix)


def _refusal(event: Event, *, is_key: bool) -> tuple[str, str, str, str] | None:
    """Return why the loader must not get this event, as (problem, expected, found, fix), or None if it may."""
    if isinstance(event, DocumentStartEvent) and event.version not in (None, (1, 2)):
        version = ".".join(map(str, event.version))
        return "another version of YAML", "YAML 1.2", f"%YAML {version}", "remove the line that begins with %YAML"
    tag = getattr(event, "tag", None)
    if tag is not None:
        return "a YAML tag", "plain values", str(tag), "remove the tag"
    if isinstance(event, ScalarEvent) and event.style is None:
        if is_key and event.value == "<<":
            return "a merge key", "the keys of YAML 1.2, which has no <<", "<<", "write out the keys that it stands for"
        if len(event.value) > MOST_DIGITS and _NUMBER.fullmatch(event.value):
            found = f"{event.value[:20]}…, {len(event.value)} characters"
            return "a number that is too long", f"at most {MOST_DIGITS} characters", found, "shorten it, or quote it"
    if isinstance(event, ScalarEvent) and (half := HALF.search(event.value)):
        found = rf"\u{ord(half[0]):04x}"
        return (
            "half of a character",
            "characters that exist",
            found,
            r"write the character itself, or its \U and 8 digits",
        )
    if is_key and isinstance(event, (CollectionStartEvent, AliasEvent)):
        return "a key that is no word", "a word as a key", "a list, a mapping or an alias", "write a word"
    return None
