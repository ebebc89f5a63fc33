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
    ("address", "secret"),
    [
        ("s3://bucket/prefix", False),
        ("sftp://me@host/x", False),
        ("/mnt/shared", False),
        ("s3://key:secret@bucket", True),
        ("https://host/x?sig=1", True),
        ("s3://AKIAABCDEFGHIJKLMNOP@bucket", True),
    ],
)
def test_addresses(address: str, secret: bool) -> None:
    assert has_secret(address) == secret
