"""Benchmarks: each module here has `run(quick: bool) -> dict` with one entry per target of the performance table.

An entry is {"juki": figure, "unit": "us", "peers": {name: figure}, "ratio": juki against the peer that matters,
"versions": {package: version}} and may carry "target", "holds" and "note". `scripts/bench` runs and prints them.
"""
