"""The command line. It imports what a command needs when the command runs: `lape --help` is at once."""

try:
    from suite.cli.main import app, main
except KeyboardInterrupt:  # Ctrl-C before `main` can handle it. Nothing has begun, so that there is nothing to say
    raise SystemExit(130) from None

__all__ = ["app", "main"]
