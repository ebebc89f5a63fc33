"""Finding the state dict in a checkpoint: the key that holds it, and a common prefix of its names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from torch import Tensor

from suite.errors import InputError

# Keys under which training scripts save a model's weights, in order of preference. As in timm, averaged weights come
# first. DeiT's rule (see `find_weights`) takes precedence over this order.
AVERAGED = ("state_dict_ema", "ema", "model_ema")
WRAPPERS = (*AVERAGED, "state_dict", "model", "model_state_dict", "net")
# Added by DataParallel and AveragedModel, by torch.compile, by Lightning modules, and by networks with a separate head.
PREFIXES = ("module.", "_orig_mod.", "model.", "backbone.")
_COUNT = "n_averaged"  # an AveragedModel's only entry without the prefix "module."
_DEEPEST = 4  # levels of nested wrappers that are opened


class Weights(NamedTuple):
    """A state dict, and where it was found.

    Attributes:
        state: values by name. Values that aren't tensors are unchanged.
        taken: the key of the state dict, such as "state_dict_ema" or "model.state_dict"; empty if it wasn't wrapped.
        others: the other keys that hold weights.
    """

    state: dict[str, Any]
    taken: str
    others: list[str]

    @property
    def told(self) -> str:
        """A text for messages: which weights were taken, and which could be chosen instead."""
        if not self.taken:
            return "the file's only weights"
        rest = f"; also there: {listed(map(repr, self.others))} (choose by --weights-key)" if self.others else ""
        return f"those under {self.taken!r}{rest}"


def find_weights(checkpoint: object, key: str | None = None) -> Weights:
    """Find a checkpoint's state dict. Wrapping keys and a common prefix of the names are removed.

    Of several state dicts, averaged weights (EMA) are preferred, as in timm. There is one exception: if the checkpoint
    has both "model" and "model_ema", "model" is taken. DeiT's training script and its descendants write this layout,
    and they evaluate "model".

    Args:
        checkpoint: the content of a file.
        key: the key of the state dict to take; "a.b" means key b inside the value of key a. None chooses as above.

    Raises:
        InputError: there are no named tensors, none under the key, or none under a known key.
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
    """Join names from a file for a message. Control characters, which a terminal might interpret, are escaped."""
    texts = [text if text.isprintable() else ascii(text) for text in map(str, names)]
    more = f" and {len(texts) - at_most} more" if len(texts) > at_most else ""
    return ", ".join(text[:400] for text in texts[:at_most]) + more


def _chosen(mapping: Mapping[Any, Any]) -> str | None:
    holders = _holders(mapping)
    if "model" in holders and "model_ema" in holders and "state_dict_ema" not in holders:
        return "model"
    return next((name for name in WRAPPERS if name in holders), None)


def _holders(value: object, depth: int = _DEEPEST) -> list[str]:
    """The keys that hold weights, directly or inside a known wrapper."""
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
    """The value of a key, or of a path of keys joined by dots."""
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
    """The same values by name, without prefixes that all tensors' names share."""
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
