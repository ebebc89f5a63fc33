"""Processing many images in parallel, in threads or in worker processes."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import asdict
from functools import cache, partial
from importlib import import_module
from itertools import islice
from typing import Any, TypeVar

from suite.cores import usable_cores
from suite.errors import InputError, Problem

PROCESSES_FROM = 2000  # items; for fewer, starting processes takes more time than it saves
_CHUNK = 64  # items that a process gets at once

Answer = tuple[Any, bytes]  # the result of a task for one item: JSON values, and bytes

T = TypeVar("T")
R = TypeVar("R")


def in_parallel(function: Callable[[T], R], items: Iterable[T], ahead: int = 4096) -> Iterator[R]:
    """Like `map`, but in threads (Pillow and SHA-256 release the GIL). Results keep the items' order.

    Args:
        function: the function to apply.
        items: its arguments.
        ahead: how many results may be computed before they are consumed.
    """
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


def on_all_cores(task: str, items: Sequence[Any], **arguments: Any) -> Iterator[Answer]:
    """Apply a function to each item on all cores. Results keep the items' order.

    For many items, worker processes are used: decoding small images is limited by the GIL, which threads share.

    Args:
        task: the function, as "module:name". It takes an item and the keyword arguments, and returns an `Answer`.
        items: JSON values.
        arguments: keyword arguments of the function, JSON values.

    Raises:
        InputError: the function raised it.
    """
    if len(items) < PROCESSES_FROM or workers() < 2 or not sys.executable:
        yield from in_parallel(partial(_function(task), **arguments), items)
        return
    chunks = [items[start : start + _CHUNK] for start in range(0, len(items), _CHUNK)]
    processes = [_Process() for _ in range(min(workers(), len(chunks)))]
    idle: queue.SimpleQueue[_Process] = queue.SimpleQueue()
    for process in processes:
        idle.put(process)

    def call(chunk: Sequence[Any]) -> list[Answer]:
        process = idle.get()
        try:
            return process.map(task, chunk, arguments)
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
    """Apply a function to each item in the background, on the same thread pool as `in_parallel`."""

    def __init__(self, function: Callable[[T], None], items: Iterable[T]) -> None:
        self._calls = [_threads().submit(function, item) for item in items]

    def wait(self) -> None:
        """Wait for all items. The first failed item raises its error, and the remaining items are cancelled."""
        try:
            for call in self._calls:
                call.result()
        finally:
            self.cancel()

    def cancel(self) -> None:
        """Cancel items that haven't started, and wait for those that are running."""
        for call in self._calls:
            call.cancel()
        wait(self._calls)


def workers() -> int:
    """The number of threads or processes: one per CPU that this process may use, at most 16."""
    return min(16, usable_cores())


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(workers(), thread_name_prefix="decode")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_threads.cache_clear)  # a forked process has none of its parent's threads


# Workers are not forked, because other threads may hold locks. multiprocessing's spawn isn't used either, because it
# would run the user's script again. With -P, modules in the current folder are not imported.
_COMMAND = "import sys, json; sys.path[:] = json.loads(sys.argv[1]); from suite.data import parallel; parallel.serve()"


class _Process:
    """A Python process that calls functions. It ends when its input is closed, so also if its parent is killed."""

    def __init__(self) -> None:
        paths = json.dumps([os.path.abspath(path) for path in sys.path])
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", _COMMAND, paths], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def map(self, task: str, items: Sequence[Any], arguments: dict[str, Any]) -> list[Answer]:
        """The answers for some items.

        Args:
            task: the function, as "module:name".
            items: JSON values.
            arguments: keyword arguments of the function, JSON values.

        Raises:
            InputError: the function raised it, or the process has ended.
            RuntimeError: the function raised another error.
        """
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        try:
            stdin.write(json.dumps([task, list(items), arguments]).encode() + b"\n")
            stdin.flush()
            answer = json.loads(stdout.readline())
            if "problems" in answer:
                raise InputError(problems=[Problem(**problem) for problem in answer["problems"]])
            if "error" in answer:
                raise RuntimeError(answer["error"])
            return [(facts, stdout.read(length)) for facts, length in answer["results"]]
        except (OSError, ValueError) as error:  # a broken pipe, or no answer
            status = self._process.wait()
            raise InputError(
                "a process that reads images has ended",
                expected="processes that run until all images are read",
                found=f"signal {-status}" if status < 0 else f"exit code {status}",
                where=f"process {self._process.pid}",
                fix="free memory, if that is what the system lacks (signal 9), and run the same command again",
            ) from error

    def close(self) -> None:
        """Kill the process and wait for its end."""
        self._process.kill()
        self._process.communicate()


def serve() -> None:
    """Handle requests until the input ends; run in the worker processes of `on_all_cores`.

    A request is one line of JSON. The reply is one line of JSON, followed by the answers' bytes.
    """
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the parent ends this one
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # output that a library prints must not mix with the replies
    for line in sys.stdin.buffer:
        task, items, arguments = json.loads(line)
        answers: list[Answer] = []
        said: dict[str, Any]
        try:
            answers = [_function(task)(item, **arguments) for item in items]
            said = {"results": [[facts, len(content)] for facts, content in answers]}
        except InputError as error:
            said, answers = {"problems": [asdict(problem) for problem in error.problems]}, []
        except Exception as error:  # every error is passed on to the parent, which raises it
            said, answers = {"error": f"{type(error).__name__}: {error}"}, []
        sys.stdout.flush()  # the parent ends this process by a signal, which would lose what a library has printed
        output.write(json.dumps(said).encode() + b"\n")
        for _, content in answers:
            output.write(content)
        output.flush()


def _function(task: str) -> Callable[..., Answer]:
    module, _, name = task.partition(":")
    function: Callable[..., Answer] = getattr(import_module(module), name)
    return function
