"""Work on many images at once, in threads or in processes of this suite."""

from __future__ import annotations

import json
import os
import pickle
import queue
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import cache
from itertools import islice
from typing import TypeVar

from suite.errors import InputError

PROCESSES_FROM = 2000  # items: for fewer, starting processes takes longer than they save
_CHUNK = 64  # items that a process gets at once

T = TypeVar("T")
R = TypeVar("R")


def in_parallel(function: Callable[[T], R], items: Iterable[T], ahead: int = 4096) -> Iterator[R]:
    """`map` with threads (Pillow and SHA-256 release Python's lock), in order, at most `ahead` results ahead."""
    remaining, running = iter(items), deque[Future[R]]()
    try:
        while True:
            for item in islice(remaining, ahead - len(running)):
                running.append(_threads().submit(function, item))
            if not running:
                return
            yield running.popleft().result()
    finally:
        for call in running:
            call.cancel()


def on_all_cores(function: Callable[[T], R], items: Sequence[T]) -> Iterator[R]:
    """`map` on all cores, in order: with processes where there are many items, since small images keep Python busy.

    function: can be pickled. An error that it raises is raised here.
    """
    if len(items) < PROCESSES_FROM or workers() < 2 or not sys.executable:
        yield from in_parallel(function, items)
        return
    chunks = [items[start : start + _CHUNK] for start in range(0, len(items), _CHUNK)]
    processes = [_Process() for _ in range(min(workers(), len(chunks)))]
    idle: queue.SimpleQueue[_Process] = queue.SimpleQueue()
    for process in processes:
        idle.put(process)

    def call(chunk: Sequence[T]) -> list[R]:
        process = idle.get()
        try:
            return process.map(function, chunk)
        finally:
            idle.put(process)

    results = in_parallel(call, chunks, ahead=4 * len(processes))
    try:
        for part in results:
            yield from part
    finally:
        for process in processes:
            process.close()


class Background:
    """A function of each item, on the same threads as `in_parallel`, from now on."""

    def __init__(self, function: Callable[[T], None], items: Iterable[T]) -> None:
        self._calls = [_threads().submit(function, item) for item in items]

    def wait(self) -> None:
        """Return when all is done. The first item that failed raises its error, and the rest is cancelled."""
        try:
            for call in self._calls:
                call.result()
        finally:
            self.cancel()

    def cancel(self) -> None:
        """Cancel what hasn't begun, and return when no thread works on an item any more."""
        for call in self._calls:
            call.cancel()
        wait(self._calls)


def workers() -> int:
    """The number of threads or processes: one for each CPU that this process may use, at most 16."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(16, usable)


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(workers(), thread_name_prefix="decode")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_threads.cache_clear)  # a forked process has none of its parent's threads


# Neither forked (other threads may hold locks) nor multiprocessing's spawn (it would run the user's script again).
# -P: what lies in the current folder is not imported.
_COMMAND = "import sys, json; sys.path[:] = json.loads(sys.argv[1]); from suite.data import parallel; parallel.serve()"


class _Process:
    """A Python process that calls functions. It ends when its input does, so also if this process is killed."""

    def __init__(self) -> None:
        paths = json.dumps([os.path.abspath(path) for path in sys.path])
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", _COMMAND, paths], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def map(self, function: Callable[[T], R], items: Sequence[T]) -> list[R]:
        """The function of each item; raises what it raises."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        try:
            pickle.dump((function, items), stdin)
            stdin.flush()
            error, results = pickle.load(stdout)  # noqa: S301 (from a process of our own)
        except (EOFError, OSError, pickle.UnpicklingError) as problem:
            status = self._process.wait()
            raise InputError(
                "a process that reads images has ended",
                expected="processes that run until all images are read",
                found=f"signal {-status}" if status < 0 else f"exit code {status}",
                where=f"process {self._process.pid}",
                fix="free memory, if that is what the system lacks (signal 9), and run the same command again",
            ) from problem
        if error is not None:
            raise error
        found: list[R] = results
        return found

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()


def serve() -> None:
    """In a process of `on_all_cores`: answer until the input ends."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the parent ends this one
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # nothing that a library prints may come between the answers
    while True:
        try:
            function, items = pickle.load(sys.stdin.buffer)  # noqa: S301 (from the process that started this one)
        except EOFError:
            return
        try:
            answer: tuple[Exception | None, list[object]] = (None, [function(item) for item in items])
            content = pickle.dumps(answer, pickle.HIGHEST_PROTOCOL)
        except Exception as error:  # whatever it is: it is raised in the parent
            content = pickle.dumps((error, []))
        output.write(content)
        output.flush()
