"""Images and sequences of tokens: each kind has its architectures, and tokens stay as they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from suite.errors import InputError
from suite.grid.grid import load_grid
from tests.conftest import REPOSITORY

GRID = (REPOSITORY / "grids" / "listops_budget.yaml").read_text(encoding="utf-8")


def refused(path: Path, *changes: tuple[str, str]) -> str:
    text = GRID.replace("claims: [claims/listops_budget.yaml]\n", "")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    file = path / "lists.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load_grid(file).expand()
    assert len(caught.value.problems) == 1
    assert "lists.yaml, line" in caught.value.problems[0].where
    return str(caught.value)


@pytest.mark.parametrize("arch", ["deit_tiny", "cct_2_3x1", "resnet20", "swin_tiny"])
def test_lists_are_for_sequence_models(tmp_path: Path, arch: str) -> None:
    told = refused(tmp_path, ("[lra_small_late]", f"[{arch}]"), ("norm: [ln, dtn]", "norm: [ln]"))
    assert f"arch {arch} on listops_short: it is of images" in told
    assert "choose lra_small, or another size of sequence" in told


def test_sequence_models_are_for_lists(tmp_path: Path) -> None:
    told = refused(tmp_path, ("dataset: [listops_short]", "dataset: [digits]"))
    assert "arch lra_small_late on digits: it is of sequences of tokens" in told


def test_other_kinds_can_be_dropped(tmp_path: Path) -> None:
    text = GRID.replace("[lra_small_late]", "[lra_small_late, deit_tiny]").replace("[claims/listops_budget.yaml]", "[]")
    (tmp_path / "lists.yaml").write_text(f"{text}impossible: drop\n", encoding="utf-8")
    expansion = load_grid(tmp_path / "lists.yaml").expand()
    assert (len(expansion.trials), len(expansion.dropped)) == (10, 2)
    assert "it is of images" in expansion.dropped[0].reason


@pytest.mark.parametrize(
    "key",
    ["crop_padding: 4", "flip: true", "crop_scale: [0.5, 1.0]", "auto_augment: cifar10", "erase_prob: 0.1",
     "mixup: 0.8", "cutmix: 1.0", "test_crop_ratio: 0.9",
     "corruptions: {kinds: [fog]}"],
)  # fmt: skip
def test_tokens_are_not_augmented(tmp_path: Path, key: str) -> None:
    told = refused(tmp_path, ("recipe: listops_budget", f"recipe: {{base: listops_budget, {key}}}"))
    assert "the recipe changes pixels, and listops_short has tokens" in told
    assert f"leave {key.partition(':')[0]} out" in told


def test_the_vocabulary_holds_all_symbols(tmp_path: Path) -> None:
    sizes = "vocabulary: 15, embed_dim: 8, depth: 3, num_heads: 2, mlp_ratio: 1"
    small = f"architectures:\n  small: {{family: sequence, {sizes}}}"
    told = refused(tmp_path, ("axes:", f"{small}\naxes:"), ("[lra_small_late]", "[small]"))
    assert "a vocabulary of at least 16" in told


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("image_size: 64", "image_size: 63"), "an image_size of listops.max_length"),
        (("std: [0.00392156862745098]", "std: [0.5]"), "which keep tokens as they are"),
        (("arguments: 10", "arguments: 1"), "a number of at least 2"),
        (("depth: 10", "depths: 10"), "unknown key"),
        (("max_length: 64", "max_length: 17"), "max_length of at least min_length + 2"),
    ],
)
def test_a_wrong_declaration(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    assert message in refused(tmp_path, change)


def test_losses_of_patches_are_not_of_sequences(tmp_path: Path) -> None:
    told = refused(tmp_path, ("norm: [ln, dtn]", "norm: [ln]\n  loss: [diverse_cosine]"))
    assert "is of patch tokens, and lra_small_late shows none" in told
