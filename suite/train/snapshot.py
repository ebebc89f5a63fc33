"""Snapshots (checkpoints) of a training run.

A killed training run resumes from its last complete snapshot, and produces the same record as an uninterrupted one.
"""

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
_LARGEST_HEADER = 100 * 2**20  # bytes; the limit of safetensors itself

State = tuple[dict[str, Tensor], dict[str, Any]]  # the tensors, and other values that JSON can hold


@dataclass
class Snapshots:
    """The snapshots of one training run.

    Args:
        versions: Where snapshots are stored.
        every: Seconds from one snapshot to the next; 0: at every opportunity; None: no snapshots by time.
        about: Values that must match for a training run to resume from a snapshot: the trials, and everything that
            affects the last digits of results.
        epochs: Take a snapshot after every `epochs` epochs; None: no snapshots by epoch.
    """

    versions: Versions
    every: float | None
    about: dict[str, Any]
    epochs: int | None = None
    _last: float = field(default_factory=time.monotonic)

    def offer(self, make: Callable[[], State], ended: int | None = None) -> None:
        """Write a snapshot if one is due. A failed write is reported but doesn't stop the training run.

        Args:
            make: Returns the state to save.
            ended: The epoch that ends at this step, counted from 0; None within an epoch.
        """
        if not self._due(ended):
            return
        tensors, facts = make()
        metadata = {_KEY: canonical_json({"about": self.about, "facts": facts})}
        content = save({name: value.detach().cpu().contiguous() for name, value in tensors.items()}, metadata)
        try:
            self.versions.add(content)
        except InputError as error:  # losing a snapshot is better than losing the training run
            note(f"no snapshot of a training: {error.problems[0].what} ({error.problems[0].found})")
        self._last = time.monotonic()

    def _due(self, ended: int | None) -> bool:
        if self.epochs is not None and ended is not None and (ended + 1) % self.epochs == 0:
            return True
        return self.every is not None and time.monotonic() - self._last >= self.every

    def last(self) -> State | None:
        """The state to resume from, with tensors on the CPU; None if no snapshot can be used."""
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
    """The metadata in the JSON header of safetensors bytes. The library itself reads metadata only from files."""
    size = int.from_bytes(content[:8], "little")
    if not 0 < size <= min(len(content) - 8, _LARGEST_HEADER):
        raise ValueError("no header")
    metadata: dict[str, str] = json.loads(content[8 : 8 + size])["__metadata__"]
    return metadata


class TeamSnapshots:
    """The snapshots of a training run on several processes: the leader decides, reads and writes for all.

    All processes must call each method at the same point of the training run.

    Args:
        own: The leader's snapshots; None in the other processes.
        team: The processes.
    """

    def __init__(self, own: Snapshots | None, team: Team) -> None:
        self._own, self._team = own, team

    def offer(self, make: Callable[[], State], ended: int | None = None) -> None:
        """Like `Snapshots.offer`. `make` may gather state from all processes, so it is called in all or none."""
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
        """Like `Snapshots.last`. Every process gets the leader's state."""
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
