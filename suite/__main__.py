"""`python -m suite` is `lape`."""

from suite.cli import main

main()
