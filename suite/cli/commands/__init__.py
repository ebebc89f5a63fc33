"""The implementations of the commands that `suite.cli.declarations` declares."""
