"""What the suite itself costs, and how often its verdicts are wrong. `nox -s bench` runs all of it; no test depends on
its times.
"""
