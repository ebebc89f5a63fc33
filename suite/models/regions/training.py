"""Training of DCN's network on stored features, without labels."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from suite.models.regions.modularity import modularity_loss
from suite.models.regions.network import ConceptGenerator
from suite.models.regions.partition import similarities


@dataclass(frozen=True)
class TrainingPlan:
    """How long and how fast to train. Only the number of steps is published; see docs/dcn.md for the others.

    Attributes:
        steps: optimiser steps.
        batch_size: images of a step.
        lr: AdamW's learning rate, constant.
        weight_decay: AdamW's.
    """

    steps: int = 2500
    batch_size: int = 32
    lr: float = 1e-4
    weight_decay: float = 0.01


def train(network: ConceptGenerator, features: Tensor, plan: TrainingPlan, seed: int = 0) -> list[float]:
    """Train a network in place by AdamW on the modularity loss, and return the loss of each step.

    Args:
        network: the network.
        features: of the patches, [images, patches, width], on the network's device.
        plan: steps, batch size and rates.
        seed: of the order of the images. Each epoch has another order, and drops an incomplete batch at its end.
    """
    order = torch.Generator().manual_seed(seed)
    size = min(plan.batch_size, len(features))
    optimiser = torch.optim.AdamW(network.parameters(), lr=plan.lr, weight_decay=plan.weight_decay)
    losses: list[float] = []
    network.train()
    while len(losses) < plan.steps:
        batches = torch.randperm(len(features), generator=order).split(size)
        for rows in batches[: min(len(features) // size, plan.steps - len(losses))]:
            batch = features[rows.to(features.device)]
            optimiser.zero_grad()
            loss = modularity_loss(batch, similarities(batch, network(batch)))
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
    return losses
