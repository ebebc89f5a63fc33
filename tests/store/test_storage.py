"""Places: a folder, memory, and a real S3 server with the faults of a network."""

from __future__ import annotations

import os
import pickle
import time
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from suite.errors import InputError
from suite.store import storage
from suite.store.storage import Folder, Place, Storage, open_storage
from tests.s3 import BUCKET, CREDENTIALS, SECRET, Server, s3_server, use


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with s3_server() as started:
        yield started


@pytest.fixture
def s3(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    return use(server, monkeypatch)


ADDRESSES = ("folder", "file", "memory", "s3")


def address_of(kind: str, folder: Path, request: pytest.FixtureRequest) -> str:
    if kind == "s3":
        request.getfixturevalue("s3")
    return {
        "folder": str(folder),
        "file": f"file://{folder}",
        "memory": f"memory://{folder}",
        "s3": f"s3://{BUCKET}/a/b",
    }[kind]


@pytest.mark.parametrize("kind", ADDRESSES)
def test_what_is_written_is_read(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    shared = open_storage(address_of(kind, tmp_path / "there", request), "grid")
    shared.check()
    place = shared.place("records", 5.0)
    assert place.names() == []
    assert place.read("a") is None
    place.write("b", b"two")
    place.write("a", b"one")
    place.write("a", b"1")
    assert place.names() == ["a", "b"]
    assert (place.read("a"), place.read("b")) == (b"1", b"two")
    with pytest.raises(InputError, match="can't be read"):
        place.read("b", largest=2)
    place.remove(["a", "none"])
    assert pickle.loads(pickle.dumps(shared)).place("records", 5.0).names() == ["b"]
    assert shared.place("snapshots", 5.0).names() == []


class TestFaults:
    @pytest.mark.parametrize("fault", ["500", "503", "drop"])
    def test_what_passes_is_waited_for(self, s3: Server, fault: str) -> None:
        place = open_storage(f"s3://{BUCKET}/x", "grid").place("records", 60.0)
        s3.fault, s3.heals_after = fault, 7
        place.write("a", b"one")
        assert len(s3.requests) > 7
        assert s3.keys() == ["x/grid/records/a"]

    @pytest.mark.parametrize("fault", ["500", "503", "drop", "hang"])
    def test_what_does_not_pass_is_told_in_time(self, s3: Server, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(storage, "_CALL", 0.5)
        place = open_storage(f"s3://{BUCKET}/x", "grid").place("records", 1.0)
        s3.fault, began = fault, time.monotonic()
        for call in (lambda: place.write("a", b"one"), place.names, lambda: place.read("a")):
            with pytest.raises(InputError, match="the storage can't be") as caught:
                call()
            assert "127.0.0.1" not in str(caught.value)
            assert BUCKET not in str(caught.value)
        assert time.monotonic() - began < 30
        s3.fault = ""
        monkeypatch.undo()
        for name, value in s3.environment.items():
            monkeypatch.setenv(name, value)
        place.write("a", b"one")
        assert place.names() == ["a"]

    def test_what_will_not_pass_is_not_tried_again(self, s3: Server) -> None:
        place = open_storage("s3://nobodys-bucket/x", "grid").place("records", 60.0)
        began = time.monotonic()
        with pytest.raises(InputError, match="make the bucket"):
            place.write("a", b"one")
        assert time.monotonic() - began < 20


class TestBadAddresses:
    @pytest.mark.parametrize(
        ("address", "told"),
        [
            ("nothing://bucket/x", "no storage by the protocol 'nothing'"),
            ("gs://bucket/x", "install gcsfs"),
            ("", "no address of a storage"),
            ("s3://nobodys-bucket/x", "make the bucket or the folder first"),
            ("s3://UPPER_case/x", "can't be used"),
        ],
    )
    def test_each_is_told(self, s3: Server, address: str, told: str) -> None:
        with pytest.raises(InputError) as caught:
            open_storage(address, "grid").check()
        assert told in str(caught.value)
        (problem,) = caught.value.problems
        assert all((problem.what, problem.expected, problem.found, problem.where, problem.fix))
        assert "--storage" in problem.where

    @pytest.mark.parametrize(
        "address",
        [
            "sftp://me:my-password@host/x",
            f"s3://AKIAABCDEFGHIJKLMNOP:{SECRET}@bucket/x",
            f"https://host/x?X-Amz-Signature={SECRET}",
        ],
    )
    def test_credentials_are_refused_and_not_repeated(self, address: str) -> None:
        with pytest.raises(InputError, match="credentials don't belong") as caught:
            open_storage(address, "grid")
        for secret in ("my-password", SECRET, "AKIA"):
            assert secret not in str(caught.value)

    def test_no_permission(self, s3: Server) -> None:
        s3.fault = "403"
        with pytest.raises(InputError, match=r"the storage can't be used[\s\S]*give the credentials"):
            open_storage(f"s3://{BUCKET}/x", "grid").check()
        assert len(s3.requests) == 1

    def test_no_credentials(self, s3: Server, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in CREDENTIALS:
            monkeypatch.delenv(name)
        for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
            monkeypatch.setenv(name, "/nowhere")
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        fsspec.get_filesystem_class("s3").clear_instance_cache()  # those that have credentials
        with pytest.raises(InputError, match="the storage can't be used") as caught:
            open_storage(f"s3://{BUCKET}/x", "grid").check()
        assert "Credentials" in str(caught.value)
        fsspec.get_filesystem_class("s3").clear_instance_cache()

    def test_a_file_in_the_way(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        for place in ("file", "file/below"):
            with pytest.raises(InputError, match="file is a file"):
                open_storage(str(tmp_path / place), "grid").check()

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
    def test_a_folder_that_is_not_ours(self, tmp_path: Path) -> None:
        (tmp_path / "closed").mkdir(mode=0o500)
        with pytest.raises(InputError, match="can't write"):
            open_storage(str(tmp_path / "closed"), "grid").check()


def test_a_relative_folder_is_the_drivers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert open_storage("there", "grid").place("records", 1.0) == Folder(tmp_path / "there" / "grid" / "records")


def test_an_address_is_not_shown() -> None:
    assert "host" not in repr(Storage("sftp://host/x", "grid"))


def test_a_place_is_a_place(tmp_path: Path) -> None:
    place: Place = Folder(tmp_path)
    assert place.names() == []
