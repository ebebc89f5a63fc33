"""How a machine is used for trials. Imports torch only when a device is requested."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from suite.errors import InputError, nearest

if TYPE_CHECKING:
    import torch


# As `torch.device` takes them. Torch isn't asked: a command that trains nothing does without it.
_DEVICE = re.compile(r"(cpu|cuda|hpu|ipu|maia|meta|mps|mtia|privateuseone|vulkan|xla|xpu)(:\d+)?")
MOST_PROCESSES = 1024
MOST_THREADS = 1024  # torch aborts the process if the system can't start that many threads


@dataclass(frozen=True)
class Machine:
    """How this machine is used. These settings are not part of a trial: the same trial can run on any machine.

    Args:
        data_root: The folder of the prepared data sets; None: the default cache.
        device: auto, cpu, cuda, or another torch device name.
        threads: CPU threads per trial. The number can change the last digits of a result, so it is fixed. The serial
            and the Ray executor use the same number.
        deterministic: Use deterministic algorithms, so that a GPU gives bit-identical results in every run.
        compiled: Compile models, and record steps as CUDA graphs on a GPU. None: always record; compile only if the
            training run is long enough to repay the compile time.
        snapshot_seconds: Seconds from one snapshot to the next; None: no snapshots by time.
        micro_batch: The largest number of images per forward and backward pass; None: the whole batch. Each optimiser
            step still uses the whole batch.
        snapshot_epochs: Take a snapshot after every `snapshot_epochs` epochs; None: no snapshots by epoch.
        time_limit: Seconds of training per trial, including time before an interruption; None: no limit.
        processes: Processes that train one trial together, each on a part of every batch. On GPUs, one process per GPU.
    """

    data_root: Path | None = None
    device: str = "auto"
    threads: int = 1
    deterministic: bool = False
    compiled: bool | None = None
    snapshot_seconds: float | None = 600.0
    micro_batch: int | None = None
    snapshot_epochs: int | None = None
    time_limit: float | None = None
    processes: int = 1

    def __post_init__(self) -> None:
        if self.device != "auto" and not _DEVICE.fullmatch(self.device):
            raise InputError(
                f"can't use the device {self.device!r}",
                expected="auto, cpu, cuda, or another device of torch, such as cuda:1",
                found="no kind of device that torch has",
                where=f"--device {self.device}",
                fix=nearest(self.device, ("auto", "cpu", "cuda")),
            )
        if not 1 <= self.threads <= MOST_THREADS:
            raise InputError(
                "an impossible number of threads",
                expected=f"from 1 to {MOST_THREADS} CPU threads per trial",
                found=str(self.threads),
                where=f"--threads {self.threads}",
                fix="give no more than the machine has cores; leave it out for one",
            )
        if self.micro_batch is not None and self.micro_batch < 1:
            raise InputError(
                "an impossible micro-batch",
                expected="at least 1 image per forward and backward pass",
                found=str(self.micro_batch),
                where=f"--micro-batch {self.micro_batch}",
                fix="leave it out to take whole batches",
            )
        if not 1 <= self.processes <= MOST_PROCESSES:
            raise InputError(
                "an impossible number of processes",
                expected=f"from 1 to {MOST_PROCESSES} processes per trial",
                found=str(self.processes),
                where=f"--processes {self.processes}",
                fix="give no more than a machine has cores or GPUs; leave it out for one",
            )

    def torch_device(self, rank: int = 0) -> torch.device:
        """The device that the process with this rank trains on.

        Raises:
            InputError: This machine doesn't have that device, or has fewer GPUs than processes.
        """
        import torch

        device = self._device()
        if self.processes == 1 or device.type != "cuda":
            return device
        found = torch.cuda.device_count()
        if device.index is not None or found < self.processes:
            raise InputError(
                "a trial by several processes takes the first GPUs, one for each",
                expected=f"{self.processes} GPUs, and --device cuda or auto",
                found=f"{found} GPUs, and --device {self.device}",
                where="this machine",
                fix="ask for fewer with --processes or --gpus-per-trial, or choose --device cpu",
            )
        return torch.device("cuda", rank)

    def _device(self) -> torch.device:
        import torch

        name = self.device if self.device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
        try:
            device = torch.device(name)
            torch.empty(0, device=device)
        except (RuntimeError, AssertionError) as error:
            raise InputError(
                f"can't use the device {name!r}",
                expected="auto, cpu, cuda, or a device that torch finds here",
                found=str(error).splitlines()[0],
                where="this machine",
                fix="choose another with --device",
            ) from None
        return device


def device_name(device: torch.device) -> str:
    """The device name that records use: the GPU's model name, or the device type, such as "cpu"."""
    import torch

    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
