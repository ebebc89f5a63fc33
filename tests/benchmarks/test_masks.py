"""The figure of masks: photographs as the networks get them, and files that aren't theirs."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from benchmarks.masks import FIGURE, classes_of, fitted, main
from suite.data.datasets import DATASETS
from tests.models.regions.test_backbone import cell, written


class ByBrightness(nn.Module):
    """Class 1 where a pixel is brighter than the data set's mean."""

    def forward(self, images: Tensor) -> Tensor:
        """Map [batch, channels, height, width] to logits of two classes."""
        bright = images.mean(dim=1)
        return torch.stack([-bright, bright], dim=1)


def test_a_photograph_is_normalised_and_its_pixels_get_classes() -> None:
    photograph = np.zeros((4, 4, 3), np.uint8)
    photograph[:2] = 200
    dataset = DATASETS["cifar10"].model_copy(update={"mean": (0.5, 0.5, 0.5), "std": (0.2, 0.2, 0.2)})
    assert classes_of(ByBrightness(), photograph, dataset).tolist() == [[1] * 4] * 2 + [[0] * 4] * 2


def test_the_centre_of_a_photograph_is_taken() -> None:
    photograph = np.zeros((40, 80, 3), np.uint8)
    photograph[:, 20:60] = 255
    assert fitted(photograph, 8).shape == (8, 8, 3)
    assert fitted(photograph, 8).min() == 255


def test_weights_of_other_data_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = FIGURE.stat().st_mtime
    weights = written(tmp_path, cell())
    monkeypatch.setattr(sys, "argv", ["masks", "grids/table4_pretrained.yaml", "--weights", str(weights)])
    with pytest.raises(SystemExit) as error:
        main()
    assert error.value.code == 2
    assert "these are not weights of the grid" in capsys.readouterr().err
    assert FIGURE.stat().st_mtime == before
