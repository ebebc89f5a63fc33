"""What the suite itself costs. `nox -s bench` runs all of it; no test depends on these times."""
