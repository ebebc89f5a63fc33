"""Whose fault an exception is."""

from __future__ import annotations

import pickle

import pytest
import torch
import torch.distributed

from suite.errors import InputError
from suite.train.faults import MachineFault, ending, is_machine_fault, is_out_of_memory, without_addresses


def open_nothing(code: int) -> None:
    raise OSError(code, "no file")


def hidden(message: str) -> InputError:
    """One of our messages about a file that can't be read."""
    try:
        try:
            open_nothing(5)
        except OSError:
            raise InputError(message) from None
    except InputError as error:
        return error


def of_a_model() -> ValueError:
    """A model that gives up on something, and hides what."""
    try:
        try:
            open_nothing(2)
        except OSError:
            raise ValueError("no such layer") from None
    except ValueError as error:
        return error


@pytest.mark.parametrize(
    "error",
    [
        OSError(5, "Input/output error"),
        ConnectionResetError(104, "Connection reset by peer"),
        TimeoutError(),
        hidden("a damaged file"),
        RuntimeError("CUDA error: uncorrectable ECC error encountered"),
        RuntimeError("CUDA error: unspecified launch failure\nCUDA kernel errors might be asynchronously reported"),
        RuntimeError("CUDA error: unknown error"),
        torch.AcceleratorError("CUDA error: an illegal memory access was encountered"),
        RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR"),
        RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling cublasSgemm"),
        RuntimeError("No CUDA GPUs are available"),
        RuntimeError("[gloo/transport/tcp/pair.cc:534] Connection closed by peer [10.0.0.2]:1234"),
        torch.distributed.DistBackendError("NCCL error in ProcessGroupNCCL.cpp"),
        RuntimeError("DataLoader worker exited: it is out of shared memory"),
    ],
    ids=lambda error: f"{type(error).__name__}-{str(error)[:40]}",
)
def test_errors_of_the_machine(error: Exception) -> None:
    assert is_machine_fault(error)
    assert not is_out_of_memory(error)


@pytest.mark.parametrize(
    "error",
    [
        ZeroDivisionError("division by zero"),
        ValueError("connection reset by the model"),  # said, but not by torch
        of_a_model(),
        RuntimeError("mat1 and mat2 shapes cannot be multiplied"),
        RuntimeError("CUDA error: device-side assert triggered"),
        RuntimeError("CUDA error: invalid configuration argument"),
        RuntimeError("CUDA error: operation not permitted when stream is capturing"),
        KeyError("x"),
        InputError("a bad grid"),
    ],
    ids=lambda error: f"{type(error).__name__}-{str(error)[:40]}",
)
def test_errors_of_the_trial(error: Exception) -> None:
    assert not is_machine_fault(error)
    assert not is_out_of_memory(error)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB"),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        OSError(12, "Cannot allocate memory"),
    ],
    ids=lambda error: f"{type(error).__name__}-{str(error)[:40]}",
)
def test_memory_is_its_own_kind(error: Exception) -> None:
    assert is_out_of_memory(error)
    assert not is_machine_fault(error)


def test_what_an_exception_was_raised_from_counts() -> None:
    error = RuntimeError("a training failed")
    error.__cause__ = OSError(5, "Input/output error")
    assert is_machine_fault(error)
    error.__cause__ = error
    assert not is_machine_fault(error)


@pytest.mark.parametrize(
    ("text", "public"),
    [
        ("lost 10.1.2.3:6379 at last", "lost (address) at last"),
        ("Connection closed by peer [10.1.2.3]:1234", "Connection closed by peer [(address)]:1234"),
        ("can't reach s3://key:secret@bucket/grid, then", "can't reach (address) then"),
        ("GET https://user:pw@example.org/x?token=1 failed", "GET (address) failed"),
        ("from fe80::1ff:fe23:4567:890a", "from (address)"),
        ('File "/a/b.py", line 12, in step\ntorch 2.15.0, at 12:30:45', None),
        ("std::vector<int>::at", None),
    ],
)
def test_records_hold_no_addresses(text: str, public: str | None) -> None:
    assert without_addresses(text) == (text if public is None else public)


def test_a_record_keeps_the_end_of_a_traceback() -> None:
    assert ending("\n".join(map(str, range(100))) + "\n") == "\n".join(map(str, range(88, 100)))
    assert ending("ValueError: \ud800") == r"ValueError: \ud800"  # a record is UTF-8


def test_a_fault_travels_between_processes() -> None:
    fault = pickle.loads(pickle.dumps(MachineFault("it broke", "gpu-1", spent=True)))
    assert (fault.reason, fault.node, fault.spent, str(fault)) == ("it broke", "gpu-1", True, "it broke")
