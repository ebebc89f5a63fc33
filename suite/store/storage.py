"""Storage for what must outlive a worker: a folder, or a shared address such as s3://bucket/prefix.

A place holds objects by name. In a folder an object is complete or absent. Other storage may not rename atomically, so
readers of an object check that it is complete. Credentials come from the environment of each process, never from the
address. No message of a worker names the address, since it may end up in a log.
"""

from __future__ import annotations

import random
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

from suite.errors import InputError, first_line
from suite.store.files import make_folder, read_regular, resolved, write_atomic
from suite.store.homes import expanded
from suite.store.redaction import has_secret, scrub

T = TypeVar("T")

LARGEST = 32 * 2**30  # bytes of an object that is read
_SLOWEST = 2**20  # bytes per second: what is slower hangs
_CALL = 30.0  # seconds of a call, and those of its bytes
_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 15.0  # seconds between tries
_EXTRAS = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "abfs": "adlfs", "az": "adlfs"}
_FLAT = {*_EXTRAS, "memory"}  # protocols whose folders are mere names
_FINAL = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError, ImportError, ValueError)


class Place(Protocol):
    """Objects by name. Each method raises `InputError` if the place can't be used."""

    def names(self) -> list[str]:
        """The names of all objects, sorted."""

    def read(self, name: str, largest: int = LARGEST) -> bytes | None:
        """An object's bytes; None if there is none. largest: more bytes than this are refused."""

    def write(self, name: str, content: bytes) -> None:
        """Keep an object, in place of one of the same name."""

    def remove(self, names: Iterable[str]) -> None:
        """Remove objects; those that are gone already don't matter."""


@dataclass(frozen=True)
class Folder:
    """A folder of this machine, or one that all machines mount. It is made with its first object."""

    path: Path

    def names(self) -> list[str]:
        """The names of all files, sorted; those that are being written aren't among them."""
        try:
            return sorted(path.name for path in self.path.iterdir() if not path.name.startswith("."))
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise _failed("can't be read", error) from None

    def read(self, name: str, largest: int = LARGEST) -> bytes | None:
        """See `Place`."""
        return read_regular(self.path / name, largest)

    def write(self, name: str, content: bytes) -> None:
        """See `Place`."""
        write_atomic(self.path / name, content)

    def remove(self, names: Iterable[str]) -> None:
        """See `Place`."""
        try:
            for name in names:
                (self.path / name).unlink(missing_ok=True)
        except OSError as error:
            raise _failed("can't be written", error) from None


class _Remote:
    """Objects below an address, by fsspec. Transient errors are retried for up to `patience` seconds."""

    def __init__(self, address: str, patience: float) -> None:
        self._files, self._root = _open(address)
        self._patience = patience
        self._flat = address.partition("://")[0] in _FLAT

    def names(self) -> list[str]:
        def listed() -> list[str]:
            self._files.invalidate_cache()
            try:
                found = self._files.ls(self._root, detail=False)
            except FileNotFoundError:
                return []
            return sorted({name for path in found if (name := path.rstrip("/").rpartition("/")[2])})

        with _told("can't be read"):
            return _persistent(listed, self._patience)

    def read(self, name: str, largest: int = LARGEST) -> bytes | None:
        def content() -> bytes | None:
            self._files.invalidate_cache()
            try:
                size = self._files.info(self._path(name)).get("size") or 0
                if size > largest:
                    raise ValueError(f"an object of {size:,} bytes")
                data: bytes = self._files.cat_file(self._path(name))
            except FileNotFoundError:
                return None
            return data

        with _told("can't be read"):
            return _persistent(content, self._patience)

    def write(self, name: str, content: bytes) -> None:
        def put() -> None:
            if not self._flat:
                self._files.makedirs(self._root, exist_ok=True)
            self._files.pipe_file(self._path(name), content)

        with _told("can't be written"):
            _persistent(put, self._patience, len(content))

    def remove(self, names: Iterable[str]) -> None:
        def gone(name: str) -> None:
            try:
                self._files.rm_file(self._path(name))
            except FileNotFoundError:
                return

        with _told("can't be written"):
            for name in names:
                _persistent(lambda name=name: gone(name), self._patience)  # type: ignore[misc]

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"


@dataclass(frozen=True)
class Storage:
    """A shared address below which the workers of a grid keep what must outlive them. Picklable."""

    address: str = field(repr=False)
    name: str  # of the grid

    def place(self, kind: str, patience: float) -> Place:
        """The objects of a kind. patience: seconds for which transient errors are retried."""
        if (folder := _local(self.address)) is not None:
            return Folder(folder / self.name / kind)
        return _Remote("/".join((self.address.rstrip("/"), self.name, kind)), patience)

    def is_folder(self, folder: Path) -> bool:
        """Whether the grid's objects are in this very folder."""
        found = _local(self.address)
        return found is not None and resolved(found / self.name) == resolved(folder)

    def check(self) -> None:
        """Write, read and remove a small object.

        Raises:
            InputError: the address can't be used: it says why, without credentials.
        """
        name, content = f"probe-{secrets.token_hex(8)}", secrets.token_bytes(64)
        if (folder := _local(self.address)) is not None:
            make_folder(folder / self.name)
        try:
            place = self.place("records", patience=10.0)
            place.write(name, content)
            found = place.read(name)
            place.remove([name])
        except InputError as error:
            first = error.problems[0]
            raise InputError(
                "the storage can't be used",
                expected="an address where objects can be written, read and removed",
                found=first.found,
                where=f"--storage {scrub(self.address)}",
                fix=first.fix,
            ) from None
        if found != content:
            raise InputError(
                "the storage doesn't give back what was written to it",
                expected=f"{len(content)} bytes, as they were written",
                found="nothing" if found is None else f"{len(found)} other bytes",
                where=f"--storage {scrub(self.address)}",
                fix="take another address: this one may be a cache",
            )


def open_storage(address: str, name: str) -> Storage:
    """The storage of a grid at an address: a folder (made absolute here), or one that fsspec knows.

    Raises:
        InputError: the address is none, holds credentials, or nothing that is installed serves its protocol.
    """
    if not address.strip() or has_secret(address):
        raise InputError(
            "no address of a storage" if not address.strip() else "credentials don't belong in an address",
            expected="a folder, or an address such as s3://bucket/prefix, without password, key or query",
            found="credentials, which aren't repeated here" if address.strip() else repr(address),
            where="--storage",
            fix="give credentials to each process by its environment: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
            "a role of the machine, or FSSPEC_PROTOCOL_OPTION, as fsspec's documentation says",
        )
    if (folder := _local(address)) is not None:
        return Storage(str(folder), name)
    try:
        _open(address)
    except InputError as error:
        raise error.at(f"--storage {scrub(address)}") from None
    return Storage(address, name)


def _local(address: str) -> Path | None:
    """The folder that an address means; None if it is elsewhere."""
    protocol, separator, path = address.partition("://")
    if separator and protocol not in ("file", "local"):
        return None
    return resolved(expanded(Path(path if separator else address)))


def _open(address: str) -> tuple[Any, str]:
    """Fsspec's file system of an address, and the path in it.

    Raises:
        InputError: there is no such protocol, or its package isn't installed.
    """
    import fsspec  # here: a grid without a storage needs none
    from fsspec.registry import known_implementations

    protocol = address.partition("://")[0]
    options: dict[str, Any] = {}
    if protocol in ("s3", "s3a") and "config_kwargs" not in fsspec.config.conf.get(protocol, {}):
        # botocore's own tries would add up to minutes in each of ours.
        options["config_kwargs"] = {"connect_timeout": 10, "read_timeout": 20, "retries": {"max_attempts": 1}}
    try:
        files, path = fsspec.url_to_fs(address, **options)
    except (ImportError, ValueError) as error:
        package = _EXTRAS.get(protocol)
        known = protocol in known_implementations
        raise InputError(
            f"no storage by the protocol {protocol!r}" + (": its package isn't installed" if known else ""),
            expected="a folder, or a protocol that fsspec knows, such as s3, gs, abfs or sftp",
            found=scrub(first_line(error)),
            fix=f"install {package}" + (", or this package's extra s3" if package == "s3fs" else "")
            if package
            else "install the package that it names"
            if known
            else "compare the address with fsspec's list of protocols",
        ) from None
    except Exception as error:  # of a driver: no such host, no credentials
        raise _failed("can't be opened", error) from None
    return files, path.rstrip("/")


def _persistent(call: Callable[[], T], patience: float, size: int = 0) -> T:
    """Call; if that fails with a transient error, or hangs, retry after growing pauses for up to `patience` seconds."""
    began, pause = time.monotonic(), _FIRST_PAUSE
    while True:
        try:
            return _within(_CALL + size / _SLOWEST, call)
        except _FINAL:
            raise
        except Exception:
            if abs(time.monotonic() - began) + pause > patience:
                raise
        # Not all workers at once; and by a generator of our own, since training runs draw from the others.
        time.sleep(pause * random.SystemRandom().uniform(0.5, 1.5))
        pause = min(2 * pause, _LONGEST_PAUSE)


def _within(seconds: float, call: Callable[[], T]) -> T:
    """What a call returns or raises. A call that hangs is abandoned in a thread that ends with the process."""
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(call())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True, name="storage")
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not results:
        raise TimeoutError(f"no answer in {seconds:.0f} s")
    return results[0]


@contextmanager
def _told(what: str) -> Iterator[None]:
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        raise _failed(what, error) from None


def _failed(what: str, error: Exception) -> InputError:
    fix = (
        "look at the address, at the network and at the credentials in the environment, and run the same command again"
    )
    if isinstance(error, FileNotFoundError):
        fix = "make the bucket or the folder first, or correct the address"
    elif isinstance(error, PermissionError):
        fix = "give the credentials in the environment the right to read, write, list and delete there"
    # Of what drivers say only the first line, without addresses: it may end in a log.
    reason = scrub(first_line(error))
    return InputError(
        f"the storage {what}",
        expected="a place that answers",
        found=_without_addresses(f"{type(error).__name__}: {reason}" if reason != type(error).__name__ else reason),
        where="--storage",
        fix=fix,
    )


def _without_addresses(text: str) -> str:
    return " ".join("an address" if "://" in word else word for word in text.split(" "))
