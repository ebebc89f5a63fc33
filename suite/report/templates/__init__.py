"""The HTML templates (Jinja2). All inserted text is escaped, unless it is a `Markup` object."""

from __future__ import annotations

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup, escape


def template(name: str) -> Template:
    """Load a template from this folder."""
    return _environment().get_template(name)


def asset(name: str) -> str:
    """The text of a style sheet or script in this folder, as it goes into a page."""
    return template(name).render()


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("suite.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["breakable"] = _breakable
    return environment


def _breakable(text: str) -> Markup:
    """The text, which may go on in a new line after each +: names of recipes and sizes are long."""
    return Markup("<wbr>").join(escape(part) for part in text.replace("+", "+\0").split("\0"))
