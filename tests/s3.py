"""A real S3 server, as a process of its own, and a proxy before it that can have every fault of a network."""

from __future__ import annotations

import http.client
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import fsspec
import pytest

from suite.store import storage

BUCKET = "bucket"
SECRET = "qvXyTz0123456789abcdefSecretKeyOfNobody00"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "AKIAABCDEFGHIJKLMNOP",
    "AWS_SECRET_ACCESS_KEY": SECRET,
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}

_SIGNED = (  # no server of tests looks at signatures
    "AWS4-HMAC-SHA256 Credential=AKIAABCDEFGHIJKLMNOP/20260101/us-east-1/s3/aws4_request,"
    " SignedHeaders=host, Signature=0"
)


@dataclass
class Server:
    """An S3 server behind a faulty proxy. requests: method and path.

    fault: what becomes of requests: 403, 500, 503, hang, drop, or half of what is put; of one method, as in "500 PUT".
    heals_after: so many requests more.
    """

    port: int
    proxy: int
    fault: str = ""
    heals_after: int | None = None
    requests: list[tuple[str, str]] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to use it, by way of the proxy."""
        return {**CREDENTIALS, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.proxy}"}

    def __call__(self, method: str, path: str, body: bytes = b"") -> bytes:
        """A request without the proxy; raises `FileNotFoundError` if there is no such thing."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, {"Authorization": _SIGNED})
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        if answer.status == 404:
            raise FileNotFoundError(path)
        assert answer.status < 300, content
        return content

    def keys(self, bucket: str = BUCKET) -> list[str]:
        """The keys of all objects, sorted."""
        text = self("GET", f"/{bucket}?list-type=2").decode()
        return sorted(part.partition("</Key>")[0] for part in text.split("<Key>")[1:])

    def empty(self) -> None:
        """Remove all objects, and every fault."""
        self.fault, self.heals_after = "", None
        self.requests.clear()
        for key in self.keys():
            self("DELETE", f"/{BUCKET}/{key}")


class Clock:
    """Stands for the module `time` where calls are retried: pauses take no time, but the clock moves on by them."""

    def __init__(self) -> None:
        self.slept = 0.0

    def monotonic(self) -> float:
        """Seconds, those of pauses included."""
        return time.monotonic() + self.slept

    def sleep(self, seconds: float) -> None:
        """Let the clock move on."""
        self.slept += seconds


def use(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """Empty the bucket, and let this process use the server for a test, without real pauses between tries."""
    server.empty()
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    fsspec.get_filesystem_class("s3").clear_instance_cache()  # of another module's server
    monkeypatch.setattr(storage, "time", Clock())
    # s3fs retries by itself, with real pauses of two seconds in all; then we do.
    monkeypatch.setattr(fsspec.get_filesystem_class("s3"), "retries", 2)
    return server


class _Proxy(BaseHTTPRequestHandler):
    server_of: Server
    protocol_version = "HTTP/1.1"

    def _forward(self) -> None:
        server = self.server_of
        body = self._body()
        server.requests.append((self.command, self.path))
        if server.heals_after is not None and len(server.requests) > server.heals_after:
            server.fault = ""
        fault, _, only = server.fault.partition(" ")
        if only and only != self.command:
            fault = ""
        if fault == "hang":
            time.sleep(60)
        if fault in ("hang", "drop"):
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        if fault in _CODES:
            code = _CODES[fault]
            self._answer(int(fault), {}, f"<Error><Code>{code}</Code><Message>at fault</Message></Error>".encode())
            return
        if fault == "half" and self.command == "PUT":
            body = body[: len(body) // 2]
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP_BY_HOP}
        if fault == "half":
            headers = {name: value for name, value in headers.items() if not _is_checksum(name)}
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        try:
            connection.request(self.command, self.path, body, headers)
            answer = connection.getresponse()
            self._answer(answer.status, dict(answer.getheaders()), answer.read())
        finally:
            connection.close()

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _forward  # noqa: N815 -- the names that the base class calls

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response_only(status)
        length = headers.get("Content-Length", str(len(content))) if self.command == "HEAD" else str(len(content))
        for name, value in headers.items():
            if name.lower() not in {*_HOP_BY_HOP, "content-length"}:
                self.send_header(name, value)
        self.send_header("Content-Length", length)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *arguments: Any) -> None:
        """Nothing."""


_CODES = {"403": "AccessDenied", "500": "InternalError", "503": "SlowDown"}
_HOP_BY_HOP = {"connection", "transfer-encoding", "keep-alive", "content-length"}


def _is_checksum(name: str) -> bool:
    return any(part in name.lower() for part in ("checksum", "content-md5", "content-sha256"))


@contextmanager
def s3_server() -> Iterator[Server]:
    """Start both, with one empty bucket."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    proxy = ThreadingHTTPServer(("127.0.0.1", 0), _Proxy)
    proxy.daemon_threads = True
    server = Server(port, proxy.server_address[1])
    proxy.RequestHandlerClass = type("Proxy", (_Proxy,), {"server_of": server})
    thread = threading.Thread(target=proxy.serve_forever, daemon=True)
    thread.start()
    try:
        _wait(process, port)
        server("PUT", f"/{BUCKET}")
        yield server
    finally:
        proxy.shutdown()
        proxy.server_close()
        process.terminate()
        process.wait(20)


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + 300
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert process.poll() is None, "the S3 server has ended"
            assert time.monotonic() < deadline, "waited 300 s for the S3 server to listen, in vain"
            time.sleep(0.05)
        else:
            return
