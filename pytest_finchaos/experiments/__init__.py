"""Chaos Toolkit experiments as drills: run in a child process, judged here; files use `actions` and `probes`."""
