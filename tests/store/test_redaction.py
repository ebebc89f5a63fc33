"""Secrets are taken out of texts, and nothing else."""

from __future__ import annotations

import pytest

from suite.store.redaction import has_secret, scrub

SECRET = "/wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("s3://me:pw@bucket/a", "s3://***@bucket/a"),
        ("https://token@host/x?sig=abc&more=1 failed", "https://***@host/x?*** failed"),
        ("'https://host/x?sig=abc', line 3", "'https://host/x?***', line 3"),
        ("key AKIAABCDEFGHIJKLMNOP refused", "key *** refused"),
        ("s3://bucket/prefix", "s3://bucket/prefix"),
        ("is it me@home? yes", "is it me@home? yes"),
        ("", ""),
    ],
)
def test_of_urls(text: str, expected: str) -> None:
    assert scrub(text) == expected


def test_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_SECRET_KEY", SECRET[:20].replace("/", "+"))
    monkeypatch.setenv("SOME_TOKEN", "1")  # would be found everywhere
    monkeypatch.setenv("HARMLESS", "hello world")
    assert scrub(f"a {SECRET[:20].replace('/', '+')} in 1 hello world") == "a *** in 1 hello world"


def test_a_secret_with_a_slash_is_one_and_a_path_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AUTH_TOKEN_FILE", "/home/me/token")
    assert scrub(f"{SECRET} in /home/me/token") == "*** in /home/me/token"


@pytest.mark.parametrize(
    "name",
    ["GITHUB_PAT", "MYSQL_PWD", "PGPASSWORD", "DB_PASSWD", "HF_TOKEN", "MY_API_KEY", "SSHPASS_AUTH",
     "AWS_ACCESS_KEY_ID", "azureClientSecret", "GOOGLE_CREDENTIALS", "SERVICE_KEY", "BASIC_AUTH",
     "VAULT_PASSPHRASE", "WANDB_API_KEY"],
)  # fmt: skip
def test_of_variables_whose_names_say_so(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "xK7value9q")
    assert scrub("login xK7value9q failed") == "login *** failed"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PWD", "/somewhere/that/is/gone"), ("OLDPWD", "/somewhere/else"), ("PATH", "/usr/local/bin"),
        ("PATTERN", "learnable"), ("KEYBOARD", "learnable"), ("RAY_AUTH_MODE", "disabled"), ("SORT_KEY", "learnable"),
        ("SSH_AUTH_SOCK", "/run/agent-1.sock"), ("MY_TOKEN", "default"), ("APP_PWD", "/usr/bin/env"),
        ("SECRET_DIR", "/srv/secret-2"), ("AUTHOR", "Ada Lovelace 1"), ("MONKEY", "Banana123"),
    ],
)  # fmt: skip
def test_ordinary_variables_hide_nothing(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    assert scrub(f"in {value} it failed") == f"in {value} it failed"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("token ghp_" + "a1" * 18 + " refused", "token *** refused"),
        ("github_pat_" + "A1b" * 10, "***"),
        ("with hf_" + "aB" * 17 + ",", "with ***,"),
        ("sk-proj-" + "Ab1" * 12, "***"),
        ("xoxb-123456789012-abcdef", "***"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", "***"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer ***"),
        ("MYSQL_PWD=hunter22x mysql", "MYSQL_PWD=*** mysql"),
        ("{'api_key': 'a1b2c3d4e5'}", "{'api_key': '***'}"),
        ("password: hunter22x", "password: ***"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nrest", "***\nrest"),
    ],
)
def test_of_values_that_look_like_secrets(text: str, expected: str) -> None:
    assert scrub(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "KeyError: 'blocks.0.attn.qkv.weight'",
        "class_token = self.class_token1.expand(len(x), -1, -1)",
        "Missing key(s) in state_dict: 'pos_embed2'. tokens=TokenGrid16",
        "RuntimeError: CUDA error: out of memory; see TORCH_USE_CUDA_DSA",
        "commit 61603d59b15c5fb05894a6c2d897ead6b6b2d358+dirty",
        'File "/srv/suite/train/steps/trainer.py", line 344, in step',
        "PATH=/usr/bin:/bin PWD=/home/me/Project1",
        "password = getpass()",
        "secret = os.environ['X']",
    ],
)
def test_ordinary_text_stays(text: str) -> None:
    assert scrub(text) == text


def test_what_no_file_can_hold_is_written_as_an_escape() -> None:
    """A file's name that isn't UTF-8 stands so in a traceback, and a record must be JSON."""
    assert scrub("no such file: caf\udce9 \ud800") == r"no such file: caf\udce9 \ud800"


@pytest.mark.parametrize(
    ("address", "secret"),
    [
        ("s3://bucket/prefix", False),
        ("sftp://me@host/x", False),
        ("/mnt/shared", False),
        ("s3://key:secret@bucket", True),
        ("https://host/x?sig=1", True),
        ("s3://AKIAABCDEFGHIJKLMNOP@bucket", True),
        ("https://ghp_" + "a1" * 18 + "@host/x", True),
    ],
)
def test_addresses(address: str, secret: bool) -> None:
    assert has_secret(address) == secret
