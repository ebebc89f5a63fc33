"""Parameters and multiply-accumulates (MACs) of a model. What papers call FLOPs of a model are MACs."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

# Operators of a forward that are elementwise, a reduction, a look-up or another view. fvcore doesn't count their
# kind (it counts matrix products, convolutions and norms), but it can't know that we know: an operator which is
# neither counted nor here is an error, since it may be one like fused attention, which fvcore leaves out with a
# warning.
FREE_OPERATORS = frozenset(
    {
        "aten::add",
        "aten::div",
        "aten::exp",
        "aten::gelu",
        "aten::im2col",
        "aten::max_pool2d",
        "aten::mean",
        "aten::mul",
        "aten::numpy_T",
        "aten::pad",
        "aten::softmax",
        "aten::square",
        "aten::sub",
        "aten::sum",
        "aten::unflatten",
    }
)


class UncountedOperatorError(RuntimeError):
    """The model uses operators for which nobody has said what they cost."""

    def __init__(self, operators: Sequence[str]) -> None:
        self.operators = tuple(operators)
        super().__init__(
            f"no rule says what these operators cost: {', '.join(operators)}; "
            "give them a handle or list them in FREE_OPERATORS, in suite/cost/macs.py"
        )


@dataclass(frozen=True)
class Parameters:
    """Numbers of parameters. position: the PE tables, frozen or not, and the maps of the joining method."""

    total: int
    trainable: int
    position: int


def count_parameters(model: nn.Module) -> Parameters:
    """Count a model's parameters; frozen ones (a fixed PE) are in the total, as in the published numbers."""
    sizes = {name: parameter.numel() for name, parameter in model.named_parameters()}
    return Parameters(
        total=sum(sizes.values()),
        trainable=sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad),
        position=sum(size for name, size in sizes.items() if name.startswith("position.")),
    )


def count_macs(model: nn.Module, image_size: int, in_chans: int) -> int:
    """MACs of a forward of one image [in_chans, image_size, image_size], in evaluation mode.

    Matrix products, convolutions and attention, and 5 for each element of a LayerNorm: fvcore's rules, with
    fused attention added. A model on the meta device gives the same number.

    Raises:
        UncountedOperatorError: the model uses an operator without a rule.
    """
    if next(model.parameters()).is_meta:  # the tracer needs memory behind the shapes, and indices
        model = copy.deepcopy(model).to_empty(device="cpu")
        for value in (*model.parameters(), *model.buffers()):
            value.data.zero_()  # a buffer of indices must not point outside
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # fvcore and the tracer it uses both warn of their own age
        from fvcore.nn import FlopCountAnalysis

        parameter = next(model.parameters())
        images = torch.zeros(1, in_chans, image_size, image_size, dtype=parameter.dtype, device=parameter.device)
        training = model.training
        model.eval()
        try:
            with torch.no_grad():
                analysis = FlopCountAnalysis(model, images)
                analysis.set_op_handle("aten::scaled_dot_product_attention", _attention_macs)
                analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).tracer_warnings("none")
                total, unknown = analysis.total(), analysis.unsupported_ops()
        finally:
            model.train(training)
    if uncounted := sorted(set(unknown) - FREE_OPERATORS):
        raise UncountedOperatorError(uncounted)
    return int(total)


def _attention_macs(inputs: Sequence[Any], outputs: Sequence[Any]) -> int:
    """q·kᵀ and its product with v, for q, k, v of [..., tokens, width]; the softmax is free."""
    q, k, v = (tuple[int, ...](value.type().sizes()) for value in inputs[:3])
    return math.prod(q[:-1]) * k[-2] * (q[-1] + v[-1])
