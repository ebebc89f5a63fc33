"""Work on many images at once, in threads or in processes of this suite."""

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

from suite.errors import InputError, Problem

PROCESSES_FROM = 2000  # items: for fewer, starting processes takes longer than they save
_CHUNK = 64  # items that a process gets at once

Answer = tuple[Any, bytes]  # of a task: values of JSON, and bytes

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


def on_all_cores(task: str, items: Sequence[Any], **arguments: Any) -> Iterator[Answer]:
    """A function of each item, on all cores, in order.

    Processes are used where there are many items: small images keep Python busy, which threads share. An `InputError`
    of the function is raised here.

    Args:
        task: the function, as "module:name". It takes an item and the arguments, and returns an `Answer`.
        items: values of JSON.
        arguments: values of JSON, by name.
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

    def map(self, task: str, items: Sequence[Any], arguments: dict[str, Any]) -> list[Answer]:
        """The answers for some items.

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
        """End the process."""
        self._process.kill()
        self._process.communicate()


def serve() -> None:
    """In a process of `on_all_cores`: answer until the input ends.

    Each request is a line of JSON. So is the answer, which the answers' bytes follow.
    """
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the parent ends this one
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # nothing that a library prints may come between the answers
    for line in sys.stdin.buffer:
        task, items, arguments = json.loads(line)
        answers: list[Answer] = []
        said: dict[str, Any]
        try:
            answers = [_function(task)(item, **arguments) for item in items]
            said = {"results": [[facts, len(content)] for facts, content in answers]}
        except InputError as error:
            said, answers = {"problems": [asdict(problem) for problem in error.problems]}, []
        except Exception as error:  # whatever it is: it is raised in the parent
            said, answers = {"error": f"{type(error).__name__}: {error}"}, []
        output.write(json.dumps(said).encode() + b"\n")
        for _, content in answers:
            output.write(content)
        output.flush()


def _function(task: str) -> Callable[..., Answer]:
    module, _, name = task.partition(":")
    function: Callable[..., Answer] = getattr(import_module(module), name)
    return function
