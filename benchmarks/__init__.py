"""Benchmarks of the suite's own overhead, and simulations of its verdicts' error rates.

`nox -s bench` runs all of them. No test depends on the measured times.
"""
