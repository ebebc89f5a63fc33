"""What the commands of `suite.cli` do."""
