"""Tables of the fields of pydantic models, made from their JSON Schema."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.documents import markdown

_BOUNDS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
_PLAIN = {"integer": "integer", "number": "number", "string": "text", "boolean": "true or false", "null": "null"}
_CODE_WITH_BAR = re.compile(r"`([^`]*\|[^`]*)`")  # a backslash would be shown there
_UNBOUNDED = 1e6  # a larger bound only keeps nonsense out, and would tell a reader nothing


def field_table(schema: Mapping[str, Any]) -> str:
    """Return a Markdown table of an object's fields. schema: the JSON Schema of the object, with `properties`."""
    return markdown(("key", "type", "default", "meaning"), map(escaped, fields(schema)), ":--")


def fields(schema: Mapping[str, Any]) -> Iterator[list[str]]:
    """Yield each field of an object: name, type, default and meaning."""
    required = set(schema.get("required", ()))
    for name, part in schema.get("properties", {}).items():
        default = code(json.dumps(part.get("default"), ensure_ascii=False))
        if name in required or "$ref" in part:
            default = "required" if name in required else "as below"
        yield [code(name), type_text(part), default, part.get("description", "")]


def referenced(part: Mapping[str, Any]) -> set[str]:
    """Return the names of the definitions that a type is made of: those of its schema's `$defs`."""
    if "$ref" in part:
        return {part["$ref"].rpartition("/")[2]}
    inside = [*part.get("anyOf", ()), *part.get("prefixItems", ())]
    inside += [part[key] for key in ("items", "additionalProperties") if isinstance(part.get(key), Mapping)]
    return {name for one in inside for name in referenced(one)}


def type_text(part: Mapping[str, Any]) -> str:
    """Return a type in words, such as "integer ≥ 1, or null"."""
    if "$ref" in part:
        return code(part["$ref"].rpartition("/")[2].removesuffix("Part"))
    if "anyOf" in part:
        return ", or ".join(map(type_text, part["anyOf"]))
    if "enum" in part or "const" in part:
        return ", ".join(code(str(value)) for value in part.get("enum", [part.get("const")]))
    kind = part.get("type")
    if kind == "array":
        return _array(part)
    if kind == "object":
        values = part.get("additionalProperties")
        return f"values by name: {type_text(values)}" if isinstance(values, Mapping) and values else "values by name"
    bounds = [f"{sign} {part[key]:g}" for key, sign in _BOUNDS.items() if key in part and abs(part[key]) < _UNBOUNDED]
    return " ".join([_PLAIN.get(kind or "", "any value"), " and ".join(bounds)]).strip()


def _array(part: Mapping[str, Any]) -> str:
    if "prefixItems" in part:
        return f"[{', '.join(map(type_text, part['prefixItems']))}]"
    return f"list of {type_text(part.get('items', {}))}"


def code(text: str) -> str:
    """Mark a text as code, in Markdown."""
    return f"`{text}`"


def escaped(line: list[str]) -> list[str]:
    """Return the cells of a table's row, with each bar in a form that no Markdown takes for the end of a cell."""
    return [" ".join(_CODE_WITH_BAR.sub(_as_html, text).replace("|", "\\|").split()) for text in line]


def _as_html(span: re.Match[str]) -> str:
    return f"<code>{html.escape(span[1]).replace('|', '&#124;')}</code>"
