"""Reading YAML 1.2, with one message (and its line) for everything that can't be read.

The loader fails at some texts without a line, or at great length: at merge keys, at keys that are no words, at
numbers of thousands of digits, at deep nesting, at aliases of aliases. Its stream of events does not, so that
the form of a text is checked there first.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
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

from suite.errors import InputError, first_line

# More than any file here needs, and less than what the loader fails at.
MOST_LEVELS, MOST_VALUES, MOST_DIGITS = 20, 100_000, 40

# Possessive quantifiers, since backtracking takes a time quadratic in the number of digits.
_NUMBER = re.compile(r"[-+]?(0x[0-9a-f_]++|0o[0-7_]++|[0-9_]*+(\.[0-9_]*+)?(e[-+]?[0-9]++)?)", re.IGNORECASE)


def load_yaml(text: str, where: str) -> Any:
    """The value of a YAML text, in the loader's own containers, which know their lines.

    where: what the text is, for messages: a file, or an option.

    Raises:
        InputError: it isn't YAML 1.2, or has what no file here needs.
    """
    try:
        _check_form(text, where)
        return _yaml().load(text)
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
    except (ValueError, OverflowError) as error:  # the loader makes dates and characters of what looks like them
        raise InputError(
            "not YAML",
            expected="YAML 1.2, with dates and characters that exist",
            found=first_line(error),
            where=where,
            fix="put the value in quotes",
        ) from None


def _yaml() -> YAML:
    yaml = YAML(typ="rt", pure=True)  # the round-trip loader knows the lines
    yaml.version = (1, 2)
    return yaml


@dataclass
class _Open:
    """A collection that has begun. parts: keys and values so far; values: those within, aliases written out."""

    mapping: bool
    anchor: str | None
    parts: int = 0
    values: int = 0


def _check_form(text: str, where: str) -> None:
    """Raise `InputError` for the first thing in the text that the loader isn't to see."""
    outside = _Open(mapping=False, anchor=None)
    anchors = set[str]()
    stack = [outside]
    sizes: dict[str | None, int] = {}  # of what each anchor stands for
    for event in _yaml().parse(text):
        inner = stack[-1]
        refusal = _refusal(event, is_key=inner.mapping and inner.parts % 2 == 0)
        if isinstance(event, CollectionEndEvent):
            sizes[inner.anchor] = inner.values
            stack.pop()
            stack[-1].values += inner.values
        elif isinstance(event, NodeEvent):
            inner.parts += 1
            inner.values += sizes.get(event.anchor, 1) if isinstance(event, AliasEvent) else 1
            if isinstance(event, CollectionStartEvent):
                stack.append(_Open(isinstance(event, MappingStartEvent), event.anchor))
        if isinstance(event, NodeEvent) and not isinstance(event, AliasEvent) and event.anchor is not None:
            if event.anchor in anchors:
                refusal = ("the same anchor twice", "each anchor once", f"&{event.anchor}", "rename one of the two")
            anchors.add(event.anchor)
        if len(stack) > MOST_LEVELS + 1:
            refusal = ("nested too deeply", f"at most {MOST_LEVELS} levels", "more", "close the brackets earlier")
        if sum(collection.values for collection in stack) > MOST_VALUES:
            refusal = ("too many values", f"at most {MOST_VALUES}", "more", "write fewer, and fewer aliases")
        if refusal is not None:
            what, expected, found, fix = refusal
            line = event.start_mark.line + 1
            raise InputError(what, expected=expected, found=found, where=f"{where}, line {line}", fix=fix)


def _refusal(event: Event, *, is_key: bool) -> tuple[str, str, str, str] | None:
    """Why the loader isn't to see this: what it is, what is expected, what was found, what to do."""
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
    if is_key and isinstance(event, (CollectionStartEvent, AliasEvent)):
        return "a key that is no word", "a word as a key", "a list, a mapping or an alias", "write a word"
    return None
