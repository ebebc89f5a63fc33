"""Where the weights are in a checkpoint: under which key, and under which prefix of their names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from torch import Tensor

from suite.errors import InputError

# Keys under which training scripts keep a model's weights, in the order in which they are taken. Averaged weights come
# first, as timm takes them; DeiT's rule, below, comes before all.
AVERAGED = ("state_dict_ema", "ema", "model_ema")
WRAPPERS = (*AVERAGED, "state_dict", "model", "model_state_dict", "net")
# Of DataParallel and AveragedModel, of torch.compile, of Lightning's modules, and of networks with a head of their own.
PREFIXES = ("module.", "_orig_mod.", "model.", "backbone.")
_COUNT = "n_averaged"  # what an AveragedModel keeps beside "module.…"
_DEEPEST = 4  # wrappers in one another


class Weights(NamedTuple):
    """A state dict, and where it was.

    Attributes:
        state: values by name. What isn't a tensor is left as it is.
        taken: the key it was under, such as "state_dict_ema" or "model.state_dict"; empty if it was bare.
        others: the other keys under which there are weights.
    """

    state: dict[str, Any]
    taken: str
    others: list[str]

    @property
    def told(self) -> str:
        """For people: which weights these are, and which could be chosen instead."""
        if not self.taken:
            return "the file's only weights"
        rest = f"; also there: {listed(map(repr, self.others))} (choose by --weights-key)" if self.others else ""
        return f"those under {self.taken!r}{rest}"


def find_weights(checkpoint: object, key: str | None = None) -> Weights:
    """A checkpoint's state dict, without what wraps it and without a common prefix of the names.

    Of several state dicts, averaged weights (EMA) are taken, as timm does; but where there is both "model" and
    "model_ema", "model": that is the layout of DeiT's training script and its descendants, which evaluate "model".

    Args:
        checkpoint: what a file holds.
        key: take what is under this key instead; "a.b" is the key b of what is under a.

    Raises:
        InputError: there are no tensors by name, or not under the key, or only under keys that aren't known.
    """
    state: Any = checkpoint
    taken = ""
    others: list[str] = []
    if key is not None:
        state, taken = _under(checkpoint, key), key
    for _ in range(_DEEPEST):
        if not isinstance(state, Mapping) or not (chosen := _chosen(state)):
            break
        others += [f"{taken}.{name}".lstrip(".") for name in _holders(state) if name != chosen]
        state, taken = state[chosen], f"{taken}.{chosen}".lstrip(".")
    if key is not None:
        others = [name for name in _holders(checkpoint) if name != key]
    if not _has_tensors(state):
        raise _no_weights(checkpoint, state, taken)
    return Weights(_without_prefixes({str(name): value for name, value in state.items()}), taken, others)


def listed(names: Iterable[object], at_most: int = 20) -> str:
    """Names out of a file, for a message: what a terminal would obey is escaped."""
    texts = [text if text.isprintable() else ascii(text) for text in map(str, names)]
    more = f" and {len(texts) - at_most} more" if len(texts) > at_most else ""
    return ", ".join(text[:400] for text in texts[:at_most]) + more


def _chosen(mapping: Mapping[Any, Any]) -> str | None:
    holders = _holders(mapping)
    if "model" in holders and "model_ema" in holders and "state_dict_ema" not in holders:
        return "model"
    return next((name for name in WRAPPERS if name in holders), None)


def _holders(value: object, depth: int = _DEEPEST) -> list[str]:
    """The keys under which there are weights, at once or in a known wrapper."""
    if not isinstance(value, Mapping) or not depth:
        return []
    return [
        str(name)
        for name, inner in value.items()
        if isinstance(inner, Mapping)
        and (_has_tensors(inner) or any(key in WRAPPERS for key in _holders(inner, depth - 1)))
    ]


def _has_tensors(value: object) -> Any:
    return isinstance(value, Mapping) and any(isinstance(item, Tensor) for item in value.values())


def _under(checkpoint: object, key: str) -> object:
    """What is under a key, or under a path of keys joined by dots."""
    if isinstance(checkpoint, Mapping):
        if key in checkpoint:
            return checkpoint[key]
        for name, inner in checkpoint.items():
            if isinstance(name, str) and key.startswith(f"{name}.") and isinstance(inner, Mapping):
                return _under(inner, key.removeprefix(f"{name}."))
    holders = _holders(checkpoint)
    raise InputError(
        "the checkpoint has no such key",
        expected=f"one of: {listed(map(repr, holders))}" if holders else "no key: the weights aren't under one",
        found=repr(key),
        fix="choose one of them" if holders else "leave out --weights-key (in Python: weights_key)",
    )


def _no_weights(checkpoint: object, state: object, taken: str) -> InputError:
    held = listed(state) if isinstance(state, Mapping) else ""
    inside = f" as its {taken!r}" if taken else ""
    holders = _holders(checkpoint)
    if not taken and isinstance(checkpoint, Mapping):
        wrong = next((name for name in WRAPPERS if name in checkpoint), None)
        if wrong is not None and not holders:
            held, inside, state = "", f" as its {wrong!r}", checkpoint[wrong]
            held = listed(state) if isinstance(state, Mapping) else ""
    return InputError(
        "there are no weights in this checkpoint" + (" under a key that is known" if holders else ""),
        expected=f"a state dict, tensors by name, perhaps as its {', '.join(map(repr, WRAPPERS))}",
        found=f"a {type(state).__name__}{inside}" + (f" of: {held}" if held else ""),
        fix=f"choose by --weights-key (in Python: weights_key): {listed(map(repr, holders))}"
        if holders
        else "pass the model's state_dict()",
    )


def _without_prefixes(names: dict[str, Any]) -> dict[str, Any]:
    """The same without what comes before the name of every tensor."""
    while True:
        tensors = [name for name, value in names.items() if isinstance(value, Tensor) and name != _COUNT]
        if _COUNT in names and tensors and all(name.startswith("module.") for name in tensors):
            names = {name: value for name, value in names.items() if name != _COUNT}
        prefix = next(
            (prefix for prefix in PREFIXES if tensors and all(name.startswith(prefix) for name in tensors)), None
        )
        if prefix is None or _COUNT in names:
            return names
        names = {
            name.removeprefix(prefix) if isinstance(value, Tensor) else name: value for name, value in names.items()
        }
