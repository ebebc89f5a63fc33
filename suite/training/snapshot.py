"""Snapshots of a training under way: after a kill it goes on from the last one, to the same record."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from suite.canonical import canonical_json
from suite.errors import InputError
from suite.files import write_atomic
from suite.text import note

_KEY = "lape_snapshot"


@dataclass
class Snapshots:
    """The snapshot of one trial: a file, which is whole or not there.

    every: seconds from one to the next; 0: at every opportunity. about: what must be the same for a training to go
    on from it: the trial, and all on which its last digits depend.
    """

    path: Path
    every: float
    about: dict[str, Any]
    _last: float = field(default_factory=time.monotonic)

    def offer(self, make: Callable[[], tuple[dict[str, Tensor], dict[str, Any]]]) -> None:
        """Write a snapshot if it is time for one. make: gives the tensors, and the facts as JSON has them."""
        if time.monotonic() - self._last < self.every:
            return
        tensors, facts = make()
        metadata = {_KEY: canonical_json({"about": self.about, "facts": facts})}
        try:
            write_atomic(
                self.path, save({name: value.detach().cpu().contiguous() for name, value in tensors.items()}, metadata)
            )
        except InputError as error:  # the training is worth more than a snapshot of it
            note(f"no snapshot of a training: {error.problems[0].what} ({self.path.parent})")
        self._last = time.monotonic()

    def last(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """The tensors, on the CPU, and the facts to go on from, or None: there are none that serve."""
        try:
            with safe_open(self.path, "pt") as file:
                held = json.loads((file.metadata() or {})[_KEY])
                if held["about"] != self.about:
                    note(f"a training begins anew: its snapshot was made otherwise ({_difference(held, self.about)})")
                    return None
                return {name: file.get_tensor(name) for name in file.keys()}, held["facts"]  # noqa: SIM118
        except FileNotFoundError:
            return None
        except (SafetensorError, OSError, ValueError, KeyError, TypeError):
            note(f"a training begins anew: its snapshot is damaged ({self.path})")
            return None


def _difference(held: dict[str, Any], about: dict[str, Any]) -> str:
    before = held["about"]
    return ", ".join(
        f"{name}: {before.get(name)}, now {value}" for name, value in about.items() if before.get(name) != value
    )
