"""A note where more CPU threads are asked for than this machine has cores for: they wait for each other."""

from __future__ import annotations

from suite.cores import usable_cores
from suite.text import counted, note
from suite.train.machine import Machine


def note_threads(machine: Machine) -> None:
    """Say so if a training run here is to have more threads than there are cores that this process may use."""
    cores, asked = usable_cores(), machine.threads * machine.processes
    if asked <= cores:
        return
    by = f" of each of {machine.processes} processes" if machine.processes > 1 else ""
    are = counted(cores, "core that there is", "cores that there are")
    note(f"--threads {machine.threads}{by} is more than the {are}: it can only be slower")
