"""Distillation from end to end: a teacher is trained and prepared, and students learn from it."""

from __future__ import annotations

import itertools
import shutil
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from torch.nn.functional import cross_entropy

from suite.cli import main
from suite.data.images import load_images
from suite.errors import InputError
from suite.grid.grid import load_grid
from suite.grid.trial import Trial
from suite.models import create_model
from suite.store.folder import Store
from suite.store.record import VOLATILE, RunRecord
from suite.train.augmentation.pipeline import Normalise
from suite.train.machine import Machine
from suite.train.steps.trainer import Trainer
from suite.train.teachers import add_teacher
from suite.train.trials import run_trial
from tests.cli.shell import Shell

Write = Callable[..., Path]
Refused = Callable[..., str]

NAME = "test_resnet"
KINDS = ("none", "soft", "hard")
GRID = """
name: taught
seeds: [0]
architectures:
  taught: {family: deit_distilled, patch_size: 4, embed_dim: 8, depth: 2, num_heads: 2, mlp_ratio: 1}
blocks:
"""
BLOCK = """
  - axes: {arch: [taught], pe: [learnable], join: [lape], dataset: [digits]}
    recipe:
      {name: KIND, version: 1, epochs: 2, batch_size: 64, lr: 1e-3, train_images: 256, crop_padding: 1, flip: true,
       distillation: KIND, TEACHER}
"""


@dataclass(frozen=True)
class Prepared:
    """A data root with the digits and a teacher, the file its weights came from, and what `lape` told of it."""

    root: Path
    weights: Path
    checksum: str
    told: str


def in_this_process(*arguments: str | Path) -> str:
    """What `lape` prints, for a fixture of the module."""
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(StringIO()) as told:
        patch.setattr(sys, "argv", ["lape", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
    assert not stop.value.code
    return told.getvalue()


@pytest.fixture(scope="module")
def prepared(data_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """A small network of timm's, trained on the digits for some seconds."""
    folder = tmp_path_factory.mktemp("teacher")
    root, weights = folder / "data", folder / "weights.pth"
    shutil.copytree(data_folder, root)
    dataset = load_grid(_write(folder, "none", "0" * 64)).expand().trials[0].dataset
    images = load_images(dataset, "train", root)
    pixels = Normalise(dataset.mean, dataset.std, torch.device("cpu"))(images.batch(torch.arange(len(images))))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model = timm.create_model(NAME, num_classes=10, in_chans=1)
        optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
        for _ in range(4):
            for indices in torch.randperm(len(images)).split(64)[:-1]:
                optimiser.zero_grad()
                cross_entropy(model(pixels[indices]), images.labels[indices]).backward()
                optimiser.step()
        with torch.no_grad():
            right = (model.eval()(pixels).argmax(1) == images.labels).float().mean()
    assert right > 0.9
    torch.save({"model": model.state_dict(), "epoch": 4}, weights)
    told = in_this_process("data", "teacher", NAME, "--from", weights, "--data", root)
    return Prepared(root, weights, told.rpartition("teacher_sha256:")[2].strip(), told)


def _write(folder: Path, kinds: str, checksum: str) -> Path:
    text = GRID
    for kind in kinds.split():
        teacher = "" if kind == "none" else f"teacher: {NAME}, teacher_sha256: '{checksum}'"
        text += BLOCK.replace("KIND", kind).replace(", TEACHER", f", {teacher}" if teacher else "")
    path = folder / "grid.yaml"
    path.write_text(text)
    return path


@pytest.fixture
def trials(prepared: Prepared, tmp_path: Path) -> dict[str, Trial]:
    path = _write(tmp_path, " ".join(KINDS), prepared.checksum)
    return {trial.recipe.distillation: trial for trial in load_grid(path).expand().trials}


def lasting(record: RunRecord) -> dict[str, Any]:
    return record.model_dump(exclude={*VOLATILE, "environment", "history"})


def curve(record: RunRecord) -> list[tuple[float, float | None]]:
    assert record.history is not None
    return [(epoch.train_loss, epoch.test_loss) for epoch in record.history]


def test_what_the_command_tells(prepared: Prepared) -> None:
    taken, first, _, *lines = prepared.told.splitlines()
    assert taken == "weights: those under 'model'"
    assert first.startswith(f"{NAME}: 10 classes, 1 channels, 373,370 parameters, in {prepared.root}")
    assert lines == ["distillation: hard # or soft", f"teacher: {NAME}", f"teacher_sha256: {prepared.checksum}"]


def test_a_grid_of_students(
    prepared: Prepared, trials: dict[str, Trial], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command line trains one of each kind. Its records are those of the same trials by `run_trial`."""
    monkeypatch.chdir(tmp_path)
    assert "3/3 done" in in_this_process("run", "grid.yaml", "--executor", "serial", "--data", prepared.root)
    records = Store(tmp_path / "results" / "taught").records()
    assert records.keys() == {trial.id for trial in trials.values()}
    assert len(records) == 3
    assert all(record.status == "done" and record.top1 is not None for record in records.values())
    curves = []
    for trial in trials.values():
        first, *more = (run_trial(trial, Machine(prepared.root, "cpu")) for _ in range(1 + (trial is trials["hard"])))
        assert lasting(first) == lasting(records[trial.id])
        assert all(lasting(first) == lasting(second) and curve(first) == curve(second) for second in more)
        curves.append(curve(first))
    assert all(one[0] != other[0] for one, other in itertools.combinations(curves, 2))


def test_the_teacher_sees_what_the_student_sees_and_learns_nothing(
    prepared: Prepared, trials: dict[str, Trial], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, list[torch.Tensor]] = {"student": [], "teacher": []}
    before: dict[str, torch.Tensor] = {}
    teachers: list[torch.nn.Module] = []

    class Spy(Trainer):
        def train_epoch(self, *arguments: Any) -> torch.Tensor:
            assert self.teacher is not None
            if not teachers:
                teachers.append(self.teacher)
                before.update({name: value.clone() for name, value in self.teacher.state_dict().items()})
                for name, model in (("student", self.model), ("teacher", self.teacher)):
                    model.register_forward_pre_hook(
                        lambda module, inputs, name=name: (
                            seen[name].append(inputs[0].clone())  # type: ignore[misc]
                            if module.training == (name == "student")
                            else None
                        )
                    )
            return super().train_epoch(*arguments)

    monkeypatch.setattr("suite.train.attempt.Trainer", Spy)
    assert run_trial(trials["hard"], Machine(prepared.root, "cpu")).status == "done"
    assert len(seen["student"]) == len(seen["teacher"]) == 8
    assert all(torch.equal(*pair) for pair in zip(*seen.values(), strict=True))
    after = teachers[0].state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())  # its batch norms too


def test_without_distillation_the_second_head_stays_as_it_was(
    prepared: Prepared, trials: dict[str, Trial], monkeypatch: pytest.MonkeyPatch
) -> None:
    heads: dict[str, list[torch.Tensor]] = {}

    class Spy(Trainer):
        def train_epoch(self, *arguments: Any) -> torch.Tensor:
            weight = self.model.distillation_head.weight
            heads.setdefault(kind, []).append(weight.detach().clone())  # type: ignore[union-attr, operator]
            losses = super().train_epoch(*arguments)
            heads[kind].append(weight.detach().clone())  # type: ignore[union-attr, operator]
            return losses

    monkeypatch.setattr("suite.train.attempt.Trainer", Spy)
    for kind in KINDS:
        run_trial(trials[kind], Machine(prepared.root, "cpu"))
        assert torch.equal(heads[kind][0], heads["none"][0])  # the kinds start from the same weights
        assert torch.equal(heads[kind][0], heads[kind][-1]) == (kind == "none")


def test_the_test_pass_takes_the_mean_of_both_heads(trials: dict[str, Trial]) -> None:
    torch.manual_seed(0)
    model = create_model(trials["hard"].arch, num_classes=10, image_size=8, in_chans=1).eval()
    images = torch.randn(3, 1, 8, 8)
    both = {}
    for name in ("head", "distillation_head"):
        getattr(model, name).register_forward_hook(
            lambda module, inputs, output, name=name: both.update({name: output})  # type: ignore[misc]
        )
    assert torch.equal(model(images), (both["head"] + both["distillation_head"]) / 2)


class TestBadInput:
    @pytest.fixture
    def refused(
        self, prepared: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> Refused:
        """What `lape run` says; it must not have run anything, the undistilled trials included."""

        def run(data: Path, checksum: str = prepared.checksum) -> str:
            path = _write(tmp_path, " ".join(KINDS), checksum)
            monkeypatch.chdir(tmp_path)
            message = Shell(monkeypatch, capsys).refuses("run", path, "--executor", "serial", "--data", data)
            assert not (tmp_path / "results").exists()
            return message

        return run

    def test_no_teacher(self, refused: Refused, data_folder: Path) -> None:
        message = refused(data_folder)
        assert f"run: lape data teacher {NAME} --from FILE" in message

    def test_another_checksum(self, refused: Refused, prepared: Prepared) -> None:
        message = refused(prepared.root, "0" * 64)
        assert f"expected:   weights with the SHA-256 {'0' * 64}" in message
        assert f"found:      weights with the SHA-256 {prepared.checksum}" in message

    def test_damaged_weights(
        self, refused: Refused, prepared: Prepared, trials: dict[str, Trial], tmp_path: Path
    ) -> None:
        root = tmp_path / "data"
        shutil.copytree(prepared.root, root)
        _, _, path = add_teacher(NAME, root, prepared.weights)
        path.write_bytes(path.read_bytes()[:-1] + b"\x01")
        assert "damaged on disk" in refused(root)
        with pytest.raises(InputError, match="damaged on disk"):  # a worker sees it too
            run_trial(trials["soft"], Machine(root, "cpu"))

    def test_a_teacher_of_other_classes(self, refused: Refused, prepared: Prepared, tmp_path: Path) -> None:
        weights = tmp_path / "weights.pth"
        torch.save(timm.create_model(NAME, num_classes=11, in_chans=1).state_dict(), weights)
        root = tmp_path / "data"
        shutil.copytree(prepared.root, root)
        _, checksum, _ = add_teacher(NAME, root, weights)
        assert "has other classes than the data set digits" in refused(root, checksum)


def test_a_student_without_a_second_head_is_dropped_on_demand(write_grid: Write) -> None:
    recipe = f"distillation: soft, teacher: {NAME}, teacher_sha256: '{'0' * 64}', lr: 1e-3"
    taught = "  taught: {family: deit_distilled, patch_size: 4, embed_dim: 8, depth: 1, num_heads: 2, mlp_ratio: 1}"
    path = write_grid(
        ("lr: 1e-3", recipe),
        ("axes:", f"{taught}\nimpossible: drop\naxes:"),
        ("[tiny]", "[tiny, taught]"),
    )
    expansion = load_grid(path).expand()
    assert {trial.arch.name for trial in expansion.trials} == {"taught"}
    assert {cell.reason for cell in expansion.dropped} == {"arch tiny has no head that learns from a teacher"}
