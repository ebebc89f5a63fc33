"""Keeping secrets out of what is printed and stored."""

from __future__ import annotations

import os
import re
from urllib.parse import urlsplit

HIDDEN = "***"

_USER = re.compile(r"(?<=://)[^/\s@'\"]+@")
_QUERY = re.compile(r"(://[^\s'\"?]*)\?[^\s'\"]*")
_KEY_ID = re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b")
_SECRET = re.compile(r"SECRET|TOKEN|PASSW|CREDENTIAL|ACCESS_KEY|API_KEY", re.IGNORECASE)
_PLACES = ("FILE", "PATH", "DIR", "_URI")  # endings of variables that say where a secret is
_SHORTEST = 8  # characters of a variable's value that is taken for a secret: "1" would be found everywhere


def scrub(text: str) -> str:
    """A text without what may be a secret: users and queries of URLs, key ids, and values of such environment
    variables as AWS_SECRET_ACCESS_KEY.
    """
    for name, value in os.environ.items():
        if _SECRET.search(name) and not name.endswith(_PLACES) and len(value) >= _SHORTEST:
            text = text.replace(value, HIDDEN)
    return _KEY_ID.sub(HIDDEN, _QUERY.sub(rf"\1?{HIDDEN}", _USER.sub(f"{HIDDEN}@", text)))


def has_secret(address: str) -> bool:
    """Whether an address carries a password, a key or a query."""
    parts = urlsplit(address)
    return ":" in parts.netloc.rpartition("@")[0] or "?" in address or _KEY_ID.search(address) is not None
