"""Models that use batch statistics: which of them can be trained on several processes or in micro-batches."""

from __future__ import annotations

from torch import nn


class IndivisibleError(Exception):
    """A batch can't be split, because the model uses batch statistics."""


def synchronise(model: nn.Module) -> None:
    """Replace each `BatchNorm2d` in the model by `torch.nn.SyncBatchNorm`, in place. This works only on GPUs.

    Other layers that use batch statistics don't change. `check_whole` rejects them.
    """
    for module in model.modules():
        for name, child in module.named_children():
            if type(child) is nn.BatchNorm2d:
                module.add_module(name, nn.SyncBatchNorm.convert_sync_batchnorm(child))


def check_whole(model: nn.Module, shares: int, processes: int) -> None:
    """Check that a model which uses batch statistics can be trained with this split.

    Args:
        model: The model, after `synchronise`.
        shares: Micro-batches per batch, over all processes.
        processes: Number of processes.

    Raises:
        IndivisibleError: It can't: a process would get several micro-batches, or batch statistics aren't synchronised.
    """
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
