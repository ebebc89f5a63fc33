"""Models that use batch statistics: which of them several processes can train, and which batches can't be split."""

from __future__ import annotations

from torch import nn


class IndivisibleError(Exception):
    """A batch was to be split, for a model that uses batch statistics."""


def synchronise(model: nn.Module) -> None:
    """Let each BatchNorm of feature maps see the images of all processes, in place: on GPUs alone, as torch has it.

    Source: `torch.nn.SyncBatchNorm`. Other statistics over the batch stay as they are, and `check_whole` refuses them.
    """
    for module in model.modules():
        for name, child in module.named_children():
            if type(child) is nn.BatchNorm2d:
                module.add_module(name, nn.SyncBatchNorm.convert_sync_batchnorm(child))


def check_whole(model: nn.Module, shares: int, processes: int) -> None:
    """Raise `IndivisibleError` if a model that uses batch statistics can't be trained in so many micro-batches."""
    if shares > processes:
        raise IndivisibleError("a model with statistics over the batch can't be trained in micro-batches")
    if processes == 1:
        return
    synchronised = (module for module in model.modules() if isinstance(module, nn.SyncBatchNorm))
    shared = sum(len(list(module.buffers())) for module in synchronised)
    if shared < len(model.state_dict()) - len(list(model.parameters())):
        raise IndivisibleError(
            "this model has statistics over the batch, which processes can share on GPUs alone, and only those of a "
            "plain BatchNorm of feature maps; train it by one process"
        )
