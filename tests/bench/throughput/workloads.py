"""Small workloads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from suite.bench.throughput.workload import Workload
from suite.data.datasets import DATASETS
from suite.grid.documents import load_document
from suite.grid.recipe import Recipe
from suite.models.architectures import resolve_architecture
from suite.models.model_cell import ModelCell, Shape
from tests.conftest import REPOSITORY

RECIPES = sorted((REPOSITORY / "grids" / "recipes").glob("*.yaml"))
SIZE = {"patch_size": 8, "embed_dim": 8, "depth": 1, "num_heads": 2, "mlp_ratio": 1.0}


def workload(recipe: str = "compact_transformers_cifar10", root: Path | None = None, **changes: Any) -> Workload:
    """A tiny model on made-up pictures of CIFAR-10's size, by a recipe of the project with its values changed."""
    values = load_document(REPOSITORY / "grids" / "recipes" / f"{recipe}.yaml", Recipe).model_dump()
    cell = ModelCell(resolve_architecture("vit_lite", SIZE), "learnable", "lape", "ln", Shape(10, 32, 3))
    made = Recipe.model_validate({**values, "batch_size": 8, **changes})
    return Workload(cell, made, DATASETS["cifar10"], root, torch.device("cpu"))
