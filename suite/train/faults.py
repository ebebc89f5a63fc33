"""Classify exceptions: infrastructure error, out of memory, or a failure of the trial. Does not import torch."""

from __future__ import annotations

import re
from collections.abc import Iterator

from suite.errors import InputError
from suite.store.redaction import scrub
from suite.text import encodable

_LINES = 12  # the last lines of a traceback that a record keeps

# Infrastructure errors, by class name, so that neither torch nor Ray has to be imported.
_MACHINES_TYPES = frozenset(
    ("OSError", "EOFError", "DistBackendError", "DistNetworkError", "DistStoreError", "RayError", "GRPCError")
)
# Messages of torch about a failed device or a lost process. CUDA errors that the program causes are excluded. An
# illegal memory access can come from the hardware or the program, so it is retried; a program error will recur.
_MACHINES_WORDS = re.compile(
    r"CUDA error: (?!out of memory|device-side assert|invalid|misaligned|operation|too many|an illegal instruction)|"
    r"uncorrectable|CUDA driver (error|initialization)|No CUDA GPUs are available|"
    r"CUDNN_STATUS_(INTERNAL_ERROR|NOT_INITIALIZED|EXECUTION_FAILED)|"
    r"CUBLAS_STATUS_(NOT_INITIALIZED|EXECUTION_FAILED|INTERNAL_ERROR)|NCCL (error|communicator)|"
    r"[Cc]onnection (closed|reset|refused|timed out|was lost)|[Bb]roken pipe|shared memory"
)
_MEMORYS_TYPES = frozenset(("OutOfMemoryError", "MemoryError"))
_MEMORYS_WORDS = re.compile(
    r"DefaultCPUAllocator|out of memory|(CUBLAS|CUDNN)_STATUS_ALLOC_FAILED|(Cannot|[Cc]an't) allocate memory"
)
_ADDRESSES = re.compile(
    r"\b[a-z][a-z0-9+.-]*://[^\s'\"<>)\]]+"  # including any credentials
    r"|\b\d{1,3}(?:\.\d{1,3}){3}\b(?::\d+)?"
    r"|\[?(?:[0-9a-fA-F]{1,4}:){7}[0-9a-fA-F]{1,4}\]?(?::\d+)?"
    r"|\[?\b[0-9a-fA-F]{1,4}(?::[0-9a-fA-F]{1,4})*::(?:[0-9a-fA-F]{1,4}(?::[0-9a-fA-F]{1,4})*)?\]?"
)


class MachineFault(Exception):  # noqa: N818 -- a fault is what it is
    """A trial failed from an infrastructure error: another attempt may succeed.

    Args:
        reason: The end of the traceback, or whatever else is known about the cause.
        node: The name of the machine, if known.
        spent: The worker was unusable before the trial began, so this does not count as an attempt.
    """

    def __init__(self, reason: str, node: str | None = None, *, spent: bool = False) -> None:
        super().__init__(reason, node, spent)
        self.reason, self.node, self.spent = reason, node, spent

    def __str__(self) -> str:
        return self.reason

    def __reduce__(self) -> tuple[object, ...]:
        return _fault, (self.reason, self.node, self.spent)


def _fault(reason: str, node: str | None, spent: bool) -> MachineFault:
    return MachineFault(reason, node, spent=spent)


class TimeLimitError(Exception):
    """A training run exceeded its time limit."""


def is_machine_fault(error: BaseException) -> bool:
    """Whether an exception is an infrastructure error (device, disk, network or another process)."""
    return not is_out_of_memory(error) and any(
        not _MACHINES_TYPES.isdisjoint(_names(each))
        or ("RuntimeError" in _names(each) and _MACHINES_WORDS.search(str(each)) is not None)
        for each in _chain(error)
    )


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that the GPU or the host ran out of memory."""
    return any(
        not _MEMORYS_TYPES.isdisjoint(_names(each))
        or (not _names(each).isdisjoint(("RuntimeError", "OSError")) and _MEMORYS_WORDS.search(str(each)) is not None)
        for each in _chain(error)
    )


def ending(text: str) -> str:
    """The last lines of a traceback, for a record. Records are public, so secrets and addresses are removed."""
    return without_addresses(scrub(encodable("\n".join(text.strip().splitlines()[-_LINES:]))))


def without_addresses(text: str) -> str:
    """The text with each host or storage address, and any credentials in it, replaced by "(address)"."""
    return _ADDRESSES.sub("(address)", text)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The exception and its causes: `__cause__`, or `__context__` where it isn't suppressed."""
    seen: set[int] = set()
    following: BaseException | None = error
    while following is not None and id(following) not in seen:
        seen.add(id(following))
        yield following
        # An InputError is raised `from None` to hide its cause from users; the cause still matters here.
        hidden = following.__suppress_context__ and not isinstance(following, InputError)
        following = following.__cause__ or (None if hidden else following.__context__)


def _names(error: BaseException) -> set[str]:
    return {kind.__name__ for kind in type(error).__mro__}
