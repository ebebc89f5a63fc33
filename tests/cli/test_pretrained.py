"""From the command line: weights of one grid's runs, kept, and another grid that starts from them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from suite.grid.grid import load_grid
from suite.store.folder import Store
from tests.cli.shell import Shell, Write

ONE_SEED = ("[0, 1]", "[0]")


def test_a_grid_starts_from_the_weights_of_another(
    lape: Shell, write_grid: Write, tmp_path: Path, data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_grid(ONE_SEED, ("epochs: 2", "epochs: 8"))
    lape("run", path, "--executor", "serial", "--keep-weights")
    printed = {}
    for trial in load_grid(path).expand().trials:
        out = lape("data", "backbone", "--from", Store(tmp_path / "results" / "small").weights(trial.id))
        assert lape.code == 0, lape.err
        assert f"where join is {trial.join}" in out
        printed[trial.join] = out.split(f"{trial.join}: ")[-1].split("}")[0]
    text = ", ".join(f"{join}: {checksum}" for join, checksum in printed.items())
    replaced = (
        ONE_SEED,
        ("epochs: 2", "epochs: 1"),
        ("train_images: 128}", f"train_images: 128, pretrained: {{axis: join, weights: {{{text}}}}}}}"),
    )
    started = write_grid(*replaced, ("name: small", "name: started"), name="started.yaml")
    assert "weights  of other models: all there, and verified" in lape("plan", started)
    lape("run", started, "--executor", "serial")
    assert lape.code == 0, lape.err
    records = list(Store(tmp_path / "results" / "started").records().values())
    assert [record.status for record in records] == ["done", "done"]
    assert {record.config["recipe"]["pretrained"]["weights"]["lape"] for record in records} == {printed["lape"]}
    planned = lape("plan", started)
    assert "0 to do" in planned
    assert "weights" not in planned

    changed = started.read_text().replace(printed["lape"], "ab" * 32).replace("name: started", "name: other")
    (tmp_path / "other.yaml").write_text(changed)
    planned = lape("plan", tmp_path / "other.yaml")
    assert lape.code == 0
    assert "weights  the weights that training starts from are not prepared" in planned
    assert "ab" * 32 in planned
    (told,) = json.loads(lape("plan", tmp_path / "other.yaml", "--json"))["weights"]
    assert told.startswith("the weights that training starts from are not prepared: ")
    assert "lape data backbone --from FILE" in told
    lape("run", tmp_path / "other.yaml", "--executor", "serial")
    assert lape.code == 2
    assert "the weights that training starts from are not prepared" in lape.err
    assert not (tmp_path / "results" / "other" / "runs.jsonl").exists()

    file = data_folder / "backbones" / f"{printed['lape']}.safetensors"
    whole = file.read_bytes()
    file.write_bytes(whole[:-4] + b"\0\0\0\1")
    damaged = write_grid(*replaced, ("name: small", "name: damaged"), name="damaged.yaml")
    planned = lape("plan", damaged)
    file.write_bytes(whole)  # other tests have this folder too
    assert "weights  the weights of a backbone are damaged on disk" in planned
    assert lape.code == 0
