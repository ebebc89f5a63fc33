"""Plain values beside weights: the file is read, nothing in it runs, and nothing it claims to hold is believed."""

from __future__ import annotations

import argparse
import collections
import datetime
import decimal
import fractions
import os
import pathlib
import re
import sys
import types
import uuid
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from suite.errors import InputError
from suite.models.weights.plain import STAND_INS
from suite.models.weights.reading import read_state

STATE = {"head.weight": torch.arange(6.0).reshape(2, 3), "head.bias": torch.ones(2)}


def same(found: dict[str, torch.Tensor]) -> bool:
    return found.keys() == STATE.keys() and all(torch.equal(found[name], STATE[name]) for name in STATE)


@pytest.mark.parametrize(
    "value",
    [
        *(np.float64(0.5), np.float32(1), np.float16(1), np.int64(3), np.int32(3), np.uint8(3), np.bool_(True)),
        *(np.str_("a"), np.datetime64("2020"), np.zeros(3), np.array(["a", "b"]), np.dtype("f4"), np.float32),
        *("deit_tiny", 3, 0.5, None, True, [1, "a"], {"lr": {"a": [1]}}, {1, 2}, frozenset({1}), 1j, b"abc", range(3)),
        *(collections.deque([1, "a"], maxlen=3), fractions.Fraction(1, 2), np.random.RandomState(0)),
        *(slice(1), bytearray(b"a"), collections.Counter("ab"), collections.defaultdict(int, {"a": 1})),
        *(argparse.Namespace(a=1), types.SimpleNamespace(a=1), pathlib.PurePosixPath("a"), decimal.Decimal("0.5")),
        *(
            datetime.datetime(2020, 1, 1),
            datetime.timedelta(1),
            uuid.UUID(int=3),
            argparse.Namespace(p=Path("a"), n=np.float64(1)),
        ),
    ],
    ids=lambda value: re.sub(r" at 0x\w+", "", repr(value)),
)
@pytest.mark.parametrize("new", [True, False])
def test_plain_values_beside_the_weights(value: Any, new: bool, tmp_path: Path) -> None:
    for wrapped in ({"state_dict": STATE, "best": value, "model": value}, {**STATE, "best": value}):
        torch.save(wrapped, tmp_path / "weights.pth", _use_new_zipfile_serialization=new)
        assert same(read_state(tmp_path / "weights.pth"))


def test_dictionaries_of_other_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their classes aren't here when the file is read."""
    kinds = (
        *(("yacs.config", "CfgNode"), ("easydict", "EasyDict"), ("mmengine.config.config", "ConfigDict")),
        *(("pytorch_lightning.utilities.parsing", "AttributeDict"), ("addict.addict", "Dict")),
    )
    for module, name in kinds:
        kind = type(name, (dict,), {"__module__": module})
        names = module.split(".")
        for part in (".".join(names[: count + 1]) for count in range(len(names))):
            monkeypatch.setitem(sys.modules, part, types.ModuleType(part))
        setattr(sys.modules[module], name, kind)
        value = kind(a=kind(b=1))
        value.frozen = True
        torch.save({"model": STATE, "config": value}, tmp_path / "weights.pth")
        monkeypatch.undo()
        assert same(read_state(tmp_path / "weights.pth"))


def test_settings_of_hydra_and_random_states(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in (("omegaconf.dictconfig", "DictConfig"), ("omegaconf.listconfig", "ListConfig")):
        kind = type(name, (), {"__module__": module})
        for part in ("omegaconf", module):
            monkeypatch.setitem(sys.modules, part, types.ModuleType(part))
        setattr(sys.modules[module], name, kind)
        value = kind()
        value._content = {"lr": 0.1, "parent": value}
        state = {"torch": torch.get_rng_state(), "numpy": np.random.default_rng(0)}
        torch.save({"model": STATE, "config": value, "random": state}, tmp_path / "weights.pth")
        monkeypatch.undo()
        assert same(read_state(tmp_path / "weights.pth"))


def test_nothing_real_is_called() -> None:
    assert {called.__module__ for called, _ in STAND_INS} == {"suite.models.weights.plain"}


class Trap:
    """Unpickled, it calls a function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize(
    "wrap", [lambda trap: trap, lambda trap: np.array([trap], dtype=object), lambda trap: [{"a": trap}]]
)
def test_code_inside_of_plain_values_is_not_run(wrap: Any, tmp_path: Path) -> None:
    torch.save({"model": STATE, "score": wrap(Trap(os.mkdir, str(tmp_path / "ran")))}, tmp_path / "weights.pth")
    with pytest.raises(InputError, match=r"code that it names would run"):
        read_state(tmp_path / "weights.pth")
    assert not (tmp_path / "ran").exists()


def test_a_trap_that_only_uses_plain_names_does_nothing(tmp_path: Path) -> None:
    torch.save({"model": STATE, "score": Trap(pathlib.PurePosixPath, "a")}, tmp_path / "weights.pth")
    assert same(read_state(tmp_path / "weights.pth"))
    torch.save({"model": STATE, "score": Trap(range, 10**18)}, tmp_path / "weights.pth")
    assert same(read_state(tmp_path / "weights.pth"))


def test_the_readers_settings_are_as_before(tmp_path: Path) -> None:
    import torch.distributed.tensor  # its classes are added at its import, which reading may be the first to do

    before = set(torch.serialization.get_safe_globals())
    torch.save(STATE, tmp_path / "weights.pth")
    read_state(tmp_path / "weights.pth")
    assert set(torch.serialization.get_safe_globals()) == before


def test_a_view_that_is_larger_than_its_file(tmp_path: Path) -> None:
    torch.save({"head.weight": torch.ones(1).expand(10**12)}, tmp_path / "weights.pth")
    with pytest.raises(InputError, match="says it holds 4,000,000,000,000"):
        read_state(tmp_path / "weights.pth")


def test_tensors_without_values(tmp_path: Path) -> None:
    torch.save({"head.weight": torch.empty(10**9, device="meta")}, tmp_path / "weights.pth")
    with pytest.raises(InputError, match="no plain tensor with values"):
        read_state(tmp_path / "weights.pth")


def test_a_compressed_file_that_unpacks_to_much_more(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(2**23)}, tmp_path / "plain.pth")
    target = tmp_path / "weights.pth"
    with zipfile.ZipFile(tmp_path / "plain.pth") as plain, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as packed:
        for name in plain.namelist():
            packed.writestr(name, plain.read(name))
    assert (tmp_path / "weights.pth").stat().st_size < 2**17
    with pytest.raises(InputError, match="says it holds 33,"):
        read_state(tmp_path / "weights.pth")
