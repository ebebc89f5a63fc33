"""What importing a method file may not do to its process, which trains other methods too."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any

from suite.errors import InputError


@contextmanager
def contained() -> Iterator[None]:
    """Within it, a method file is imported.

    What it prints goes to stderr, since what a command prints may be read by a program. What it draws at random is the
    same in every process, and the generators get their states back. So do torch's settings.

    Raises:
        InputError: one of torch's settings was changed: it would change the baseline as well.
    """
    with redirect_stdout(sys.stderr), _kept_generators(), _kept_settings():
        yield


@contextmanager
def _kept_generators() -> Iterator[None]:
    import numpy as np

    states: list[tuple[Callable[[Any], object], Any]] = [
        (random.setstate, random.getstate()),
        (np.random.set_state, np.random.get_state()),
    ]
    random.seed(0)
    np.random.seed(0)
    if torch := sys.modules.get("torch"):
        states.append((torch.random.set_rng_state, torch.random.get_rng_state()))
        torch.random.default_generator.manual_seed(torch.Generator().initial_seed())  # as if it were imported just now
    try:
        yield
    finally:
        for restore, state in states:
            restore(state)


# As torch has them when it has just been imported: the file may be what imports it.
_FRESH = {
    "default dtype": "torch.float32",
    "default device": "cpu",
    "gradient mode": True,
    "deterministic algorithms": False,
    "precision of float32 matrix products": "highest",
}


@contextmanager
def _kept_settings() -> Iterator[None]:
    before = _settings() or _FRESH
    changed: list[str] = []
    try:
        yield
    finally:
        after = _settings() or before
        changed += [f"{name} {value}" for name, value in after.items() if value != before[name]]
        if changed:
            _restore(before)
    if changed:
        raise InputError(
            "a method file that changes settings of torch for all methods",
            expected="; ".join(f"{name} {value}" for name, value in before.items() if after[name] != value),
            found="; ".join(changed),
            fix="say it where it is used, such as dtype= of a tensor",
        )


def _settings() -> dict[str, Any]:
    torch = sys.modules.get("torch")
    if torch is None:
        return {}
    values = (
        str(torch.get_default_dtype()),
        str(torch.get_default_device()),
        torch.is_grad_enabled(),
        torch.are_deterministic_algorithms_enabled(),
        torch.get_float32_matmul_precision(),
    )
    return dict(zip(_FRESH, values, strict=True))


def _restore(settings: dict[str, Any]) -> None:
    torch = sys.modules["torch"]
    dtype, device, gradients, deterministic, precision = settings.values()
    torch.set_default_device(None if device == "cpu" else device)
    torch.set_default_dtype(getattr(torch, dtype.removeprefix("torch.")))
    torch.set_grad_enabled(gradients)
    torch.use_deterministic_algorithms(deterministic)
    torch.set_float32_matmul_precision(precision)
