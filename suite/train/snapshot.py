"""Snapshots of a training run: after a kill it resumes from the last complete one, and ends in the same record."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from suite.errors import InputError
from suite.store.canonical import canonical_json
from suite.store.versions import Versions
from suite.text import note
from suite.train.parallel.team import Team

_KEY = "lape_snapshot"
_LARGEST_HEADER = 100 * 2**20  # bytes, as safetensors itself has it

State = tuple[dict[str, Tensor], dict[str, Any]]  # the tensors, and the facts as JSON has them


@dataclass
class Snapshots:
    """The snapshots of one training run.

    Args:
        versions: Where they are kept.
        every: Seconds from one to the next; 0: at every opportunity; None: whatever time has passed.
        about: What must match for a training run to resume from one: the trials, and all that its last digits
            depend on.
        epochs: Take one at the end of every so many epochs; None: at the end of none.
    """

    versions: Versions
    every: float | None
    about: dict[str, Any]
    epochs: int | None = None
    _last: float = field(default_factory=time.monotonic)

    def offer(self, make: Callable[[], State], ended: int | None = None) -> None:
        """Write a snapshot if one is due. ended: the epoch that ends here, from 0, if one does."""
        if not self._due(ended):
            return
        tensors, facts = make()
        metadata = {_KEY: canonical_json({"about": self.about, "facts": facts})}
        content = save({name: value.detach().cpu().contiguous() for name, value in tensors.items()}, metadata)
        try:
            self.versions.add(content)
        except InputError as error:  # the training is worth more than a snapshot of it
            note(f"no snapshot of a training: {error.problems[0].what} ({error.problems[0].found})")
        self._last = time.monotonic()

    def _due(self, ended: int | None) -> bool:
        if self.epochs is not None and ended is not None and (ended + 1) % self.epochs == 0:
            return True
        return self.every is not None and time.monotonic() - self._last >= self.every

    def last(self) -> State | None:
        """The tensors, on the CPU, and the facts to resume from; None if no snapshot can be used."""
        reason = ""
        try:
            for content in self.versions.newest_first():
                if content is None:
                    note("a snapshot of a training is damaged: the one before it is tried")
                    reason = "none of its snapshots is whole"
                    continue
                try:
                    held = json.loads(_metadata(content)[_KEY])
                    if held["about"] == self.about:
                        return load(content), held["facts"]
                    reason = f"its snapshot was made otherwise ({_difference(held['about'], self.about)})"
                except (SafetensorError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
                    reason = "its snapshot is none of ours"
        except InputError as error:
            reason = f"{error.problems[0].what} ({error.problems[0].found})"
        if reason:
            note(f"a training begins anew: {reason}")
        return None


def _metadata(content: bytes) -> dict[str, str]:
    """The metadata of a safetensors file, which the library reads from files alone: its header is JSON."""
    size = int.from_bytes(content[:8], "little")
    if not 0 < size <= min(len(content) - 8, _LARGEST_HEADER):
        raise ValueError("no header")
    metadata: dict[str, str] = json.loads(content[8 : 8 + size])["__metadata__"]
    return metadata


class TeamSnapshots:
    """The snapshots of a training run by several processes: the leader decides, reads and writes for all.

    own: the leader's snapshots; None in the other processes. All processes call every method at the same point.
    """

    def __init__(self, own: Snapshots | None, team: Team) -> None:
        self._own, self._team = own, team

    def offer(self, make: Callable[[], State], ended: int | None = None) -> None:
        """As `Snapshots.offer`. make: a part of what it gathers may lie with the other processes."""
        if self._own is None:
            if self._team.from_leader():
                make()
            return
        made = False

        def announced() -> State:
            nonlocal made
            made = True
            self._team.from_leader(b"made")
            return make()

        self._own.offer(announced, ended)
        if not made:
            self._team.from_leader()

    def last(self) -> State | None:
        """As `Snapshots.last`, the same for all."""
        found = None if self._own is None else self._own.last()
        content = b""
        if found is not None:
            tensors, facts = found
            content = save({name: value.contiguous() for name, value in tensors.items()})
            content = b"\n".join([canonical_json(facts).encode(), content])
        told, _, rest = self._team.from_leader(content).partition(b"\n")
        return (load(rest), json.loads(told)) if told else None


def _difference(before: dict[str, Any], about: dict[str, Any]) -> str:
    return ", ".join(
        f"{name}: {before.get(name)}, now {value}" for name, value in about.items() if before.get(name) != value
    )
