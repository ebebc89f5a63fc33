"""The entry point of the command line: all commands, and how their errors end."""

from __future__ import annotations

import codecs
import io
import os
import sys
import traceback

import typer

from suite.cli.declarations import data, grids, models, results, running
from suite.errors import InputError
from suite.text import complain, plain

app = typer.Typer(
    name="lape",
    help="Does a published vision-transformer trick hold up? Paired grids, tables, and a verdict on each claim.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for _part in (grids, running, results, models, data):
    app.add_typer(_part.commands)
app.add_typer(data.data_commands, name="data")

INTERRUPTED = 130
BROKEN_PIPE = 141  # what a shell says of a command whose reader has gone, such as `head`
INTERNAL = 70  # a fault of the suite itself (EX_SOFTWARE); 1 means that a claim is contradicted

# The packages of each extra of pyproject.toml, by the names that they are imported by.
EXTRAS = {
    "train": ("fsspec", "fvcore", "PIL", "safetensors", "sklearn", "timm", "torch", "torchvision"),
    "ray": ("ray",),
    "tensorboard": ("tensorboard",),
    "s3": ("s3fs",),
}


def main() -> None:
    """The entry point of `lape`.

    Exit codes: 0; 1 if a claim is contradicted or `lape run` left trials undone; 2 for bad input, with one message and
    no traceback; 70 for a fault of the suite, with a traceback; 130 after Ctrl-C.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):  # a terminal or a file whose encoding has no ±
        codecs.register_error("lape", plain)
        sys.stdout.reconfigure(errors="lape")
    try:
        try:
            app()
        finally:
            sys.stdout.flush()  # now, where its failure can be told; at exit it would be a traceback
    except InputError as error:
        complain(f"error: {error}")
        sys.exit(2)
    except SystemExit as stop:
        if isinstance(stop.__context__, BrokenPipeError):  # typer and rich exit with 1, which has other meanings here
            sys.exit(BROKEN_PIPE)
        if stop.code == INTERRUPTED:  # typer's answer to Ctrl-C
            complain("stopped; finished trials are stored, and the same command resumes from there")
        raise
    except OSError as error:
        # What is still in the buffer of the output can't be written either, and Python would try at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            sys.exit(BROKEN_PIPE)
        complain(f"error: {_system_error(error)}")
        sys.exit(2)
    except Exception as error:  # whatever it is, Python's own exit code for it is 1
        missing = _missing_package(error)
        if missing is None:
            complain(traceback.format_exc().rstrip())
            sys.exit(INTERNAL)
        complain(f"error: {missing}")
        sys.exit(2)


def _missing_package(error: Exception) -> InputError | None:
    """The message for a package that isn't installed, if an extra would bring it."""
    package = (error.name or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
    for extra, packages in EXTRAS.items():
        if package in packages:
            return InputError(
                f"{package} isn't installed, and this command needs it",
                expected=f"the packages of the extra {extra!r}",
                found=f"no module named {package!r}",
                where=" ".join(["lape", *sys.argv[1:2]]),
                fix=f"run: pip install 'lape-suite[{extra}]' (in a checkout: uv sync --extra {extra})"
                + ("; or run the grid without Ray: --executor serial" if extra == "ray" else ""),
            )
    return None


def _system_error(error: OSError) -> InputError:
    return InputError(
        "the system refused to read or write",
        expected="a file or an output that can be used",
        found=error.strerror or str(error),
        where=str(error.filename or "the output of this command"),
        fix="free space, change permissions or give another place, and run the same command again",
    )
