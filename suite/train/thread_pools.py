"""Pools of threads for torch's operators, each of which then runs on one thread."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import torch


def operator_pool(threads: int, name: str) -> ThreadPoolExecutor:
    """A new pool of so many threads, each of which runs torch's operators without further threads."""
    return ThreadPoolExecutor(threads, name, _one_thread)


@cache
def shared_pool(threads: int) -> ThreadPoolExecutor:
    """The pool of so many threads that all callers in this process share."""
    return operator_pool(threads, "operators")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=shared_pool.cache_clear)  # a forked process has none of its parent's threads


def _one_thread() -> None:
    torch.set_num_threads(1)
