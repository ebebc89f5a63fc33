"""Writes the reference pages anew: `python -m documentation`."""

from __future__ import annotations

from documentation.pages import PAGES, REFERENCE

for _name, _make in PAGES.items():
    (REFERENCE / _name).write_text(_make(), encoding="utf-8")
