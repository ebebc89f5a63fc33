"""The workload of the benchmarks: the paper's main result on synthetic images, which cost the same as real ones."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch

from suite.bench.throughput.workload import Workload
from suite.data.datasets import DATASETS
from suite.grid.documents import load_document
from suite.grid.recipe import Recipe
from suite.models.architectures import resolve_architecture
from suite.models.model_cell import ModelCell, Shape


def headline(precision: Literal["auto", "fp32", "bf16"] = "auto") -> Workload:
    """Return ViT-Lite-7/4 on synthetic CIFAR-10 images with its published recipe, on the CPU.

    Args:
        precision: the recipe's `precision`; "auto" is fp32 on a CPU.
    """
    cell = ModelCell(resolve_architecture("vit_lite_7_4"), "learnable", "default", "ln", Shape(10, 32, 3))
    recipe = load_document(Path("grids/recipes/compact_transformers_cifar10.yaml"), Recipe)
    recipe = recipe.model_copy(update={"precision": precision})
    return Workload(cell, recipe, DATASETS["cifar10"], None, torch.device("cpu"))
