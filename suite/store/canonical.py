"""Canonical JSON, and the trial ids and seeds derived from it. A change here changes the ids of all stored runs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from pydantic import BaseModel

_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces; the same text for the same values, whatever their order."""
    return _ENCODER.encode(value)


def fingerprint(value: Any) -> str:
    """The first 16 hex digits of the SHA-256 of canonical JSON (among 5,000 trials, a clash has odds of 7e-13)."""
    return _digest(canonical_json(value))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def config_ids(config: Mapping[str, Any]) -> tuple[str, str]:
    """The trial id and the cell id of a record's config. The cell is the config without the seed index."""
    text = canonical_json(config)
    seed = f',"seed_index":{config.get("seed_index")}}}'
    if text.endswith(seed):  # the last of the sorted keys, as a rule: the config needs no second pass
        return _digest(text), _digest(text.removesuffix(seed) + "}")
    return _digest(text), fingerprint({key: value for key, value in config.items() if key != "seed_index"})


def derive_seed(*parts: Any) -> int:
    """A 63-bit seed that depends on every part, and on nothing else."""
    digest = hashlib.sha256(canonical_json(parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def resolved_values(model: BaseModel) -> dict[str, Any]:
    """All values of a model, as they enter a trial id.

    A key that was added after results existed declares its `neutral` value in `json_schema_extra`: the value that
    means what was done before the key existed. A key with its neutral value is left out, so that old results keep
    their ids. The key's default may be another value.
    """
    values = model.model_dump(mode="json")
    for name, neutral in neutral_values(type(model)).items():
        if values[name] == neutral:
            del values[name]
    return values


@cache
def neutral_values(model: type[BaseModel]) -> dict[str, Any]:
    """The keys that declare a neutral value (see `resolved_values`), with that value."""
    extras = {name: info.json_schema_extra for name, info in model.model_fields.items()}
    return {name: extra["neutral"] for name, extra in extras.items() if isinstance(extra, dict) and "neutral" in extra}
