"""The real command line: what it prints, what it writes, and what it says to bad input."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open

from suite.cli import main
from suite.data.images import ArrayImages, load_images
from suite.grid.grid import load_grid
from suite.models.architectures import resolve_architecture
from suite.models.build import build_model
from suite.models.model_cell import ModelCell, Shape
from suite.models.weights.checkpoint import read_checkpoint, write_checkpoint
from suite.store.folder import Store
from suite.store.record import SCHEMA_VERSION, unpack_bits
from tests.conftest import REPOSITORY
from tests.records import lines, make_record

Write = Callable[..., Path]


class Shell:
    """Runs `lape` in this process, in a folder of its own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys
        self.code = 0
        self.out = self.err = ""

    def __call__(self, *arguments: str | Path) -> str:
        self._monkeypatch.setattr(sys, "argv", ["lape", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        self.code = stop.value.code or 0  # type: ignore[assignment]
        self.out, self.err = self._capsys.readouterr()
        return self.out

    def refuses(self, *arguments: str | Path) -> str:
        """The one message of a command that ends with 2; it has every part, and no traceback."""
        self(*arguments)
        assert self.code == 2, self.out + self.err
        assert self.err.startswith("error: ")
        for part in ("expected:", "found:", "where:", "what to do:"):
            assert part in self.err, self.err
        assert "Traceback" not in self.err
        return self.err


@pytest.fixture
def lape(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, data_folder: Path
) -> Shell:
    monkeypatch.setenv("LAPE_DATA", str(data_folder))
    monkeypatch.chdir(tmp_path)
    return Shell(monkeypatch, capsys)


@pytest.fixture
def finished(write_grid: Write, tmp_path: Path) -> Path:
    """A grid whose trials all have records, without training."""
    path = write_grid()
    store = Store(tmp_path / "results" / "small")
    for index, trial in enumerate(load_grid(path).expand().trials):
        store.put(make_record(trial, 80.0 + index))
    store.collect()
    return path


class TestSerialRun:
    def test_the_whole_path(self, lape: Shell, write_grid: Write, tmp_path: Path) -> None:
        path = write_grid()
        out = lape("run", path, "--executor", "serial")
        assert lape.code == 0, lape.err
        assert "4 of 4 trials to run" in out
        assert "4/4 done" in out
        assert "names no claims" in out
        assert "report: reports/small/index.html" in out
        report = tmp_path / "reports" / "small"
        assert {file.name for file in report.iterdir()} >= {"index.html", "tables", "figures", "verdicts.json"}
        runs = tmp_path / "results" / "small" / "runs.jsonl"
        assert {run["status"] for run in lines(runs)} == {"done"}

        before = runs.read_bytes()
        out = lape("run", path, "--executor", "serial")
        assert (lape.code, runs.read_bytes()) == (0, before)
        assert "nothing to run, all 4 trials have been run" in out

        lape("run", path, "--executor", "serial", "--seeds", "3")
        assert len(lines(runs)) == 6
        assert [line for line in before.splitlines() if line not in runs.read_bytes().splitlines()] == []

    def test_a_run_that_is_not_complete_says_so_by_its_exit_code(self, lape: Shell, write_grid: Write) -> None:
        path = write_grid()
        lape("run", path, "--executor", "serial", "--limit", "1")
        assert lape.code == 1
        assert "1/4 done, 3 to do" in lape("status", path)
        assert "about" in lape("plan", path)

    def test_a_failure_is_listed_and_retried(self, lape: Shell, write_grid: Write, tmp_path: Path) -> None:
        path = write_grid()
        trial = load_grid(path).expand().trials[0]
        store = Store(tmp_path / "results" / "small")
        store.put(make_record(trial, status="error", error="Traceback\nRuntimeError: boom"))
        lape("run", path, "--executor", "serial")
        assert lape.code == 1
        out = lape("status", path)
        assert "1 failed (1 error)" in out
        assert f"{trial.id} error" in out
        assert "RuntimeError: boom" in out
        lape("run", path, "--executor", "serial", "--retry", "error")
        assert lape.code == 0

    def test_one_trial_again(self, lape: Shell, write_grid: Write, tmp_path: Path) -> None:
        path = write_grid()
        trial = load_grid(path).expand().trials[1]
        assert "this one is stored" in lape("rerun", trial.id, "--grid", path)
        assert lape.code == 0
        assert "the same" in lape("rerun", trial.id[:9].upper(), "--grid", path)
        assert lape.code == 0
        runs = tmp_path / "results" / "small" / "runs.jsonl"
        runs.write_text(runs.read_text().replace('"status":"done"', '"status":"oom"'))
        assert "different in status" in lape("rerun", trial.id, "--grid", path)
        assert lape.code == 1
        assert "no trial has an id" in lape.refuses("rerun", "zzzz", "--grid", path)
        assert "more than one trial" in lape.refuses("rerun", "", "--grid", path)


class TestWeights:
    def test_weights_are_kept_on_demand_and_change_nothing(
        self, lape: Shell, write_grid: Write, tmp_path: Path
    ) -> None:
        path = write_grid()
        assert "weights" not in lape("run", path, "--executor", "serial", "--results", "without")
        assert not (tmp_path / "without" / "small" / "weights").exists()
        out = lape("run", path, "--executor", "serial", "--keep-weights")
        assert (lape.code, "weights of 4 runs: results/small/weights" in out) == (0, True)
        files = {file.name for file in (tmp_path / "results" / "small" / "weights").iterdir()}
        assert files == {f"{trial.id}.safetensors" for trial in load_grid(path).expand().trials}
        one, other = (lines(tmp_path / name / "small" / "runs.jsonl") for name in ("without", "results"))
        assert one == other

    def test_they_are_those_that_the_record_speaks_of(
        self, lape: Shell, write_grid: Write, tmp_path: Path, data_folder: Path
    ) -> None:
        """The model that is read again is right about the same test images."""
        path = write_grid(("epochs: 2", "epochs: 4"))
        lape("run", path, "--executor", "serial", "--keep-weights", "--limit", "2")
        trial = load_grid(path).expand().trials[1]
        store = Store(tmp_path / "results" / "small")
        record, kept = store.records()[trial.id], read_checkpoint(store.weights(trial.id))
        assert kept is not None
        assert (kept.trial_id, kept.cell.join, kept.dataset) == (trial.id, "lape", "digits")
        images = load_images(trial.dataset, "test", data_folder).to(torch.device("cpu"))
        assert isinstance(images, ArrayImages)
        pixels = images.pixels.permute(0, 3, 1, 2).float() / 255
        normalised = (pixels - torch.tensor(trial.dataset.mean)) / torch.tensor(trial.dataset.std)
        with torch.no_grad():
            right = kept.model.eval()(normalised).argmax(1) == images.labels
        assert right.tolist() == unpack_bits(record.correct or "", record.test_images or 0).tolist()

    def test_weights_that_cannot_be_written_lose_no_record(
        self, lape: Shell, write_grid: Write, tmp_path: Path
    ) -> None:
        (tmp_path / "results" / "small").mkdir(parents=True)
        (tmp_path / "results" / "small" / "weights").write_text("a file where the folder should be")
        out = lape("run", write_grid(), "--executor", "serial", "--keep-weights")
        assert lape.code == 0, lape.err
        assert {run["status"] for run in lines(tmp_path / "results" / "small" / "runs.jsonl")} == {"done"}
        assert "4 runs have no weights there" in out

    def test_runs_without_weights_are_named(self, lape: Shell, write_grid: Write) -> None:
        path = write_grid()
        lape("run", path, "--executor", "serial", "--limit", "1")
        out = lape("run", path, "--executor", "serial", "--keep-weights")
        assert "weights of 3 runs" in out
        assert f"1 runs have no weights there, {load_grid(path).expand().trials[0].id} for instance" in out

    def test_one_trial_again(self, lape: Shell, write_grid: Write, tmp_path: Path) -> None:
        path = write_grid()
        trial = load_grid(path).expand().trials[1]
        lape("run", path, "--executor", "serial", "--keep-weights")
        out = lape("rerun", trial.id, "--grid", path, "--weights", "again.safetensors")
        assert "the same" in out
        assert "weights: again.safetensors" in out
        kept = tmp_path / "results" / "small" / "weights" / f"{trial.id}.safetensors"
        assert (tmp_path / "again.safetensors").read_bytes() == kept.read_bytes()
        assert "call it a.safetensors" in lape.refuses("rerun", trial.id, "--grid", path, "--weights", "a.pth")


class TestInspect:
    @pytest.fixture
    def ours(self, lape: Shell, write_grid: Write, tmp_path: Path) -> dict[str, Path]:
        """Weights by PE and joining method, untrained."""
        path = write_grid(
            ("[learnable]", "[learnable, none, rpe2d]"), ("[0, 1]", "[0]"), ("seeds:", "impossible: drop\nseeds:")
        )
        files = {}
        for trial in load_grid(path).expand().trials:
            file = files[f"{trial.pe} {trial.join}"] = tmp_path / f"{trial.pe}-{trial.join}.safetensors"
            write_checkpoint(file, build_model(trial.model), trial.model, dataset="digits", trial_id=trial.id)
        return files

    def test_a_file_of_ours_says_itself_what_it_is(self, lape: Shell, ours: dict[str, Path], tmp_path: Path) -> None:
        out = lape("inspect", ours["learnable lape"])
        assert lape.code == 0, lape.err
        assert "tiny · learnable · lape · digits · trial " in out
        assert [line[:7] for line in out.splitlines() if line.startswith("layer")] == ["layer 1", "layer 2"]
        assert "Eq. 11" in out
        assert "hold only approximately" not in out
        folder = tmp_path / "reports" / "inspect" / "learnable-lape"
        names = {"matrices.png", "matrices.svg", "maps.png", "maps.svg", "matrices.npz"}
        assert {file.name for file in folder.iterdir()} == names
        assert all(f"reports/inspect/learnable-lape/{name}" in out for name in names)
        assert (folder / "maps.png").read_bytes().startswith(b"\x89PNG")
        matrices = np.load(folder / "matrices.npz")
        assert set(matrices) == {"correlation_layer_1", "correlation_layer_2"}
        assert matrices["correlation_layer_1"].shape == (4, 4)
        before = {name: (folder / name).read_bytes() for name in names}
        lape("inspect", ours["learnable lape"])
        assert before == {name: (folder / name).read_bytes() for name in names}
        lape("inspect", ours["learnable lape"], "--token", "0,1", "--out", "token")
        lape("inspect", ours["learnable lape"], "--low=0.5", "--out", "low")
        assert (tmp_path / "token" / "maps.png").read_bytes() != before["maps.png"]
        assert (tmp_path / "token" / "matrices.png").read_bytes() == before["matrices.png"]
        assert (tmp_path / "low" / "matrices.png").read_bytes() != before["matrices.png"]

    def test_it_is_said_where_the_papers_formula_is_only_approximate(self, lape: Shell, ours: dict[str, Path]) -> None:
        out = lape("inspect", ours["learnable default"])
        assert "Eq. 6–7 as printed hold only approximately here" in out
        assert "Eq. 11" not in out

    def test_a_relative_position_is_drawn_as_a_bias(self, lape: Shell, ours: dict[str, Path], tmp_path: Path) -> None:
        out = lape("inspect", ours["rpe2d default"], "--out", "here")
        assert lape.code == 0, lape.err
        assert {file.name for file in (tmp_path / "here").iterdir()} == {"bias.png", "bias.svg", "matrices.npz"}
        assert "neighbours" not in out

    def test_tokens_of_a_model_in_stages(self, lape: Shell, tmp_path: Path) -> None:
        """A token is of the first stage; windows have no such token, and are drawn around their own centre."""
        size = {"embed_dim": 8, "depth": (1, 1), "num_heads": (1, 1), "mlp_ratio": 1.0, "patch_size": 1}
        architecture = resolve_architecture("swin", {**size, "window_size": 2})
        cell = ModelCell(architecture, "learnable+rpe2d", "default", "ln", Shape(3, 8, 1))
        write_checkpoint(tmp_path / "a.safetensors", build_model(cell), cell, dataset="digits", trial_id="")
        out = lape("inspect", "a.safetensors", "--token", "7,7")
        assert lape.code == 0, lape.err
        assert "stage 2, layer 1" in out
        assert {"maps.png", "bias.png"} <= {file.name for file in (tmp_path / "reports" / "inspect" / "a").iterdir()}

    def test_a_published_checkpoint_needs_its_model_named(self, lape: Shell, tmp_path: Path) -> None:
        with safe_open(REPOSITORY / "tests" / "golden" / "deit-learnable-lape.safetensors", "pt") as file:
            about, names = file.metadata(), [name for name in file.keys() if name.startswith("state.")]  # noqa: SIM118
            state = {name.removeprefix("state."): file.get_tensor(name) for name in names}
        torch.save({"model": state}, "published.pth")
        sizes = ("patch_size", "embed_dim", "depth", "num_heads", "mlp_ratio", "qkv_bias", "norm_eps")
        named = ["--arch", "deit", "--classes", about["num_classes"], "--image-size", about["image_size"]]
        named += [part for size in sizes for part in ("--set", f"{size}={about[size]}")]
        source = ("--source", "lape-deit")

        def refused(*options: str) -> str:
            return lape.refuses("inspect", "published.pth", *options)

        out = lape("inspect", "published.pth", *source, *named, "--join", "lape")
        assert lape.code == 0, lape.err
        assert "deit · learnable · lape" in out
        assert len([line for line in out.splitlines() if line.startswith("layer")]) == int(about["depth"])
        assert (tmp_path / "reports" / "inspect" / "published" / "maps.png").is_file()
        assert "--source not given" in refused(*named)
        assert "blocks.0.pe_norm.weight" in refused(*source, *named)
        assert "did you mean 'lape-deit'" in refused("--source", "lape_deit", *named, "--join", "lape")
        assert "did you mean 'deit'" in refused(*source, "--arch", "dite")
        assert "a key and a value" in refused(*source, *named, "--set", "depth")

    def test_bad_input(self, lape: Shell, ours: dict[str, Path], tmp_path: Path) -> None:
        one = ours["learnable lape"]
        assert "no such checkpoint" in lape.refuses("inspect", "nothing.pth")
        assert "says itself which model it holds" in lape.refuses("inspect", one, "--join", "default")
        assert "no position embedding" in lape.refuses("inspect", ours["none default"])
        for token in ("2,0", "0", "a,b", "-1,0", "0,1,0"):
            assert "ROW,COLUMN from 0,0 to 1,1" in lape.refuses("inspect", one, f"--token={token}")
        assert not (tmp_path / "reports").exists()

        options = ("--source", "lape-deit", "--arch", "deit_tiny")
        text = tmp_path / "text.pth"
        text.write_text("no checkpoint at all")
        assert "damaged, or no checkpoint" in lape.refuses("inspect", text, *options)
        code = tmp_path / "code.pth"
        torch.save({"model": os.getcwd}, code)
        assert "would run" in lape.refuses("inspect", code, *options)
        (tmp_path / "occupied").write_text("")
        assert "can't write" in lape.refuses("inspect", one, "--out", tmp_path / "occupied" / "here")


class TestReading:
    def test_plan(self, lape: Shell, write_grid: Write) -> None:
        path = write_grid(("seeds:", "exclude: [{when: {join: lape}, reason: too dear}]\nseeds:"))
        out = lape("plan", path, "--set", "recipe.epochs=5", "--seeds", "7")
        assert "1 cells × 7 seeds" in out
        assert "7: 0 done, 0 failed, 7 to do" in out
        assert "unknown before a first trial" in out
        assert "tiny learnable lape ln default digits: too dear" in out
        assert "80 % power" in out
        assert "one seed can't show any gain" in lape("plan", path, "--seeds", "1")

    def test_plan_estimates_from_stored_runs(self, lape: Shell, finished: Path) -> None:
        out = lape("plan", finished, "--seeds", "4")
        assert "8: 4 done, 0 failed, 4 to do" in out
        assert "about 40 s" in out  # ten seconds each
        out = lape("plan", finished, "--set", "recipe.epochs=6")
        assert "besides  4 stored runs of other trials" in out
        assert "about 2 min" in out  # thrice the epochs

    def test_tables_verify_and_report(self, lape: Shell, finished: Path, tmp_path: Path) -> None:
        out = lape("tables", finished)
        assert lape.code == 0
        assert "tiny" in out
        assert "+1.00" in out
        for name in ("csv", "md", "tex"):
            assert (tmp_path / "reports" / "small" / "tables" / f"summary.{name}").is_file()
        assert lape("report", finished).strip() == "reports/small/index.html"
        assert "no runs yet" in lape("tables", finished, "--set", "recipe.epochs=9")

    def test_verify_exits_with_1_if_a_claim_is_contradicted(
        self, lape: Shell, write_grid: Write, tmp_path: Path
    ) -> None:
        claims = tmp_path / "claims.yaml"
        claims.write_text(
            "claims: [{id: c, paper: P, version: v, table: '1', row: r, kind: published, claimed_gain: 5.0,"
            " margin: 1.0, alpha: 0.05, contrast: {axis: join, baseline: default, treatment: lape,"
            " match: {arch: tiny, dataset: digits}}}]"
        )
        path = write_grid(("[0, 1]", "[0, 1, 2]"), ("seeds:", "claims: [claims.yaml]\nseeds:"))
        for gain, code, word in ((-3.0, 1, "contradicted"), (5.0, 0, "confirmed")):
            store = Store(tmp_path / "results" / "small")
            for index, trial in enumerate(load_grid(path).expand().trials):
                store.put(make_record(trial, 50.0 + (trial.join == "lape") * (gain + 0.01 * index)))
            store.collect()
            out = lape("verify", path)
            assert (lape.code, word in out) == (code, True)
            assert "  but: the exact sign-flip check can't go below p = 0.125" in out  # what says something has caveats
            assert json.loads(lape("verify", path, "--json"))[0]["word"] == word
        store.put(make_record(trial, 50.0).model_copy(update={"top1": 0.5, "top1_best_epoch": 0.5}))
        for command in ("tables", "verify", "report"):
            assert f"trial {trial.id}" in lape.refuses(command, path)
            assert "a fraction, not a percentage" in lape.err

    def test_check_tells_all_that_is_wrong_in_all_files(self, lape: Shell, write_grid: Write) -> None:
        good = write_grid(name="good.yaml")
        assert f"{good}: 4 trials, 0 dropped cells, 0 claims" in lape("check", good)
        bad = write_grid(("[learnable]", "[lernable]"), name="bad.yaml")
        worse = write_grid(("seeds: [0, 1]", "seeds: []\nclaims: [nowhere.yaml]"), name="worse.yaml")
        message = lape.refuses("check", good, bad, worse)
        assert "bad.yaml, line" in message
        assert "worse.yaml, line" in message
        claims = write_grid(("seeds:", "claims: [nowhere.yaml]\nseeds:"), name="claims.yaml")
        for command in ("check", "plan", "run"):  # before the training, not after it
            assert "no such file" in lape.refuses(command, claims)
            assert "to run" not in lape.out

    def test_check_tells_of_claims_that_a_grid_leaves_untested(self, lape: Shell, write_grid: Write) -> None:
        claims = REPOSITORY / "grids" / "claims" / "quickstart.yaml"
        path = write_grid(("seeds:", f"claims: [{claims}]\nseeds:"))
        out = lape("check", path)
        assert lape.code == 0
        assert "note: no two cells of this grid are those of the claim 'digits-table2-cct'" in out
        assert "2 to judge, 2 not tested by this grid" in lape("plan", path)

    def test_expectations_of_no_cell_are_told(self, lape: Shell, write_grid: Write) -> None:
        path = write_grid(("seeds:", "expect: [{when: {arch: deit_tiny}, top1: 50, source: a}]\nseeds:"))
        assert "no cell of this grid is one of the entry in" in lape("check", path)
        assert "no entry names any of its cells" in lape("plan", path)

    def test_the_plan_of_a_grid_that_cant_run_says_why(self, lape: Shell) -> None:
        out = lape("plan", REPOSITORY / "grids" / "table3.yaml")
        assert "nothing to run: object detection on COCO isn't built" in out
        assert "4, not tested by this grid" in out
        assert "pairs show" not in out

    def test_check_audits_claim_files(self, lape: Shell, write_grid: Write, tmp_path: Path) -> None:
        folder = REPOSITORY / "grids" / "claims"
        out = lape("check", write_grid(), folder / "table6.yaml", folder / "table5.yaml")
        assert lape.code == 0, lape.err
        assert "small.yaml: 4 trials" in out
        assert "table6.yaml: 12 values, 0 claims, 6 statements (adds up 4, only by rounding 2)" in out
        assert "DeiT-B, LaPE over default, time (s/epoch), +0.51 % is stated; 590 over 588 is +0.34 %" in out
        bad = tmp_path / "bad.yaml"
        bad.write_text((folder / "table5.yaml").read_text().replace("join: lape}", "join: lap}", 1))
        message = lape.refuses("check", bad)
        line = next(n for n, text in enumerate(bad.read_text().splitlines(), 1) if "join: lap}" in text)
        assert f"bad.yaml, line {line}" in message
        assert "did you mean 'lape'" in message

    def test_verify_tells_of_claims_that_no_runs_can_test(self, lape: Shell, write_grid: Write) -> None:
        claims = REPOSITORY / "grids" / "claims" / "table3.yaml"
        path = write_grid(("seeds:", f"claims: [{claims}]\nseeds:"))
        out = lape("verify", path)
        assert lape.code == 0
        assert "not tested: LaPE (ICCV 2023), Table 3, ViT-Adapter-T, LaPE over default, box AP" in out
        assert "claimed +0.70: not tested; object detection isn't built" in out
        assert [one["word"] for one in json.loads(lape("verify", path, "--json"))] == ["not_tested"] * 4
        assert "can't be tested: object detection isn't built" in lape("check", path)
        lape("report", path)
        assert lape.code == 0

    def test_verify_static(self, lape: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        folder = REPOSITORY / "grids" / "claims"
        out = lape("verify", "--static", folder / "table5.yaml", "--csv", tmp_path / "counts.csv")
        assert lape.code == 0, lape.err
        assert "5,722,024" in out
        with (tmp_path / "counts.csv").open(newline="") as file:
            counts = {row["id"]: row for row in csv.DictReader(file)}
        assert (counts["t5-deit_tiny-lape"]["count"], counts["t5-deit_tiny-lape"]["word"]) == ("5722024", "confirmed")
        monkeypatch.chdir(REPOSITORY)
        out = lape("verify", "--static", "--json")
        assert lape.code == 1
        told = {one["value"]["id"]: one for one in json.loads(out)}
        assert len(told) == 34
        assert told["t7-rpe2d-default-params"]["word"] == "contradicted"
        assert lape("verify", "--static", folder / "table5.yaml", "--csv", "-").startswith("id,paper,")

    @pytest.mark.parametrize(
        "arguments",
        [
            ["verify"],
            ["verify", "quickstart", "cifar_subset"],
            ["verify", "quickstart", "--csv", "-"],
            ["verify", "--static", "--seeds", "3"],
            ["verify", "--static", "--set", "recipe.epochs=3"],
            ["verify", "--static", "grids/claims/table5.yaml", "--json", "--csv", "-"],
            ["verify", "--static", "grids/claims/table1.yaml"],
            ["verify", "--static", "grids/quickstart.yaml"],
            ["verify", "--static", "nowhere.yaml"],
        ],
    )
    def test_verify_misused(self, lape: Shell, monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> None:
        monkeypatch.chdir(REPOSITORY)
        lape.refuses(*arguments)

    def test_ls_claims_says_what_cant_be_tested(self, lape: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(REPOSITORY)
        told = {line.split()[0]: line.split(maxsplit=3)[1:] for line in lape("ls", "claims").splitlines()}
        title = "LaPE (ICCV 2023), Table 2, CVT-7/4, LaPE over default, CIFAR-100"
        assert told["lape-table2-cvt_7_4-lape-cifar100"] == ["+0.60", "printed_table", title]
        assert told["l2bn-gain-fcnn"][:2] == ["+1.38", "released_readme"]
        assert told["l2bn-gain-fcnn"][2].endswith("; not tested: acoustic scene classification isn't built")

    def test_check_refuses_two_grids_of_one_name(self, lape: Shell, write_grid: Write) -> None:
        one, two = write_grid(name="one.yaml"), write_grid(name="two.yaml")
        message = lape.refuses("check", one, two)
        assert "two grids of the same name, 'small'" in message
        assert "two.yaml, line 2" in message
        lape("check", one, one)
        assert lape.code == 0

    @pytest.mark.parametrize(
        ("kind", "some"),
        [
            ("archs", "vit_lite_7_4"),
            ("pe", "sin2d"),
            ("joins", "lape_shared"),
            ("norms", "ln"),
            ("losses", "default"),
            ("datasets", "cifar100"),
            ("recipes", "digits"),
            ("claims", "digits-table2-cct"),
            ("grids", "grids/quickstart.yaml"),
        ],
    )
    def test_ls(self, lape: Shell, monkeypatch: pytest.MonkeyPatch, kind: str, some: str) -> None:
        monkeypatch.chdir(REPOSITORY)
        out = lape("ls", kind)
        assert lape.code == 0
        assert any(line.split()[0] == some for line in out.splitlines())

    def test_a_broken_grid_leaves_the_others_in_use(self, lape: Shell, write_grid: Write, tmp_path: Path) -> None:
        (tmp_path / "grids").mkdir()
        write_grid(name="grids/good.yaml")
        write_grid(("[learnable]", "[lernable]"), ("name: small", "nam: small"), name="grids/bad.yaml")
        out = lape("ls", "grids")
        assert (lape.code, out.split()) == (0, ["grids/good.yaml"])
        assert "note: grids/bad.yaml is left out" in lape.err
        trial = load_grid(tmp_path / "grids" / "good.yaml").expand().trials[0]
        assert "this one is stored" in lape("rerun", trial.id[:12])
        assert "note: grids/bad.yaml is left out" in lape.err
        lape.refuses("rerun", trial.id, "--grid", "bad")

    @pytest.mark.parametrize("kind", ["grids", "recipes", "claims"])
    def test_a_folder_without_grids(self, lape: Shell, kind: str) -> None:
        assert lape("ls", kind) == ""
        assert "run the command in the project's folder" in lape.err

    def test_hints_can_be_typed(self, lape: Shell, write_grid: Write, tmp_path: Path) -> None:
        path = write_grid(name="my grid.yaml")
        store = Store(tmp_path / "results" / "small")
        store.put(make_record(load_grid(path).expand().trials[0], status="timeout", error="late"))
        out = lape("status", path, "--set", "axes.join=[default]")
        assert f"`lape run '{path}' --set 'axes.join=[default]' --retry timeout` runs them again" in out
        assert f"`lape run '{path}' --limit 2`" in lape("plan", path)

    def test_grids_can_be_named(self, lape: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.chdir(REPOSITORY)
        assert "24" in lape("plan", "quickstart", "--results", tmp_path)
        assert "did you mean 'quickstart'" in lape.refuses("plan", "quikstart")


class TestData:
    def test_prepare_and_list(self, lape: Shell, tmp_path: Path) -> None:
        out = lape("data", "prepare", "digits", "--data", tmp_path / "data")
        assert "1195 + 602 images, 8×8×1, 10 classes" in out
        listed = lape("data", "ls", "--data", tmp_path / "data")
        assert "prepared (built in): 1195 + 602 images" in listed
        assert "not prepared (built in): run lape data prepare cifar10" in listed

    def test_another_data_set_of_the_same_name_is_told(self, lape: Shell, tmp_path: Path) -> None:
        from tests.data.drawings import drawing

        for split in ("train", "test"):
            for kind in ("disc", "cross"):
                (tmp_path / "pictures" / split / kind).mkdir(parents=True)
                drawing(kind, len(split), (12, 12), "RGB").save(tmp_path / "pictures" / split / kind / "0.png")
        command = ["data", "prepare", "mine", "--from", tmp_path / "pictures", "--data", tmp_path / "data"]
        for _ in range(2):
            lape(*command)
            assert (lape.code, lape.err) == (0, "")
        lape(*command, "--image-size", "8")
        assert lape.code == 0
        assert "took the place of another data set 'mine', of 12×12 pixels" in lape.err

    def test_a_folder_of_ones_own_runs(
        self, lape: Shell, write_grid: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Pictures to a prepared data set, its declaration to a grid, the grid to a table."""
        from PIL import Image

        monkeypatch.setenv("LAPE_DATA", str(tmp_path / "data"))  # the tests share the other

        for split, count in (("train", 20), ("val", 6)):
            for colour, name in ((40, "dark"), (210, "light")):
                folder = tmp_path / "pictures" / split / name
                folder.mkdir(parents=True)
                for index in range(count):
                    Image.new("RGB", (8, 8), (colour, colour, index)).save(folder / f"{index}.png")
        out = lape("data", "prepare", "mine", "--from", tmp_path / "pictures")
        assert lape.code == 0, lape.err
        declaration = out[out.index("datasets:") :]
        path = write_grid(
            ("[digits]", "[mine]"),
            ("batch_size: 64", "batch_size: 8"),
            ("train_images: 128", "train_images: 40"),
            ("seeds:", f"{declaration}\nseeds:"),
        )
        lape("run", path, "--executor", "serial")
        assert lape.code == 0, lape.err
        assert "mine" in lape("tables", path)


class TestBadInput:
    @pytest.mark.parametrize(
        ("old", "new", "told"),
        [
            ("seeds: [0, 1]", "seeds: [0, 1]\nseeds: [2]", "the same key twice"),
            ("seeds: [0, 1]", "seeds: [0, 1", "not YAML"),
            ("seeds: [0, 1]", "seeds: [0, 1]\nsedes: 1", "did you mean 'seeds'"),
            ("arch: [tiny]", "arch: [tinny]", "unknown architecture 'tinny'"),
            ("[learnable]", "[sin1]", "did you mean 'sin1d'"),
            ("[default, lape]", "[default, lap]", "did you mean 'lape'"),
            ("[digits]", "[digit]", "did you mean 'digits'"),
            ("[default, lape]", "[]", "at least 1 item"),
            ("seeds:", "exclude: [{when: {pe: learnable}, reason: r}]\nseeds:", "no cells"),
            ("epochs: 2", "epochs: '2'", "'2' (str)"),
            ("epochs: 2", "epochs: -2", "greater than or equal to 1"),
            ("patch_size: 4", "patch_size: 5", "divisible by the patch size"),
            ("num_heads: 2", "num_heads: 3", "divisible by the number of heads"),
            ("version: 1", "version: 1, distillation: hard", "needs a teacher"),
            ("version: 1", f"version: 1, distillation: soft, teacher: t, teacher_sha256: {'a' * 64}", "deit_distilled"),
            ("embed_dim: 8", "embed_dim: 6}\n  other: {family: vit_lite, embed_dim: 10", "Field required"),
            ("[default, lape]", "[unshared]\n  norm: [ln]", ""),
            ("[learnable]", "[none]", "nothing to join"),
        ],
    )  # fmt: skip
    def test_grids(self, lape: Shell, write_grid: Write, old: str, new: str, told: str) -> None:
        path = write_grid((old, new))
        if told:
            assert told in lape.refuses("run", path)

    def test_sin2d_and_unshared(self, lape: Shell, write_grid: Write) -> None:
        assert "divisible by 4" in lape.refuses(
            "run", write_grid(("[learnable]", "[sin2d]"), ("embed_dim: 8", "embed_dim: 6"))
        )
        changes = ("[learnable]", "[sin1d]"), ("[default, lape]", "[unshared]")
        assert "learns a table per block" in lape.refuses("run", write_grid(*changes))

    def test_a_missing_file(self, lape: Shell, tmp_path: Path) -> None:
        assert "no such file" in lape.refuses("run", tmp_path / "nothing.yaml")

    def test_data_that_are_not_prepared(self, lape: Shell, write_grid: Write, tmp_path: Path) -> None:
        message = lape.refuses("run", write_grid(), "--data", tmp_path / "empty")
        assert "lape data prepare digits" in message

    def test_data_that_are_damaged(self, lape: Shell, write_grid: Write, data_folder: Path, tmp_path: Path) -> None:
        shutil.copytree(data_folder, tmp_path / "data")
        images = tmp_path / "data" / "digits" / "train-images.npy"
        content = bytearray(images.read_bytes())
        content[-7] ^= 1
        images.write_bytes(content)
        message = lape.refuses("run", write_grid(), "--data", tmp_path / "data")
        assert "SHA-256" in message

    def test_results_that_cannot_be_written(self, lape: Shell, write_grid: Write, tmp_path: Path) -> None:
        (tmp_path / "results").write_text("a file where the folder should be")
        path = write_grid()
        for command in ("run", "plan", "status", "tables", "verify", "report"):
            assert "results is a file" in lape.refuses(command, path)

    @pytest.mark.parametrize(
        ("name", "is_folder"),
        [
            ("results/small", False),
            ("results/small/spool", False),
            ("results/small/runs.jsonl", True),
            ("results/small/history.parquet", True),
            ("results/small/spool/x.json", True),
            ("reports", False),
            ("reports/small", False),
        ],
    )
    def test_a_run_trains_nothing_that_it_could_not_store(
        self, lape: Shell, write_grid: Write, tmp_path: Path, name: str, is_folder: bool
    ) -> None:
        place = tmp_path / name
        place.parent.mkdir(parents=True, exist_ok=True)
        if is_folder:
            place.mkdir()
        else:
            place.write_text("in the way")
        assert name in lape.refuses("run", write_grid(), "--executor", "serial")
        assert "done" not in lape.out

    def test_places_that_are_no_folders(self, lape: Shell, write_grid: Write, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        path, long = write_grid(), tmp_path / ("x" * 300)
        for arguments in (
            ["run", path, "--data"],
            ["data", "ls", "--data"],
            ["data", "prepare", "digits", "--data"],
            ["tables", path, "--reports"],
            ["report", path, "--reports"],
            ["status", path, "--results"],
        ):
            assert "file is a file" in lape.refuses(*arguments, tmp_path / "file")
            assert "File name too long" in lape.refuses(*arguments, long)
        assert "can't be read" in lape.refuses("plan", long)
        assert "no such grid" in lape.refuses("plan", "x" * 300)

    def test_a_history_that_is_damaged_or_lost(self, lape: Shell, finished: Path, tmp_path: Path) -> None:
        history = tmp_path / "results" / "small" / "history.parquet"
        history.write_bytes(b"PAR1")
        assert "history.parquet" in lape.refuses("report", finished)
        assert "history.parquet" in lape.refuses("run", finished, "--seeds", "3", "--executor", "serial")
        assert "done" not in lape.out
        history.unlink()
        lape("report", finished)
        page = (tmp_path / "reports" / "small" / "index.html").read_text()
        assert "history.parquet lacks the epochs of 4 finished runs" in page

    def test_a_damaged_line_keeps_all_others(self, lape: Shell, finished: Path, tmp_path: Path) -> None:
        runs = tmp_path / "results" / "small" / "runs.jsonl"
        runs.write_text(runs.read_text().replace("{", "", 1))
        before = runs.read_bytes()
        for command in ("run", "status", "plan", "tables", "verify", "report"):
            assert "runs.jsonl, line 1" in lape.refuses(command, finished)
        assert runs.read_bytes() == before

    def test_a_record_of_a_newer_schema(self, lape: Shell, finished: Path, tmp_path: Path) -> None:
        runs = tmp_path / "results" / "small" / "runs.jsonl"
        runs.write_text(
            runs.read_text().replace(f'"schema_version":{SCHEMA_VERSION}', f'"schema_version":{SCHEMA_VERSION + 1}')
        )
        assert "update the suite" in lape.refuses("run", finished)

    def test_two_runs_at_once(self, lape: Shell, write_grid: Write, tmp_path: Path) -> None:
        with Store(tmp_path / "results" / "small").lock():
            message = lape.refuses("run", write_grid(), "--executor", "serial")
        assert f"process {os.getpid()} on" in message

    def test_arguments(self, lape: Shell, write_grid: Write) -> None:
        path = write_grid()
        for arguments, told in (
            (["run", path, "--executor", "slurm"], "unknown executor 'slurm'"),
            (["run", path, "--retry", "eror"], "did you mean 'error'"),
            (["run", path, "--executor", "serial", "--device", "tpu"], "can't use the device 'tpu'"),
            (["run", path, "--set", "recipe.epoch=3"], "did you mean 'epochs'"),
            (["run", path, "--threads", "999999999999"], "from 1 to 1024"),
            (["run", path, "--seeds", "99999"], "from 1 to 1000"),
            (["run", path, "--micro-batch", "65"], "at most 64, the batch size"),
            (["run", path, "--processes", "65"], "more processes than images"),
            (["run", path, "--processes", "3", "--gpus-per-trial", "2"], "2, one for each GPU"),
            (["plan", path, "--set", "axes.join=[lap]"], "--set axes.join=[lap]"),
            (["data", "prepare", "mine", "--from", ".", "--image-size", "99999999"], "from 1 to 4096"),
            (["ls", "nets"], "unknown kind of thing 'nets'"),
            (["data", "prepare", "cifar1"], "cifar1"),
        ):
            assert told in lape.refuses(*arguments)

    @pytest.mark.parametrize(
        "arguments", [["nonsense"], ["run"], ["run", "x", "--limit", "0"], ["run", "x", "--seeds", "two"]]
    )
    def test_usage(self, lape: Shell, arguments: list[str]) -> None:
        lape(*arguments)
        assert lape.code == 2
        assert "Usage:" in lape.err


class TestOutputs:
    """What stands behind the standard output: real files and pipes, so a process of its own."""

    def lape(self, finished: Path, command: str, stdout: Any, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "suite", command, str(finished)],
            cwd=finished.parent,
            env={**os.environ, **environment},
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    @pytest.mark.parametrize("command", ["plan", "tables"])
    def test_an_encoding_without_our_signs(self, finished: Path, command: str) -> None:
        told = self.lape(finished, command, subprocess.PIPE, PYTHONIOENCODING="ascii")
        assert (told.returncode, told.stderr) == (0, "")
        assert {"plan": "2 cells x 2 seeds", "tables": "82.00 +- 1.41"}[command] in told.stdout

    @pytest.mark.parametrize("command", ["plan", "tables", "check"])
    def test_an_output_that_is_full(self, finished: Path, command: str) -> None:
        with Path("/dev/full").open("w") as full:
            told = self.lape(finished, command, full)
        assert told.returncode == 2
        assert "No space left on device" in told.stderr
        assert "Traceback" not in told.stderr

    @pytest.mark.parametrize("command", ["plan", "tables"])
    def test_a_reader_that_has_gone(self, finished: Path, command: str) -> None:
        reader, writer = os.pipe()
        os.close(reader)
        told = self.lape(finished, command, writer)
        os.close(writer)
        assert (told.returncode, told.stderr) == (141, "")


def test_the_module_is_the_command() -> None:
    told = subprocess.run([sys.executable, "-m", "suite", "--help"], capture_output=True, text=True, check=True)
    assert "Usage: lape" in told.stdout or "Usage: python -m suite" in told.stdout


TINY = [
    part
    for size in ("patch_size=4", "embed_dim=8", "depth=2", "num_heads=2", "mlp_ratio=1")
    for part in ("--size", size)
]
SHAPE = ["--image-size", "8", "--classes", "7", "--channels", "1"]


class TestCost:
    def test_table_5_of_the_paper(self, lape: Shell, tmp_path: Path) -> None:
        path = tmp_path / "costs.csv"
        out = lape("cost", "--arch", "deit_tiny", "--arch", "deit_small", "--arch", "deit_base", "--csv", path)
        assert lape.code == 0, lape.err
        counts = ("5,717,416", "5,722,024", "22,050,664", "22,059,880", "86,567,656", "86,586,088")
        assert all(count in out for count in counts), out
        for added in ("(+4,608, +0.08 %)", "(+9,216, +0.04 %)", "(+18,432, +0.02 %)"):
            assert added in out
        rows = list(csv.DictReader(path.read_text().splitlines()))
        assert [int(row["params"]) for row in rows] == [int(count.replace(",", "")) for count in counts]
        assert [row["params_added"] for row in rows] == ["", "4608", "", "9216", "", "18432"]
        assert {row["activations_added"] for row in rows[1::2]} == {"0"}

    def test_a_grid(self, lape: Shell, write_grid: Write) -> None:
        path = write_grid(
            ("join: [default, lape]", "join: [default, lape, unshared]"),
            ("pe: [learnable]", "pe: [learnable, sin1d]"),
            ("seeds:", "impossible: drop\nseeds:"),
        )
        out = lape("cost", path)
        assert lape.code == 0, lape.err
        assert "10 classes, 8×8×1" in out
        assert "not possible: tiny sin1d unshared ln default digits: join 'unshared' learns a table per block" in out
        only = lape("cost", path, "--set", "axes.join=[default]", "--csv", "-")
        assert [row["pe"] for row in csv.DictReader(only.splitlines())] == ["learnable", "sin1d"]

    def test_csv_on_standard_output_is_nothing_but_csv(self) -> None:
        command = [sys.executable, "-m", "suite", "cost", "--arch", "deit", *TINY, *SHAPE, "--csv", "-"]
        levels = ["--pe", "none", "--pe", "learnable", "--join", "default", "--join", "lape"]
        told = subprocess.run([*command, *levels], capture_output=True, text=True, check=True, cwd=REPOSITORY)
        rows = list(csv.DictReader(told.stdout.splitlines()))
        assert [(row["pe"], row["join"]) for row in rows] == [
            ("none", "default"),
            ("learnable", "default"),
            ("learnable", "lape"),
        ]
        assert int(rows[1]["pe_params"]) == 5 * 8
        assert int(rows[2]["pe_params_added"]) == 2 * 2 * 8
        assert told.stderr.startswith("not possible: deit none lape ln: ")
        assert len(told.stderr.splitlines()) == 1

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ([], "nothing to count"),
            (["quickstart", "--arch", "deit_tiny"], "a grid, and architectures besides"),
            (["nowhere"], "no such grid"),
            (["--arch", "deit_tniy"], "did you mean 'deit_tiny'"),
            (["--arch", "deit"], "embed_dim: Field required"),
            (["--arch", "deit_tiny", "--size", "depth"], "a size must have a key and a value"),
            (["--arch", "deit_tiny", "--size", "depth=many"], "a size must have a key and a value"),
            (["--arch", "deit_tiny", "--size", "deph=3"], "did you mean 'depth'"),
            (["--arch", "deit_tiny", "--pe", "lernable"], "unknown pe"),
            (["--arch", "deit_tiny", "--join", "lap"], "unknown join"),
            (["--arch", "deit_tiny", "--norm", "rms"], "unknown norm"),
            (["--arch", "deit_tiny", "--image-size", "100"], "no combination is possible"),
            (["--arch", "deit_tiny", "--csv", "/proc/nowhere/costs.csv"], "can't write to the folder"),
        ],
    )
    def test_bad_input(self, lape: Shell, arguments: list[str], message: str) -> None:
        assert message in lape.refuses("cost", *arguments)


class TestBench:
    def test_the_whole_path(self, lape: Shell, tmp_path: Path) -> None:
        path = tmp_path / "bench.csv"
        sides = ["--baseline", "default", "--treatment", "lape"]
        run = ["--batch-size", "4", "--rounds", "5", "--steps", "2", "--device", "cpu"]
        out = lape("bench", "--arch", "deit", *TINY, *SHAPE, *sides, *run, "--csv", path)
        assert lape.code == 0, lape.err
        assert "deit, learnable, 7 classes, 8×8×1; batch 4, fp32, not compiled" in out
        assert "5 rounds of 2 per side" in " ".join(out.split())  # where it wraps hangs on the processor's name
        for mode in ("training", "evaluation"):
            assert f"{mode}: lape takes " in out
        rows = list(csv.DictReader(path.read_text().splitlines()))
        assert [(row["mode"], row["side"], row["join"]) for row in rows] == [
            ("training", "baseline", "default"),
            ("training", "treatment", "lape"),
            ("evaluation", "baseline", "default"),
            ("evaluation", "treatment", "lape"),
        ]
        for row in rows:
            assert float(row["ms_low_quartile"]) <= float(row["ms_per_step"]) <= float(row["ms_high_quartile"])
            assert float(row["images_per_second"]) == pytest.approx(4000 / float(row["ms_per_step"]))
        for row in rows[1::2]:
            for name in ("time_ratio", "cpu_time_ratio"):
                assert 0 < float(row[f"{name}_low"]) <= float(row[name]) <= float(row[f"{name}_high"])
        assert int(rows[3]["operators"]) - int(rows[2]["operators"]) == 3
        assert {row["time_ratio"] for row in rows[::2]} == {""}

    def test_published_ratios_are_judged(self, lape: Shell, tmp_path: Path) -> None:
        values = [
            f"  - {{id: {join}-{metric}, row: {join}, column: {metric}, metric: {metric}, printed: '{printed}', "
            f"cell: {{arch: vit_lite_2_4, pe: learnable, join: {join}, dataset: cifar10}}}}"
            for metric, numbers in (("train_seconds_per_epoch", "19"), ("train_memory_mb", "91"))
            for join, printed in zip(("default", "lape"), numbers, strict=True)
        ]
        header = "paper: A\nversion: one\ntable: '6'\nevidence: printed_table\nvalues:\n"
        (tmp_path / "claims.yaml").write_text(header + "\n".join(values) + "\n")
        run = ["--batch-size", "2", "--rounds", "2", "--device", "cpu", "--image-size", "32", "--classes", "10"]
        out = lape("bench", "--arch", "vit_lite_2_4", *run, "--claims", tmp_path / "claims.yaml")
        assert lape.code == 0, lape.err
        assert "confirmed: Table 6, lape, train_seconds_per_epoch: time published from +466.67 % to +1800.00 %" in out
        assert "contradicted: Table 6, lape, train_memory_mb: memory published from −94.74 % to −82.35 %" in out
        assert "no such file" in lape.refuses("bench", *run, "--claims", tmp_path / "none.yaml").lower()

    def test_one_round_has_no_interval(self, lape: Shell) -> None:
        run = ["--batch-size", "2", "--rounds", "1", "--device", "cpu", "--treatment", "default", "--csv", "-"]
        out = lape("bench", "--arch", "deit", *TINY, *SHAPE, *run)
        rows = list(csv.DictReader(out.splitlines()))
        assert [row["time_ratio_low"] for row in rows] == [""] * 4
        assert all(float(row["time_ratio"]) > 0 for row in rows[1::2])
        assert rows[0]["operators"] == rows[1]["operators"]

    @pytest.mark.parametrize(
        ("model", "levels"),
        [
            (["--arch", "vit_late", *TINY, "--size", "depth=3", *SHAPE], ("ln", "dtn")),
            (["--arch", "resnet_cifar", "--size", "blocks=1", "--size", "channels=2", *SHAPE], ("bn", "l2bn")),
        ],
    )
    def test_norms_against_each_other(self, lape: Shell, model: list[str], levels: tuple[str, str]) -> None:
        run = ["--axis", "norm", "--batch-size", "4", "--rounds", "2", "--device", "cpu"]
        out = lape("bench", *model, *run)
        assert lape.code == 0, lape.err
        assert "Norm" in out
        for mode in ("training", "evaluation"):
            assert f"{mode}: {levels[1]} takes " in out
        assert f"the time of {levels[0]}, " in out
        rows = list(csv.DictReader(lape("bench", *model, *run, "--csv", "-").splitlines()))
        assert [row["norm"] for row in rows] == [*levels, *levels]
        assert all(int(rows[side]["operators"]) < int(rows[side + 1]["operators"]) for side in (0, 2))

    def test_losses_against_each_other(self, lape: Shell) -> None:
        run = ["--axis", "loss", "--join", "lape", "--batch-size", "4", "--rounds", "2", "--device", "cpu"]
        out = lape("bench", "--arch", "deit", *TINY, *SHAPE, *run, "--csv", "-")
        assert lape.code == 0, lape.err
        rows = list(csv.DictReader(out.splitlines()))
        assert [(row["join"], row["loss"]) for row in rows] == [("lape", "default"), ("lape", "diversepatch")] * 2
        operators = [int(row["operators"]) for row in rows]
        assert operators[0] < operators[1]  # a step of training
        assert operators[2] == operators[3]  # in evaluation there is no loss

    def test_what_both_sides_are_besides_is_said(self, lape: Shell) -> None:
        run = ["--axis", "norm", "--treatment", "scalenorm", "--join", "lape", "--rounds", "1", "--batch-size", "2"]
        out = lape("bench", "--arch", "vit_late", *TINY, "--size", "depth=3", *SHAPE, *run, "--device", "cpu")
        assert "vit_late, learnable, lape, 7 classes" in out

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--arch", "deit_tniy"], "did you mean 'deit_tiny'"),
            (["--treatment", "lap"], "unknown join"),
            (["--axis", "norms"], "did you mean 'norm'"),
            (["--axis", "norm", "--treatment", "dnt"], "did you mean 'dtn'"),
            (["--axis", "norm", "--norm", "dtn"], "--norm is of both sides"),
            (["--axis", "loss", "--loss", "default"], "--loss is of both sides"),
            (["--axis", "loss", "--arch", "resnet20"], "is a convolutional network"),
            (["--axis", "loss", "--arch", "deit_tiny", "--batch-size", "3"], "an even --batch-size"),
            (["--axis", "loss", "--treatment", "diverse"], "unknown loss"),
            (["--axis", "norm", "--treatment", "l2bn"], "choose norm ln, dtn, dtn_release"),
            (["--axis", "norm", "--arch", "resnet20", "--treatment", "dtn"], "choose norm bn, l2bn, l2bn_rms"),
            (["--axis", "norm", "--claims", str(REPOSITORY / "grids/claims/table6.yaml")], "of joining methods"),
            (["--arch", "resnet20"], "nothing to join"),
            (["--pe", "none"], "nothing to join"),
            (["--image-size", "100"], "divisible by the patch size"),
            (["--device", "cuba"], "can't use the device"),
            (["--precision", "fp8"], "unknown precision"),
        ],
    )
    def test_bad_input(self, lape: Shell, arguments: list[str], message: str) -> None:
        assert message in lape.refuses("bench", *arguments)


class TestThroughput:
    """`lape bench --throughput`."""

    def test_the_whole_path(self, lape: Shell, tmp_path: Path) -> None:
        path = tmp_path / "throughput.json"
        (tmp_path / "short.yaml").write_text("{version: 1, epochs: 2, batch_size: 4, lr: 1e-3, mixup: 0.8}\n")
        model = ["--arch", "deit", *TINY, "--join", "lape", "--recipe", "short.yaml", "--dataset", "digits"]
        run = ["--rounds", "2", "--seconds", "0.05", "--threads", "1", "--workers", "0", "--workers", "1"]
        out = lape("bench", "--throughput", *model, *run, "--device", "cpu", "--json", path)
        assert lape.code == 0, lape.err
        assert "deit, learnable, lape; digits; short.yaml, batch 4, fp32" in out
        for text in ("training step alone", "input pipeline alone", "per CPU second", "end to end", "of the matmul's"):
            assert text in out
        told = json.loads(path.read_text())
        assert told["data"] == {"name": "digits", "made_up": False, "num_classes": 10, "image_size": 8, "in_chans": 1}
        assert {"torch", "timm", "pillow", "processor", "threads", "commit"} <= set(told["environment"])
        assert told["model"]["training_flops_per_image"] == 6 * told["model"]["forward_macs"] > 0

        figures = ["step", "pipeline", "pipeline_per_core", "training"]
        assert list(told["summary"]) == figures
        first, second = ([(turn["figure"], turn["side"]) for turn in turns] for turns in told["rounds"])
        assert first == [(figure, side) for figure in figures for side in ("ours", "timm")]
        assert second == [(figure, side) for figure in figures for side in ("timm", "ours")]
        for turn in [*told["tried"], *(turn for turns in told["rounds"] for turn in turns)]:
            per_core = turn["figure"] == "pipeline_per_core"
            assert turn["images"] >= 16
            assert turn["images"] % 4 == 0
            seconds = turn["cpu_seconds" if per_core else "seconds"]
            assert turn["images_per_second"] == pytest.approx(turn["images"] / seconds)
            assert 0 < turn["images_per_second"] < 1e7
            assert turn["memory_mb"] > 50
        for figure, summary in told["summary"].items():
            rates = {
                side: [turn["images_per_second"] for turns in told["rounds"] for turn in turns
                       if (turn["figure"], turn["side"]) == (figure, side)]
                for side in ("ours", "timm")
            }  # fmt: skip
            for side, its in rates.items():
                assert summary[side]["images_per_second"]["median"] == pytest.approx(np.median(its))
            ratios = np.divide(rates["ours"], rates["timm"])
            assert summary["ratio"]["median"] == pytest.approx(np.median(ratios))
            assert summary["ratio"]["low"] == pytest.approx(min(ratios))
            assert summary["ratio"]["high"] == pytest.approx(max(ratios))
        for figure in ("step", "training"):
            for side in ("ours", "timm"):
                found = told["summary"][figure][side]
                reached = told["model"]["training_flops_per_image"] * found["images_per_second"]["median"]
                assert found["gflops"] == pytest.approx(reached / 1e9)
                assert found["share_of_matmul"] == pytest.approx(reached / np.median(told["matmul_flops_per_second"]))

        # timm's setting is the fastest of those that were tried.
        tried = [turn for turn in told["tried"] if turn["side"] == "timm"]
        settings = {"pipeline": 4, "training": 2}
        for figure, count in settings.items():
            its = [turn for turn in tried if turn["figure"] == figure]
            assert len({json.dumps(turn["setting"]) for turn in its}) == len(its) == count
            best = max(its, key=lambda turn: turn["images_per_second"])
            assert told["summary"][figure]["timm"]["setting"] == best["setting"]

    @pytest.mark.slow
    def test_a_convolutional_network_has_its_own_norm(self, lape: Shell) -> None:
        model = ["--arch", "resnet_cifar", "--size", "blocks=1", "--size", "channels=2", "--dataset", "synthetic"]
        run = ["--recipe", "digits", "--rounds", "1", "--seconds", "0.1", "--workers", "0", "--threads", "1"]
        shutil.copytree(REPOSITORY / "grids", "grids")
        told = json.loads(lape("bench", "--throughput", *model, *run, "--json", "-"))
        assert lape.code == 0, lape.err
        assert told["model"].items() >= {"arch": "resnet_cifar", "pe": "none", "norm": "bn"}.items()
        assert told["summary"]["training"]["ratio"]["median"] > 0

    @pytest.mark.slow
    def test_side_by_side_on_made_up_pictures(self, lape: Shell) -> None:
        model = ["--arch", "deit", *TINY, "--recipe", "digits", "--dataset", "synthetic", "--image-size", "8"]
        run = ["--side-by-side", "2", "--threads", "2", "--rounds", "1", "--seconds", "0.1", "--workers", "0"]
        shutil.copytree(REPOSITORY / "grids", "grids")
        told = json.loads(lape("bench", "--throughput", *model, *run, "--json", "-"))
        assert lape.code == 0, lape.err
        assert told["data"]["made_up"]
        assert (told["data"]["image_size"], told["data"]["in_chans"]) == (8, 3)
        assert told["plan"]["side_by_side"] == 2
        assert {turn["setting"]["threads"] for turn in told["rounds"][0]} == {1}
        assert told["summary"]["step"]["ratio"]["low"] is None
        assert {turn["images"] % (2 * 32) for turn in told["rounds"][0]} == {0}

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--recipe", "digit"], "did you mean 'digits'"),
            (["--recipe", "nowhere.yaml"], "no such file"),
            (["--dataset", "cifar10"], "'cifar10' is not prepared"),
            (["--dataset", "cifra10"], "did you mean 'cifar10'"),
            (["--device", "cuba"], "can't use the device"),
            (["--precision", "fp8"], "precision can't be used"),
            (["--arch", "deit_tniy"], "did you mean 'deit_tiny'"),
            (["--join", "lap"], "unknown join"),
            (["--arch", "resnet20", "--norm", "ln"], "choose norm bn, l2bn, l2bn_rms"),
            (["--arch", "vit_lite_2_4", "--pe", "none", "--join", "lape"], "nothing to join"),
            (["--arch", "deit_tiny", "--dataset", "digits"], "divisible by the patch size"),
            (["--dataset", "digits", "--batch-size", "1200"], "a batch larger than the data set"),
            (["--batch-size", "7"], "an even batch_size"),
            (["--seconds", "nan"], "a turn that is too short or too long"),
            (["--json", "/proc/nowhere/bench.json"], "can't write to the folder"),
            (["--treatment", "lape"], "options that are not for --throughput"),
            (["--csv", "-"], "options that are not for --throughput"),
            (["--dataset", "digits", "--classes", "3"], "options that are for --dataset synthetic alone"),
        ],
    )
    def test_bad_input(self, lape: Shell, arguments: list[str], message: str) -> None:
        shutil.copytree(REPOSITORY / "grids", "grids")
        assert message in lape.refuses("bench", "--throughput", *arguments)

    def test_its_options_are_refused_without_it(self, lape: Shell) -> None:
        assert "--json" in lape.refuses("bench", "--json", "-", "--arch", "deit_tiny")

    def test_without_timm_there_is_nothing_to_compare_with(self, lape: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "timm", None)  # as Python has what can't be imported
        assert "timm is not installed" in lape.refuses("bench", "--throughput")
