"""Metadata that describe another model than the file holds, above all an enormous one."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from suite.errors import InputError
from suite.models.architectures import resolve_architecture
from suite.models.build import build_model
from suite.models.model_cell import ModelCell, Shape
from suite.models.weights import description
from suite.models.weights.checkpoint import checkpoint_bytes, read_checkpoint, write_checkpoint
from suite.models.weights.description import check_described

BODY: dict[str, Any] = {"embed_dim": 12, "depth": 2, "num_heads": 2, "mlp_ratio": 1.5}
SMALL: dict[str, tuple[str, dict[str, Any], str]] = {
    "deit": ("deit", {**BODY, "patch_size": 4}, "sin2d"),
    "cct": ("cct", {**BODY, "conv_kernel": 3, "conv_stride": 1, "conv_padding": 1, "conv_layers": 1}, "learnable"),
    "swin": (
        "swin",
        {**BODY, "depth": (2, 1), "num_heads": (2, 2), "patch_size": 2, "window_size": 2},
        "learnable+rpe2d",
    ),
    "t2t_vit": ("t2t_vit", {**BODY, "token_dim": 4}, "learnable"),
    "ceit": ("ceit", {**BODY, "patch_size": 2}, "learnable"),
    "resnet_cifar": ("resnet_cifar", {"blocks": 1, "channels": 4}, "none"),
    "resnet": ("resnet", {"blocks": (1, 1, 1, 1), "bottleneck": False}, "none"),
    "mobilenet_v2": ("mobilenet_v2", {"width_multiple": 0.1}, "none"),
}


def cell_of(name: str, **sizes: Any) -> ModelCell:
    family, body, pe = SMALL[name]
    arch = resolve_architecture(family, {**body, **sizes})
    return ModelCell(arch, pe, "default", arch.family.norm, Shape(3, 16, 1))


def write(path: Path, cell: ModelCell, described: dict[str, Any]) -> Path:
    """A file with the weights of one model and the description of another."""
    about = {"trial_id": "0" * 16, "dataset": "digits", "model": described}
    save_file(build_model(cell).state_dict(), path, {"lape": json.dumps(about)})
    return path


def changed(cell: ModelCell, **changes: Any) -> dict[str, Any]:
    """What the metadata say of a cell, with some of it changed."""
    values = cell.values()
    for name, value in changes.items():
        (values["architecture"] if name in values["architecture"] else values)[name] = value
    return values


@pytest.mark.parametrize("name", list(SMALL))
def test_a_files_own_description_fits(name: str, tmp_path: Path) -> None:
    cell = cell_of(name)
    write_checkpoint(tmp_path / "a.safetensors", build_model(cell), cell, dataset="digits", trial_id="0" * 16)
    found = read_checkpoint(tmp_path / "a.safetensors")
    assert found is not None
    assert found.cell == cell


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("deit", {"depth": 10}),
        ("ceit", {"depth": 9}),
        ("swin", {"depth": (2, 8)}),
        ("resnet_cifar", {"blocks": 9}),
        ("resnet", {"blocks": (1, 2, 6, 1)}),
        pytest.param("deit", {"depth": description._DEEP + 1}, marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("join", ["default", "unshared"])
def test_deep_models_fit_too(name: str, sizes: dict[str, Any], join: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if nine blocks were many: to build 65 takes seconds."""
    if sizes.get("depth") != description._DEEP + 1:
        monkeypatch.setattr(description, "_DEEP", 8)
    cell = cell_of(name, **sizes)
    if join == "unshared" and cell.pe != "none":
        cell = replace(cell, join=join, pe="learnable")
    with torch.device("meta"):
        shapes = {key: tuple(value.shape) for key, value in build_model(cell).state_dict().items()}
    check_described(cell, shapes)
    del shapes[next(iter(shapes))]
    with pytest.raises(InputError, match="1 tensors that differ"):
        check_described(cell, shapes)


ENORMOUS: list[tuple[str, dict[str, Any]]] = [
    ("deit", {"depth": 3_000_000}),
    ("deit", {"embed_dim": 12 * 10**8}),
    ("deit", {"mlp_ratio": 1e12}),
    ("deit", {"patch_size": 1, "image_size": 10**5}),
    ("deit", {"num_classes": 10**10}),
    ("deit", {"in_chans": 10**10}),
    ("deit", {"pe": "none", "image_size": 4 * 10**9}),
    ("deit", {"pe": "learnable+rpe2d", "image_size": 4096}),
    ("cct", {"conv_layers": 10**7, "image_size": 10**9}),
    ("cct", {"conv_kernel": 10**6, "conv_padding": 10**6}),
    ("swin", {"depth": [10**7, 1]}),
    ("swin", {"window_size": 2**15, "image_size": 2**16}),
    ("swin", {"pe": "rpe2d", "window_size": 2**9, "image_size": 2**10}),
    ("swin", {"depth": [1] * 10**5, "num_heads": [1] * 10**5, "image_size": 2**20}),
    ("t2t_vit", {"token_dim": 10**9}),
    ("t2t_vit", {"image_size": 10**6}),
    ("resnet_cifar", {"blocks": 10**7}),
    ("resnet_cifar", {"channels": 10**9}),
    ("resnet", {"blocks": [1, 1, 10**7, 1]}),
    ("mobilenet_v2", {"width_multiple": 1e6}),
]

_READ = """
import sys, resource
from suite.errors import InputError
from suite.models.weights.checkpoint import read_checkpoint
resource.setrlimit(resource.RLIMIT_CPU, (int(sys.argv[2]), int(sys.argv[2])))
for path in sys.argv[3:]:
    before = resource.getrusage(resource.RUSAGE_SELF)
    try:
        read_checkpoint(__import__("pathlib").Path(path))
    except InputError as error:
        problem = error.problems[0]
        assert problem.where == path, problem
        print("refused:", problem.what)
    else:
        print("read")
    after = resource.getrusage(resource.RUSAGE_SELF)
    assert after.ru_utime - before.ru_utime < 5, (path, "seconds", after.ru_utime - before.ru_utime)
    peak = int(open("/proc/self/status").read().partition("VmHWM:")[2].split()[0])
    assert peak < 2**20, (path, "KiB", peak)
"""


def test_a_description_of_an_enormous_model_is_refused_at_once(tmp_path: Path) -> None:
    """In 5 s of CPU time and 1 GiB each, imports included: measured in a process of their own."""
    paths = [
        write(tmp_path / f"{number}.safetensors", cell_of(name), changed(cell_of(name), **changes))
        for number, (name, changes) in enumerate(ENORMOUS)
    ]
    done = subprocess.run(
        [sys.executable, "-c", _READ, "-", "150", *map(str, paths)],
        capture_output=True, text=True, check=False, timeout=280,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert [line.partition(":")[0] for line in done.stdout.splitlines()] == ["refused"] * len(ENORMOUS)


def test_many_tiny_tensors_make_no_deep_model(tmp_path: Path) -> None:
    cell = cell_of("deit", depth=20_000)
    names = [f"blocks.{block}.norm1.weight" for block in range(20_000)]
    about = {"trial_id": "0" * 16, "dataset": "digits", "model": cell.values()}
    path = tmp_path / "a.safetensors"
    save_file({name: torch.zeros(1) for name in names}, path, {"lape": json.dumps(about)})
    begun = time.process_time()
    with pytest.raises(InputError, match="don't fit the model that it describes"):
        read_checkpoint(path)
    assert time.process_time() - begun < 5


def test_tensors_without_values(tmp_path: Path) -> None:
    cell = cell_of("deit")
    state = {name: torch.zeros((10**9, 0)) for name in build_model(cell).state_dict()}
    save_file(
        state, tmp_path / "a.safetensors", {"lape": json.dumps({"model": cell.values(), "dataset": "", "trial_id": ""})}
    )
    with pytest.raises(InputError, match="a tensor without values"):
        read_checkpoint(tmp_path / "a.safetensors")


def test_metadata_of_any_depth(tmp_path: Path) -> None:
    for nonsense in ("[" * 10**5, '{"model":' * 10**4, "1" * 10**5, '{"model": {"architecture": 1e999}}'):
        save_file({"a": torch.zeros(1)}, tmp_path / "a.safetensors", {"lape": nonsense})
        with pytest.raises(InputError) as caught:
            read_checkpoint(tmp_path / "a.safetensors")
        assert len(str(caught.value)) < 3000


def test_our_files_are_known_by_any_suffix(tmp_path: Path) -> None:
    cell = cell_of("deit")
    (tmp_path / "a.pth").write_bytes(checkpoint_bytes(build_model(cell), cell, dataset="digits", trial_id="0" * 16))
    found = read_checkpoint(tmp_path / "a.pth")
    assert found is not None
    assert found.cell == cell
