"""`lape data prepare` and `lape data ls`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from suite.data.datasets import MOST_PIXELS
from tests.cli.shell import Shell, Write


def test_prepare_and_list(lape: Shell, tmp_path: Path) -> None:
    out = lape("data", "prepare", "digits", "--data", tmp_path / "data")
    assert "1195 + 602 images, 8×8×1, 10 classes" in out
    listed = lape("data", "ls", "--data", tmp_path / "data")
    assert "prepared (built in): 1195 + 602 images" in listed
    assert "not prepared (built in): run lape data prepare cifar10" in listed


def test_another_data_set_of_the_same_name_is_told(lape: Shell, tmp_path: Path) -> None:
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


def test_a_folder_with_a_cut_image_is_not_listed_as_prepared(
    lape: Shell, write_tree: Callable[..., Path], tmp_path: Path
) -> None:
    folder, data = write_tree(), ("--data", tmp_path / "data")
    lape("data", "prepare", "photos", "--from", folder, "--storage", "folder", *data)
    assert "prepared (your own): 12 + 6 images" in lape("data", "ls", *data)
    path = folder / "train" / "disc" / "0.png"
    path.write_bytes(path.read_bytes()[:-9])
    (line,) = (line for line in lape("data", "ls", *data).splitlines() if "photos" in line)
    assert "not prepared (your own): an image was changed since its data set was prepared" in line
    assert str(path) in line
    assert f"lape data prepare photos --from {folder} --image-size 12 --storage folder" in line


def test_an_option_that_differs_from_what_is_prepared_is_refused(
    lape: Shell, write_tree: Callable[..., Path], tmp_path: Path
) -> None:
    prepare = ("data", "prepare", "photos", "--data", tmp_path / "data")
    lape(*prepare, "--from", write_tree())
    assert "found:      --image-size 64" in lape.refuses(*prepare, "--image-size", "64")
    assert "found:      --storage folder" in lape.refuses(*prepare, "--storage", "folder")
    lape(*prepare, "--image-size", "12")
    assert lape.code == 0


def test_the_help_tells_the_largest_image(lape: Shell) -> None:
    assert f"{MOST_PIXELS} at most" in " ".join(lape("data", "prepare", "--help").split())


def test_a_folder_of_ones_own_runs(
    lape: Shell, write_grid: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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


def test_recordings_run_with_bn_l2bn_and_a_vision_transformer(
    lape: Shell, write_grid: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """WAV files to a prepared data set, its declaration to a grid, the grid to records."""
    from tests.data.sound.waves import tone, write_wav

    monkeypatch.setenv("LAPE_DATA", str(tmp_path / "data"))
    for speaker, count in (("ann", 20), ("cy", 4)):
        for label, hz in (("low", 300.0), ("high", 1500.0)):
            for index in range(count):
                write_wav(tmp_path / "sound" / f"{label}_{speaker}_{index}.wav", tone(hz + 10 * index))
    prepare = ["data", "prepare", "tones", "--from", tmp_path / "sound"]
    assert "with --sound alone" in lape.refuses(*prepare, "--split", "speakers:cy")
    assert "found:      no mel_bands" in lape.refuses(*prepare, "--sound", "sample_rate=8000,window=128,hop=256")
    settings = ["--sound", "sample_rate=8000,window=128,hop=256,mel_bands=8"]
    assert "unknown speaker 'cj'" in lape.refuses(*prepare, *settings, "--split", "speakers:cj")
    (tmp_path / "sound" / "low_ann_99.wav").write_bytes(b"RIFF")
    assert "low_ann_99.wav" in lape.refuses(*prepare, *settings, "--split", "speakers:cy")
    (tmp_path / "sound" / "low_ann_99.wav").unlink()
    out = lape(*prepare, *settings, "--split", "speakers:cy")
    assert lape.code == 0, lape.err
    assert "tones: 40 + 8 images, 8×8×1, 2 classes" in out
    declared = (
        ("[digits]", "[tones]"),
        ("seeds: [0, 1]", f"{out[out.index('datasets:') :]}\nseeds: [0]"),
        ("batch_size: 64", "batch_size: 8"),
        ("train_images: 128", "train_images: 40"),
    )
    convolutional = (
        ("tiny: {family: vit_lite", "tiny: {family: resnet_cifar, blocks: 1, channels: 4}\n  other: {family: vit_lite"),
        ("[learnable]", "[none]"),
        ("[default, lape]", "[default]\n  norm: [bn, l2bn]"),
    )
    for changes in ((), convolutional):
        lape("run", write_grid(*declared, *changes), "--executor", "serial", "--results", tmp_path / str(len(changes)))
        assert lape.code == 0, lape.err
        rows = [
            json.loads(line) for line in (tmp_path / str(len(changes)) / "small/runs.jsonl").read_text().splitlines()
        ]
        assert [row["status"] for row in rows] == ["done", "done"]
        assert {row["norm"] for row in rows} == ({"bn", "l2bn"} if changes else {"ln"})


def test_lists_are_generated(lape: Shell, tmp_path: Path) -> None:
    command = ["data", "prepare", "lists", "--data", tmp_path / "data", "--listops"]
    settings = "seed=0,min_length=4,max_length=20,train=50,test=20"
    out = lape(*command, settings)
    assert lape.code == 0, lape.err
    assert "lists: 50 + 20 lists, 20 tokens, 10 classes" in out
    assert "listops:\n      seed: 0\n      min_length: 4" in out
    assert "prepared (your own): 50 + 20 lists" in lape("data", "ls", "--data", tmp_path / "data")
    for wrong, message in (
        ([f"{settings},seed=1"], "seed twice"),
        ([settings.replace("max_length=20", "max_length=5")], "at least min_length + 2"),
        ([settings, "--storage", "folder"], "no other option than --from and --data"),
        ([settings, "--sound", "hop=1"], "no other option than --from and --data"),
    ):
        lape(*command, *wrong)
        assert lape.code == 2
        assert message in lape.err
        assert "Traceback" not in lape.err


def test_lists_run(lape: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists to a prepared data set, its declaration to a grid, the grid to a table, with LayerNorm and DTN."""
    monkeypatch.setenv("LAPE_DATA", str(tmp_path / "data"))
    out = lape("data", "prepare", "lists", "--listops", "seed=0,min_length=4,max_length=12,train=64,test=20")
    declaration = out[out.index("datasets:") :]
    size = "{family: sequence_late, embed_dim: 8, depth: 3, num_heads: 2, mlp_ratio: 1, drop: 0.1, attn_drop: 0.1}"
    path = tmp_path / "lists.yaml"
    path.write_text(
        f"""name: lists
description: lists
seeds: [0]
recipe: {{version: 1, epochs: 1, batch_size: 16, lr: 0.01}}
architectures:
  small: {size}
{declaration}
axes: {{arch: [small], pe: [sin1d], join: [default], norm: [ln, dtn], dataset: [lists]}}
""",
        encoding="utf-8",
    )
    lape("run", path, "--executor", "serial", "--results", tmp_path / "results")
    assert lape.code == 0, lape.err
    rows = [json.loads(line) for line in (tmp_path / "results/lists/runs.jsonl").read_text().splitlines()]
    assert {(row["status"], row["norm"], row["test_images"]) for row in rows} == {
        ("done", "ln", 20),
        ("done", "dtn", 20),
    }
    assert all(row["macs"] > 0 for row in rows)
