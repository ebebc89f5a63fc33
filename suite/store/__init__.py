"""What is on disk: records of runs, training curves, files and addresses.

Torch-free. Nothing that is read from a results folder is executed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from suite.faces import lazy

if TYPE_CHECKING:
    from suite.store.folder import Store as Store
    from suite.store.frames import load_frame as load_frame
    from suite.store.frames import load_history as load_history
    from suite.store.record import RunRecord as RunRecord

__getattr__ = lazy(
    __name__,
    {
        "RunRecord": "record",
        "Store": "folder",
        "load_frame": "frames",
        "load_history": "frames",
    },
)
