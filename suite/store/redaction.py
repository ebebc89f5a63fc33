"""Keeping secrets out of what is printed and stored."""

from __future__ import annotations

import os
import re
from urllib.parse import urlsplit

HIDDEN = "***"

_USER = re.compile(r"(?<=://)[^/\s@'\"]+@")
_QUERY = re.compile(r"(://[^\s'\"?]*)\?[^\s'\"]*")
_KEY_ID = re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b")

# Words in the name of an environment variable that say that its value is secret, as in GITHUB_PAT and MYSQL_PWD.
_SECRET_WORDS = frozenset({
    "BEARER", "CREDENTIAL", "CREDENTIALS", "CREDS", "JWT", "PASSCODE", "PASSPHRASE", "PASSWD", "PASSWORD", "PAT", "PWD",
    "SECRET", "SECRETS", "TOKEN", "TOKENS",
})  # fmt: skip
# Words that may stand for something harmless, too, as in RAY_AUTH_MODE=disabled: the value must look like a secret.
_DOUBTFUL_WORDS = frozenset({
    "APIKEY", "AUTH", "AUTHORIZATION", "COOKIE", "DSN", "KEY", "KEYS", "PASS", "PIN", "PSK", "PW", "SAS", "SIGNATURE",
    "WEBHOOK",
})  # fmt: skip
_WITHIN = re.compile(r"SECRET|TOKEN|PASSW|CREDENTIAL|ACCESS_?KEY|API_?KEY", re.IGNORECASE)  # as in MYTOKEN
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")  # camel case is split, too
_PLACES = ("FILE", "PATH", "DIR", "_URI", "_SOCK", "_HOME")  # endings of variables that say where a secret is
_SHELL = ("PWD", "OLDPWD")  # the folders that a shell was and is in
_SHORTEST = 8  # characters of a variable's value that is taken for a secret: "1" would be found everywhere

# Values that are secrets whatever they are called, by the forms that their makers give them.
_FORMS = re.compile(
    r"""\b(?:
        gh[pousr]_[A-Za-z0-9]{20,255} | github_pat_[A-Za-z0-9_]{20,255} | glpat-[A-Za-z0-9_-]{20,}   # GitHub, GitLab
        | hf_[A-Za-z0-9]{20,} | npm_[A-Za-z0-9]{30,} | pypi-[A-Za-z0-9_-]{32,}                       # registries
        | sk-[A-Za-z0-9_-]{20,} | [rs]k_(?:live|test)_[A-Za-z0-9]{16,}                               # services' keys
        | xox[abeoprs]-[A-Za-z0-9-]{10,} | AIza[0-9A-Za-z_-]{35} | ya29\.[0-9A-Za-z_-]{20,}          # Slack, Google
        | eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*                                 # JSON Web Tokens
    )""",
    re.VERBOSE,
)
_HEADER = re.compile(r"\b(authorization\s*[:=]\s*['\"]?(?:bearer|basic|token)\s+)[^\s'\",;]+", re.IGNORECASE)
_PEM = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL)
# What is assigned in the text: MYSQL_PWD=…, "api_key": "…". Names of other cases are code: `class_token = …`.
_ASSIGNED = re.compile(
    r"""(?P<name>\b(?:[A-Z][A-Z0-9_]{1,60}
            |(?i:password|passwd|passphrase|secret|client_secret|(?:secret|private|access|api)_?key|(?:auth|access)_token)))
        (?P<between>['"]?\s?[=:]\s?['"]?)(?P<value>[^\s'"]{8,})""",
    re.VERBOSE,
)


def scrub(text: str) -> str:
    """A text without what may be a secret, and without halves of surrogate pairs, which no file can hold.

    Secrets are: users and queries of URLs; the values of environment variables whose names say so, such as GITHUB_PAT;
    values that are assigned to such a name in the text itself; and keys and tokens of well-known forms.
    """
    text = text.encode("utf-8", errors="backslashreplace").decode()
    values = {value for name, value in os.environ.items() if _is_secret(name, value)}
    for value in sorted(values, key=len, reverse=True):  # one may be the beginning of another
        text = text.replace(value, HIDDEN)
    text = _QUERY.sub(rf"\1?{HIDDEN}", _USER.sub(f"{HIDDEN}@", _PEM.sub(HIDDEN, text)))
    text = _HEADER.sub(rf"\1{HIDDEN}", _ASSIGNED.sub(_without_value, text))
    return _FORMS.sub(HIDDEN, _KEY_ID.sub(HIDDEN, text))


def has_secret(address: str) -> bool:
    """Whether an address carries a password, a key or a query."""
    parts = urlsplit(address)
    found = _KEY_ID.search(address) or _FORMS.search(address)
    return ":" in parts.netloc.rpartition("@")[0] or "?" in address or found is not None


def _is_secret(name: str, value: str) -> bool:
    """Whether the value of a variable is a secret, by the variable's name and the look of the value."""
    if len(value) < _SHORTEST or name.upper().endswith(_PLACES) or name in _SHELL:
        return False
    words = {word.upper() for word in _WORD.findall(name)}
    if not (words & _SECRET_WORDS or _WITHIN.search(name) or (words & _DOUBTFUL_WORDS and _looks_random(value))):
        return False
    return not (value.startswith(("/", "~", ".")) and os.path.exists(os.path.expanduser(value)))


def _without_value(found: re.Match[str]) -> str:
    if not _is_secret(found["name"], found["value"]) or not _looks_random(found["value"]):
        return found[0]
    return f"{found['name']}{found['between']}{HIDDEN}"


def _looks_random(value: str) -> bool:
    """Whether a value is of several kinds of characters, unlike a word, a number or a path."""
    kinds = sum(bool(re.search(kind, value)) for kind in ("[a-z]", "[A-Z]", "[0-9]"))
    return kinds >= 2 and not value.startswith(("/", "~/", "./", "../", "(", "[", "{", "<"))
