"""Parameters, multiply-accumulates (MACs) and activations. Papers often call a model's MACs its FLOPs."""

from __future__ import annotations

import copy
import math
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from suite.errors import InputError

# Operators that count as free beside those that torch tags as elementwise or as reductions: look-ups, pooling, views.
# fvcore counts matrix products, convolutions and norms; it skips all other operators with a warning. Here, an operator
# that is neither counted nor free is an error, because it may be expensive. Fused attention, for example, is unknown to
# fvcore.
FREE_OPERATORS = frozenset(
    {
        "aten::avg_pool2d",
        "aten::embedding",
        "aten::expand_as",
        "aten::im2col",
        "aten::mT",
        "aten::max_pool2d",
        "aten::movedim",
        "aten::new_ones",
        "aten::numpy_T",
        "aten::pad",
        "aten::repeat_interleave",
        "aten::rms_norm",
        "aten::softmax",
        "aten::take_along_dim",
        "aten::unflatten",
        "aten::view_as_complex",
        "aten::view_as_real",
    }
)
_FREE_TAGS = frozenset({torch.Tag.pointwise, torch.Tag.reduction})

# The names of the position's parameters begin with these: in the suite's models, and in timm's.
_POSITION = ("position.", "network.position.", "network.pos_embed")


class UncountedOperatorError(InputError):
    """The model uses operators without a counting rule. A training run continues without MACs; see the callers."""

    def __init__(self, operators: Sequence[str] = ()) -> None:
        self.operators = tuple(operators)
        super().__init__(
            "the MACs of this model can't be counted",
            expected="operators that have a rule",
            found=f"operators without one: {', '.join(operators)}",
            fix="give them a handle, or list them in FREE_OPERATORS, in suite/models/costs/macs.py",
        )


@dataclass(frozen=True)
class Parameters:
    """Numbers of parameters.

    Attributes:
        total: all parameters, frozen ones included.
        trainable: the parameters that require gradients.
        position: the PE tables, frozen or not, and the joining method's parameters.
    """

    total: int
    trainable: int
    position: int


def count_parameters(model: nn.Module) -> Parameters:
    """Count a model's parameters. As in published numbers, the total includes frozen ones (a fixed PE)."""
    sizes = {name: parameter.numel() for name, parameter in model.named_parameters()}
    return Parameters(
        total=sum(sizes.values()),
        trainable=sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad),
        position=sum(size for name, size in sizes.items() if name.startswith(_POSITION)),
    )


@dataclass(frozen=True)
class ForwardCost:
    """The cost of a forward pass of one image. `activations` counts the outputs of products and convolutions."""

    macs: int
    activations: int


def count_macs(model: nn.Module, image_size: int, in_chans: int) -> int:
    """The MACs of a forward pass of one image; see `count_forward` for the arguments and errors."""
    return count_forward(model, image_size, in_chans).macs


def count_forward(model: nn.Module, image_size: int, in_chans: int) -> ForwardCost:
    """Count MACs and activations of a forward pass of one image in evaluation mode.

    MACs count matrix products, convolutions and attention, plus 5 per element of a LayerNorm. Activations count the
    outputs of these products and convolutions, and attention's weights and outputs. Both follow fvcore's rules, with
    fused attention added, in one trace. A model on the meta device gives the same numbers.

    Args:
        model: the model.
        image_size: pixels on each side of the square image.
        in_chans: the image's channels.

    Raises:
        UncountedOperatorError: the model uses an operator without a rule.
    """
    if next(model.parameters()).is_meta:  # the tracer needs real memory and real indices
        model = copy.deepcopy(model).to_empty(device="cpu")
        for value in (*model.parameters(), *model.buffers()):
            value.data.zero_()  # index buffers must be within bounds
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecation warnings of fvcore and torch's tracer
        from fvcore.nn import FlopCountAnalysis

        parameter = next(model.parameters())
        shape = getattr(model, "input_shape", (in_chans, image_size, image_size))  # a sequence has one row
        images = torch.zeros(1, *shape, dtype=parameter.dtype, device=parameter.device)
        training = model.training
        model.eval()
        try:
            with torch.no_grad():
                analysis = FlopCountAnalysis(model, images)
                analysis.set_op_handle(**_product_handles())
                analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).tracer_warnings("none")
                counts, unknown = analysis.by_operator(), analysis.unsupported_ops()
        finally:
            model.train(training)
    if uncounted := sorted(name for name in unknown if not _is_free(name)):
        raise UncountedOperatorError(uncounted)
    activations = counts.pop(_ACTIVATIONS, 0)
    return ForwardCost(macs=int(sum(counts.values())), activations=int(activations))


def _is_free(name: str) -> bool:
    """Whether an operator counts as free, by its name in a trace, such as aten::abs or aten::abs_."""
    packet = getattr(torch.ops.aten, name.removeprefix("aten::").removesuffix("_"), None)
    tags = {tag for overload in packet.overloads() for tag in getattr(packet, overload).tags} if packet else set()
    return name in FREE_OPERATORS or not tags.isdisjoint(_FREE_TAGS)


# An fvcore handle takes an operator's inputs and outputs and returns its cost: one number, or several by name.
_Handle = Callable[[Sequence[Any], Sequence[Any]], Any]
_ACTIVATIONS = "activations"  # the key of the activation counts; no operator has this name


def _product_handles() -> dict[str, _Handle]:
    """Handles of the operators whose outputs are activations. All others, such as norms, keep fvcore's: MACs only."""
    from fvcore.nn import jit_handles

    macs = {
        "aten::_convolution": jit_handles.conv_flop_jit,
        "aten::addmm": jit_handles.addmm_flop_jit,
        "aten::bmm": jit_handles.bmm_flop_jit,
        "aten::einsum": jit_handles.einsum_flop_jit,
        "aten::linear": jit_handles.linear_flop_jit,
        "aten::matmul": jit_handles.matmul_flop_jit,
        "aten::mm": jit_handles.matmul_flop_jit,
    }
    attention = {
        "aten::scaled_dot_product_attention": _attention,
        "aten::_native_multi_head_attention": _whole_attention,
    }
    return {**{name: _with_outputs(name, handle) for name, handle in macs.items()}, **attention}


def _with_outputs(name: str, macs: _Handle) -> _Handle:
    """Wrap fvcore's MAC handle of an operator so that it also counts the operator's output elements."""

    def handle(inputs: Sequence[Any], outputs: Sequence[Any]) -> Counter[str]:
        counted = macs(inputs, outputs)
        counts = counted if isinstance(counted, Counter) else Counter({name: counted})
        return counts + Counter({_ACTIVATIONS: math.prod(outputs[0].type().sizes())})

    return handle


def _attention(inputs: Sequence[Any], outputs: Sequence[Any]) -> Counter[str]:
    """The cost of fused attention: q·kᵀ and the product with v, for [..., tokens, width]; the softmax is free."""
    q, k, v = (tuple[int, ...](value.type().sizes()) for value in inputs[:3])
    rows = math.prod(q[:-1])
    return Counter({"attention": rows * k[-2] * (q[-1] + v[-1]), _ACTIVATIONS: rows * (k[-2] + v[-1])})


def _whole_attention(inputs: Sequence[Any], outputs: Sequence[Any]) -> Counter[str]:
    """The cost of `nn.MultiheadAttention` in evaluation: four projections of [batch, tokens, width], and attention."""
    batch, tokens, width = (int(number) for number in inputs[0].type().sizes())
    keys, heads = int(inputs[1].type().sizes()[1]), int(inputs[4].toIValue())
    macs = 2 * batch * width * ((tokens + keys) * width + tokens * keys)
    activations = batch * (2 * (tokens + keys) * width + tokens * width + heads * tokens * keys)
    return Counter({"attention": macs, _ACTIVATIONS: activations})
