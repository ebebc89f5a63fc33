"""The README tells the truth: its sample output has the program's shape, its commands, links and example work."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from suite.grid.grid import load_grid
from suite.store.folder import Store
from suite.store.record import pack_bits
from tests.cli.shell import Shell
from tests.conftest import REPOSITORY
from tests.findings import SERIES
from tests.records import make_record

TEXT = (REPOSITORY / "README.md").read_text(encoding="utf-8")
IMAGES = 602  # of the digits' test set


def sample() -> str:
    """The end of the quickstart's output, as the README shows it."""
    block = re.search(r"```text\n(.*?)```", TEXT, re.DOTALL)
    assert block is not None
    return block[1]


def right_answers() -> dict[tuple[str, str, str, int], int]:
    """The images that each run of the quickstart gets right, such that the sample's means and intervals come out."""
    lines = re.findall(r"(\w+_digits)?\s+(learnable|sin1d)?\s+(default|lape)\s+3\s+(\S+) ± (\S+)\s+(\S+)(.*)", sample())
    found: dict[tuple[str, str, str, int], int] = {}
    arch = pe = ""
    for name, position, join, mean, sd, gain, rest in lines:
        arch, pe = name or arch, position or pe
        for seed, sign in enumerate((-1, 0, 1)):
            if join == "default":
                found[arch, pe, join, seed] = images(float(mean) + sign * float(sd))
                continue
            low, high = map(number, re.findall(r"[+−]\d\.\d\d", rest)[:2])
            spread = (high - low) / 2 / 4.303 * 3**0.5  # of the t interval of three pairs
            found[arch, pe, join, seed] = found[arch, pe, "default", seed] + images(number(gain) - sign * spread)
    return found


def number(text: str) -> float:
    return float(text.replace("−", "-"))


def images(percent: float) -> int:
    return round(IMAGES * percent / 100)


def test_it_takes_thirty_seconds() -> None:
    assert len(TEXT.splitlines()) <= 150


def test_it_shows_the_first_page_and_a_figure_of_the_findings() -> None:
    pictures = re.findall(r"!\[[^\]]+\]\((\S+)\)", TEXT)
    assert [Path(picture).parent.name for picture in pictures] == ["docs", "docs"]
    assert all((REPOSITORY / picture).is_file() for picture in pictures)
    assert re.findall(r"findings-(\w+)\.svg", pictures[1])[0] in SERIES
    assert Path(pictures[1]).name in (REPOSITORY / "docs" / "findings.md").read_text(encoding="utf-8")


def test_the_sample_is_what_the_program_prints(lape: Shell, tmp_path: Path) -> None:
    """All but the digits, which differ from machine to machine: with runs of nearly the sample's accuracies."""
    store = Store(tmp_path / "results" / "quickstart")
    known = right_answers()
    trials = load_grid(REPOSITORY / "grids" / "quickstart.yaml").expand().trials
    assert len(known) == len(trials)
    for trial in trials:
        right = known[trial.axis("arch"), trial.pe, trial.join, trial.seed_index]
        top1 = round(100 * right / IMAGES, 4)
        costs = {"params": 135_600, "macs": 2_310_000}
        bits = pack_bits(np.arange(IMAGES) < right)
        store.put(make_record(trial, top1, top1_best_epoch=top1, test_images=IMAGES, correct=bits, **costs))
    store.collect()
    (tmp_path / "grids").symlink_to(REPOSITORY / "grids")  # as in a clone
    printed = lape("run", "grids/quickstart.yaml")
    shown = [shape(line) for line in sample().splitlines() if not line.startswith("weights of")]
    assert [shape(line) for line in printed.splitlines()][-len(shown) :] == shown


def shape(line: str) -> str:
    """A line with each digit and sign masked."""
    return re.sub(r"[+−]", "±", re.sub(r"\d", "#", line)).rstrip()


def test_the_map_leads_to_what_it_says() -> None:
    rows = re.findall(r"^\| (.+?) \| `?(\w+)?`?.*?\]\((suite/.+?)\)", TEXT, re.MULTILINE)
    assert len(rows) == 5
    for _, name, file in rows:
        text = (REPOSITORY / file).read_text(encoding="utf-8")
        if name in ("lape", "decide", "to_latex"):
            assert re.search(rf'^def {name}\(|^    "{name}",', text, re.MULTILINE), (name, file)


def test_every_wing_is_named_with_files_that_exist() -> None:
    rows = re.findall(r"^\| `(suite/\w+)` \| .* \| (.*) \|$", TEXT, re.MULTILINE)
    assert len(rows) == 10
    for wing, files in rows:
        for file in re.findall(r"`(.+?)`", files):
            assert (REPOSITORY / wing / file).exists(), (wing, file)


def test_the_example_method_works(tmp_path: Path) -> None:
    """The README's method, in a file of its own, trains and differs from the default."""
    import torch

    from suite.grid.methods import load_methods, unload
    from suite.models import create_model

    example = re.search(r"```python\n(.*?)```", TEXT, re.DOTALL)
    assert example is not None
    path = tmp_path / "halved.py"
    path.write_text(example[1])
    loaded = load_methods([path])
    size = {"patch_size": 2, "embed_dim": 8, "depth": 2, "num_heads": 2, "mlp_ratio": 1.0}
    model = create_model("vit_lite", join="halved", num_classes=3, image_size=4, **size)
    joined = model.position()
    assert joined.stem is None
    assert len(joined.blocks) == 2
    assert torch.equal(joined.blocks[1].branch, model.position.tables[0] / 2)
    model(torch.rand(2, 3, 4, 4)).sum().backward()
    assert model.position.tables[0].grad is not None
    unload(loaded)
