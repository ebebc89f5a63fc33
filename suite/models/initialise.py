"""The initial weights of a training run. Each parameter has its own generator, seeded from the parameter's name.

Two models that differ in PE, joining method or norm therefore start from bit-identical values in every parameter that
they share. Adding a parameter doesn't change the others' initial values.

A module can bring its own initialisation, for instance a gate that starts at zero: a method `start(name, drawn,
generator)`, which fills `drawn` with the initial value of the module's own parameter of that name. `Normaliser.start`
is an example. The rules here are for modules without one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Generator, Tensor, nn
from torch.nn import init
from torch.nn.modules.batchnorm import _BatchNorm as _Batch

from suite.models.embedding import PositionMap
from suite.models.layers.tokenizers import RandomFeatures
from suite.models.normalisers.plain import Normaliser
from suite.models.sites.bias import RelativeBias
from suite.store.canonical import derive_seed


@dataclass(frozen=True)
class Rules:
    """The settings in which the families' initialisations differ.

    Standard deviations are of normal distributions truncated at ±2, as in the published code.

    Attributes:
        position_std: the standard deviation of an absolute PE's tables.
        class_token_std: the standard deviation of the class token and the distillation token.
        convolution: "default" is PyTorch's initialisation (uniform, ±1/√fan-in). "kaiming_normal" uses fan-in and
            gain √2. "kaiming_fan_out" uses fan-out instead of fan-in.
        relative_std: the standard deviation of a relative PE's tables. LaPE's released code starts them at zero, Swin
            doesn't.
        position_cut: whether the distribution of `position_std` is truncated at ±2.
    """

    position_std: float
    class_token_std: float
    convolution: Literal["default", "kaiming_normal", "kaiming_fan_out"]
    relative_std: float = 0.0
    position_cut: bool = True


@torch.no_grad()
def initialise(model: nn.Module, seed: int) -> None:
    """Draw new values for all parameters of one of the suite's models, and reset its running statistics.

    Fixed PEs keep their values. Random numbers are drawn on the CPU, whatever the model's device.

    Raises:
        TypeError: the model has no `rules`, or no rule covers a parameter.
    """
    rules = getattr(model, "rules", None)
    if not isinstance(rules, Rules):
        raise TypeError(f"a {type(model).__name__} doesn't say how it is initialised: it has no `rules`")
    given: dict[str, Tensor] = {}
    if callable(own := getattr(model, "own_weights", None)) and not any(one.is_meta for one in model.parameters()):
        given = own(seed)
    for path, module in model.named_modules():
        if isinstance(module, _Batch | Normaliser):
            module.reset_running_stats()
        for own_name, parameter in module.named_parameters(recurse=False):
            name = f"{path}.{own_name}" if path else own_name
            if name in given:
                parameter.copy_(given[name])
                continue
            fixed = not parameter.requires_grad and not isinstance(module, RandomFeatures)
            if fixed or parameter.is_meta:
                continue
            # derive_seed returns 63 bits, all of which manual_seed accepts.
            generator = Generator(device="cpu").manual_seed(derive_seed(seed, name))
            drawn = torch.empty(parameter.shape, device="cpu")
            _draw(drawn, name, module, rules, generator)
            parameter.copy_(drawn)


def _draw(drawn: Tensor, name: str, module: nn.Module, rules: Rules, generator: Generator) -> None:
    bias = name.endswith(".bias")
    if isinstance(module, RelativeBias):
        _normal(drawn, rules.relative_std, generator)
    elif callable(start := getattr(module, "start", None)):
        start(name.rpartition(".")[2], drawn, generator)
    elif name.removeprefix("network.").startswith("position.") and ".tables." in name:
        if rules.position_cut:
            _normal(drawn, rules.position_std, generator)
        else:
            init.normal_(drawn, std=rules.position_std, generator=generator)
    elif name in {"class_token", "distillation_token"}:
        _normal(drawn, rules.class_token_std, generator)
    elif name == "layer_embedding":
        drawn.zero_()
    elif isinstance(module, RandomFeatures):
        drawn.copy_(module.draw(generator))
    elif isinstance(module, (nn.LayerNorm, _Batch, PositionMap)):
        drawn.fill_(0 if bias else 1)
    elif isinstance(module, nn.Linear):
        if bias:
            drawn.zero_()
        else:
            _normal(drawn, 0.02, generator)
    elif isinstance(module, nn.Conv2d):
        if rules.convolution != "default" and not bias:
            fan_out = rules.convolution == "kaiming_fan_out"
            init.kaiming_normal_(drawn, mode="fan_out" if fan_out else "fan_in", generator=generator)
        else:
            bound = module.weight[0].numel() ** -0.5
            drawn.uniform_(-bound, bound, generator=generator)
    else:
        raise TypeError(f"no rule says how to initialise {name!r}, of a {type(module).__name__}: add one here")


def _normal(drawn: Tensor, std: float, generator: Generator) -> None:
    if std == 0:
        drawn.zero_()
    else:
        init.trunc_normal_(drawn, std=std, generator=generator)
