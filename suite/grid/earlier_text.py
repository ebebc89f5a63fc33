"""Changes of this package that can't change the result of a finished run, each with the text before it.

A change of code makes the records of older code stale. Three kinds of change needn't: one that turns an error into a
result, one of an error's words, and one that moves the same numbers with fewer copies. For these, a fingerprint counts
the text before, so that no record becomes stale. A test runs both versions of code that computes, and compares values
and gradients to the last bit.

If the text changes again, it is no longer found here, and counts as it is.
"""

from __future__ import annotations

from typing import NamedTuple


class Change(NamedTuple):
    """A change of a module's text.

    Attributes:
        why: why no finished run can differ.
        now: the text at hand, which is in the module once.
        before: the text that counts in its place.
    """

    why: str
    now: str
    before: str


CHANGES = {
    "suite.models.architectures": (
        Change(
            "the words of an error, which ends the run in both versions",
            now="{': ' if key else ''}{expected_of(item)}",
            before="{': ' if key else ''}{item['msg'].removeprefix('Value error, ')}",
        ),
    ),
    "suite.models.layers.rotation": (
        Change(
            "a gradient that isn't dense is copied; before, it ended the run with an error",
            now="""
        # Complex numbers need real and imaginary parts side by side. With dropout or mixed heads, attention returns the
        # keys' gradients transposed.
        read = [grad if grad.stride(-1) == 1 else grad.contiguous() for grad in read]
""",
            before="\n",
        ),
    ),
    "suite.models.normalisers.dtn": (
        Change(
            "one copy in place of two; only heads of one channel, which no stored run has, may be rounded differently",
            now="""
        by_head = [part.unflatten(2, (self.heads, -1)).permute(2, 1, 0, 3) for part in (first, second)]
        both = torch.cat(by_head, dim=2).flatten(2)  # one copy
""",
            before="""
        both = torch.cat([first, second]).unflatten(2, (self.heads, -1)).permute(2, 1, 0, 3).flatten(2)
""",
        ),
    ),
}


def text_before(module: str, text: str) -> str:
    """The text of a module of this package that counts in fingerprints.

    Args:
        module: its dotted name.
        text: its text at hand.
    """
    for change in CHANGES.get(module, ()):
        text = text.replace(change.now, change.before)
    return text
