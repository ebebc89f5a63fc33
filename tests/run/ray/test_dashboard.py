"""Ray's dashboard: on loopback, and closed to whoever has no token. For real, in a process of its own."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from suite.errors import InputError
from suite.run.ray.dashboard import check_dashboard, secure_token, tell_dashboard
from tests.conftest import GRID, REPOSITORY

PROBE = r"""
import json, re, sys, urllib.error, urllib.request
from pathlib import Path
from suite.run.ray.cluster import connect
import ray

def status(url, token=None, body=None):
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    if body is not None:
        headers["Content-Type"] = "application/json"
    request = urllib.request.Request(url, data=body, headers=headers)
    try:
        return urllib.request.urlopen(request, timeout=30).status
    except urllib.error.HTTPError as error:
        return error.code

def listening(port):
    found = []
    for name in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]:
            address, state = line.split()[1], line.split()[3]
            host, hexadecimal = address.split(":")
            if state == "0A" and int(hexadecimal, 16) == port:
                found.append(host)
    return found

connect(None, dashboard=True)
url = re.search(r"http://\S+?(?=;)", Path(sys.argv[1]).read_text()).group()
token = Path.home().joinpath(".ray/auth_token").read_text()
job = json.dumps({"entrypoint": "touch " + sys.argv[2]}).encode()
print(json.dumps({
    "url": url,
    "none": status(url + "/api/jobs/"), "wrong": status(url + "/api/jobs/", "0" * 64),
    "right": status(url + "/api/jobs/", token),
    "job_none": status(url + "/api/jobs/", body=job), "job_wrong": status(url + "/api/jobs/", "0" * 64, job),
    "listening": listening(int(url.rpartition(":")[2])),
    "token": token,
}))
ray.shutdown()
"""


@pytest.mark.ray
@pytest.mark.slow
def test_it_is_on_loopback_and_refuses_whoever_has_no_token(tmp_path: Path) -> None:
    home, said, harm = tmp_path / "home", tmp_path / "stderr", tmp_path / "harm"
    home.mkdir()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    with said.open("w") as file:
        done = subprocess.run(
            [sys.executable, "-c", PROBE, str(said), str(harm)],
            stdout=subprocess.PIPE, stderr=file, text=True, timeout=240, cwd=REPOSITORY,
            env={**environment, "HOME": str(home)},
        )  # fmt: skip
    assert done.returncode == 0, said.read_text()
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["url"].startswith("http://127.0.0.1:")
    assert (found["none"], found["wrong"], found["right"]) == (401, 403, 200)
    assert (found["job_none"], found["job_wrong"]) == (401, 403)
    assert not harm.exists()
    assert found["listening"] == ["0100007F"]  # 127.0.0.1, and nothing else
    file = home / ".ray" / "auth_token"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    told = said.read_text()
    assert str(file) in told
    assert found["token"] not in told


def test_a_token_is_its_owners(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    secure_token()
    file = tmp_path / ".ray" / "auth_token"
    token = file.read_text()
    assert len(token) == 64
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.chmod(0o644)
    secure_token()
    assert (file.read_text(), stat.S_IMODE(file.stat().st_mode)) == (token, 0o600)
    other = tmp_path / "other" / "token"
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(other))
    secure_token()
    assert other.read_text() != token
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "file" / "token"))
    with pytest.raises(InputError, match="can't be kept"):
        secure_token()
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    secure_token()  # nothing to keep


def test_the_token_itself_is_never_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "secret")
    tell_dashboard("127.0.0.1:8265")
    told = capsys.readouterr().err
    assert "RAY_AUTH_TOKEN" in told
    assert "secret" not in told


def test_none_without_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    with pytest.raises(InputError, match="run code as you"):
        check_dashboard()


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    monkeypatch.setattr("suite.run.ray.dashboard._NEEDS", ("aiohttp", "no_such_module"))
    with pytest.raises(InputError, match="extra `ray`"):
        check_dashboard()


@pytest.mark.parametrize("more", [["--address", "auto"], ["--executor", "serial"]])
def test_it_belongs_to_a_cluster_of_our_own(tmp_path: Path, data_folder: Path, more: list[str]) -> None:
    (tmp_path / "small.yaml").write_text(GRID)
    command = [sys.executable, "-m", "suite", "run", "small.yaml", "--dashboard", "--data", str(data_folder), *more]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=120)
    assert done.returncode == 2
    assert "a dashboard of a cluster" in done.stderr
