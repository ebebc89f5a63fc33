"""The command line. It imports what a command needs when the command runs: `lape --help` is at once."""

from suite.cli.main import app, main

__all__ = ["app", "main"]
