"""The entry point of the command line: registers all commands, and turns errors into messages and exit codes."""

from __future__ import annotations

import codecs
import io
import os
import sys
import traceback

import typer

from suite.cli.declarations import data, grids, models, results, running, trying
from suite.cli.extras import EXTRAS
from suite.errors import InputError
from suite.text import complain, plain, say

app = typer.Typer(
    name="lape",
    help="Does a published vision-transformer trick hold up? Paired grids, tables, and a verdict on each claim.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for _part in (grids, running, trying, results, models, data):
    app.add_typer(_part.commands)
app.add_typer(data.data_commands, name="data")

INTERRUPTED = 130
BROKEN_PIPE = 141  # a shell's exit code for a command whose reader, such as `head`, has closed the pipe
INTERNAL = 70  # a bug in the suite (EX_SOFTWARE); not 1, which means that a claim is contradicted

# What is true of commands that were stopped, by the command; those that store nothing aren't named.
_RESUMES = "finished trials are stored, and the same command resumes from there"
_PREPARES = "what was prepared before is unchanged, and the same command prepares the rest"
_KEPT = {
    "run": _RESUMES,
    "try": _RESUMES,
    "rerun": "nothing was stored",
    "data prepare": _PREPARES,
    "data teacher": _PREPARES,
    "data backbone": _PREPARES,
    "tables": "the results are unchanged, and the same command writes all tables",
    "report": "the results are unchanged, and the same command writes the whole report",
    "merge": "the sources are unchanged, and the same command merges the rest",
}

# The commands whose --json prints JSON on standard output; `lape bench --json FILE` writes a file.
FOR_PROGRAMS = ("check", "cost", "doctor", "plan", "run", "status", "tables", "try", "verify")


def main() -> None:
    """The entry point of `lape`.

    Exit codes:
        0: success.
        1: a claim is contradicted, or `lape run` left trials undone.
        2: bad input, with one message and no traceback.
        70: a bug in the suite, with a traceback.
        130: Ctrl-C.
        141: the reader of the output has closed the pipe.
    """
    _replace_closed_streams()
    if isinstance(sys.stdout, io.TextIOWrapper):  # the encoding of the terminal or file may lack characters such as ±
        codecs.register_error("lape", plain)
        sys.stdout.reconfigure(errors="lape")
    try:
        try:
            app()
        finally:
            sys.stdout.flush()  # an error is caught here; at interpreter exit it would print a traceback
    except InputError as error:
        _complain(error)
        sys.exit(2)
    except SystemExit as stop:
        if isinstance(stop.__context__, BrokenPipeError):  # typer and rich exit with 1, which has another meaning here
            sys.exit(BROKEN_PIPE)
        if stop.code == INTERRUPTED:  # typer's exit code after Ctrl-C
            complain(_stopped())
        elif (ended := _ended_by_method(stop)) is not None:
            _complain(ended)
            sys.exit(2)
        raise
    except KeyboardInterrupt:  # before typer handles it: while it builds the commands
        complain(_stopped())
        sys.exit(INTERRUPTED)
    except OSError as error:
        # The output's buffer can't be written either. Python would try at exit, so redirect it to the null device.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            sys.exit(BROKEN_PIPE)
        _complain(_system_error(error), readable=False)
        sys.exit(2)
    except Exception as error:  # any other error: Python's own exit code 1 would mean a contradicted claim
        missing = _missing_package(error)
        if missing is None:
            complain(traceback.format_exc().rstrip())
            sys.exit(INTERNAL)
        _complain(missing)
        sys.exit(2)


def _stopped() -> str:
    """What is said after Ctrl-C: what the command has kept, and what the same command does then."""
    words = sys.argv[1:3]
    kept = _KEPT.get(" ".join(words)) or _KEPT.get("".join(words[:1]))
    return f"stopped; {kept}" if kept else "stopped"


def _replace_closed_streams() -> None:
    """Put the null device where the caller has closed a stream.

    Otherwise Python has None for it, and the next file that is opened gets its number, which libraries write to.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 (until the process ends)


def _complain(error: InputError, *, readable: bool = True) -> None:
    """Print an error: in words on standard error, and for a command with --json as JSON on standard output too.

    readable: whether standard output can be written.
    """
    complain(f"error: {error}")
    if readable and sys.argv[1:2] and sys.argv[1] in FOR_PROGRAMS and "--json" in sys.argv:
        from suite.cli.answers.answer import error_line

        say(error_line(error))


def _ended_by_method(stop: SystemExit) -> InputError | None:
    """Return the error message for a method from outside the package that ended the program; None for any other end."""
    methods = sys.modules.get("suite.grid.methods")  # without it none is loaded, and importing it takes time
    if methods is None:
        return None
    places = [
        f"{frame.f_code.co_filename}:{line}"
        for frame, line in traceback.walk_tb(stop.__traceback__)
        if methods.is_outside(frame.f_globals.get("__name__") or "")
    ]
    if not places:
        return None
    return InputError(
        "a method that ends the program",
        expected="a method that returns, or raises an error",
        found=f"SystemExit: {stop.code}",
        where=places[-1],
        fix="take the call of `sys.exit` or `exit` out of it",
    )


def _missing_package(error: Exception) -> InputError | None:
    """Return the error message for a missing package that belongs to an extra; None for any other error."""
    package = (error.name or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
    for extra, packages in EXTRAS.items():
        if extra == "figures" and sys.argv[1:2] in (["run"], ["rerun"]):
            extra = "train"  # which has those packages too
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
