"""Parses a recipe's `auto_augment`: timm's RandAugment strings, and learned policies by name. Doesn't import torch."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from suite.errors import InputError, nearest

# timm's operations. Some of them get weaker with the magnitude; with `inc1` they get stronger instead.
RAND_OPERATIONS = (
    "AutoContrast",
    "Equalize",
    "Invert",
    "Rotate",
    "Posterize",
    "Solarize",
    "SolarizeAdd",
    "Color",
    "Contrast",
    "Brightness",
    "Sharpness",
    "ShearX",
    "ShearY",
    "TranslateXRel",
    "TranslateYRel",
)
LEVELS = 10.0  # timm's scale of magnitudes
_ALWAYS_UNIFORM = 100.0  # as in timm, a larger `mstd` means a uniform magnitude from 0 to `m`

# key: (field of RandAugment, regular expression of the value, meaning)
_SECTIONS = {
    "m": ("magnitude", r"\d{1,4}", "magnitude, an integer from 0 to 9999"),
    "n": ("layers", r"[1-9]\d?", "operations for each image, an integer from 1 to 99"),
    "p": ("probability", r"0(\.\d+)?|1(\.0+)?", "probability of each operation, from 0 to 1"),
    "mstd": ("magnitude_std", r"\d+(\.\d+)?|inf", "standard deviation of the magnitude, or inf"),
    "mmax": ("magnitude_max", r"[1-9]\d{0,3}", "largest magnitude, an integer from 1 to 9999"),
    "inc": ("increasing", r"[01]", "1: all operations get stronger with the magnitude; 0: they don't"),
}
_EXAMPLE = "rand-m9-mstd0.5-inc1"


@dataclass(frozen=True)
class RandAugment:
    """timm's RandAugment: each image gets `layers` operations, drawn with replacement.

    Each operation is applied with probability `probability`. Its magnitude is drawn from a normal distribution with
    mean `magnitude` and standard deviation `magnitude_std`, clipped to [0, magnitude_max]. An infinite deviation means
    a uniform distribution from 0 to `magnitude`. Source: timm 1.0 `rand_augment_transform`, with its defaults.
    """

    magnitude: float = LEVELS
    layers: int = 2
    probability: float = 0.5
    magnitude_std: float = 0.0
    magnitude_max: float = LEVELS
    increasing: bool = False


@dataclass(frozen=True)
class LearnedPolicy:
    """A learned AutoAugment policy: each image gets one of the pairs of operations.

    An operation is (name, probability, index of its magnitude's bin out of ten).
    """

    pairs: tuple[tuple[tuple[str, float, int], tuple[str, float, int]], ...]


def parse_policy(text: str) -> RandAugment | LearnedPolicy:
    """Parse a RandAugment string such as `rand-m9-mstd0.5-inc1`, or `cifar10`, AutoAugment's policy for CIFAR-10.

    Raises:
        InputError: the text is neither; the message has the position of the error.
    """
    if text in LEARNED_POLICIES:
        return LEARNED_POLICIES[text]
    head, *sections = text.split("-")
    if head != "rand":
        raise _unreadable(text, 0, head, f"{nearest(head, [*LEARNED_POLICIES, _EXAMPLE])}; settings are {_known()}")
    policy, position, seen = RandAugment(), len(head) + 1, set[str]()
    for section in sections:
        split = len(section) - 3 if section.endswith("inf") else len(section.rstrip("0123456789."))
        key, value = section[:split], section[split:]
        if key not in _SECTIONS:
            raise _unreadable(text, position, section, f"write one of: {_known()}")
        name, form, meaning = _SECTIONS[key]
        if key in seen or not re.fullmatch(form, value):
            twice = f"{key!r} once" if key in seen else f"{key} with its value ({meaning})"
            raise _unreadable(text, position, section, f"write {twice}, as in {_EXAMPLE}")
        seen.add(key)
        number = float(value)
        if key == "mstd" and number > _ALWAYS_UNIFORM:
            number = float("inf")
        policy = replace(policy, **{name: type(getattr(policy, name))(number)})
        position += len(section) + 1
    return policy


def _known() -> str:
    return ", ".join(f"{key} ({meaning})" for key, (_, _, meaning) in _SECTIONS.items())


def _unreadable(text: str, position: int, found: str, fix: str) -> InputError:
    return InputError(
        f"an augmentation policy that can't be read, at character {position + 1} of {text!r}",
        expected=f"{', '.join(LEARNED_POLICIES)}, or rand and its settings, such as {_EXAMPLE}",
        found=repr(found),
        fix=fix,
    )


# AutoAugment (arXiv 1805.09501), Table 7: the policy found on CIFAR-10, with torchvision's magnitude bins. The bin is 0
# for an operation that has no magnitude.
LEARNED_POLICIES = {
    "cifar10": LearnedPolicy(
        (
            (("Invert", 0.1, 0), ("Contrast", 0.2, 6)),
            (("Rotate", 0.7, 2), ("TranslateX", 0.3, 9)),
            (("Sharpness", 0.8, 1), ("Sharpness", 0.9, 3)),
            (("ShearY", 0.5, 8), ("TranslateY", 0.7, 9)),
            (("AutoContrast", 0.5, 0), ("Equalize", 0.9, 0)),
            (("ShearY", 0.2, 7), ("Posterize", 0.3, 7)),
            (("Color", 0.4, 3), ("Brightness", 0.6, 7)),
            (("Sharpness", 0.3, 9), ("Brightness", 0.7, 9)),
            (("Equalize", 0.6, 0), ("Equalize", 0.5, 0)),
            (("Contrast", 0.6, 7), ("Sharpness", 0.6, 5)),
            (("Color", 0.7, 7), ("TranslateX", 0.5, 8)),
            (("Equalize", 0.3, 0), ("AutoContrast", 0.4, 0)),
            (("TranslateY", 0.4, 3), ("Sharpness", 0.2, 6)),
            (("Brightness", 0.9, 6), ("Color", 0.2, 8)),
            (("Solarize", 0.5, 2), ("Invert", 0.0, 0)),
            (("Equalize", 0.2, 0), ("AutoContrast", 0.6, 0)),
            (("Equalize", 0.2, 0), ("Equalize", 0.6, 0)),
            (("Color", 0.9, 9), ("Equalize", 0.6, 0)),
            (("AutoContrast", 0.8, 0), ("Solarize", 0.2, 8)),
            (("Brightness", 0.1, 3), ("Color", 0.7, 0)),
            (("Solarize", 0.4, 5), ("AutoContrast", 0.9, 0)),
            (("TranslateY", 0.9, 9), ("TranslateY", 0.7, 9)),
            (("AutoContrast", 0.9, 0), ("Solarize", 0.8, 3)),
            (("Equalize", 0.8, 0), ("Invert", 0.1, 0)),
            (("TranslateY", 0.7, 9), ("AutoContrast", 0.9, 0)),
        )
    )
}
