"""Malformed inputs and signals for the real commands; see `python -m tests.fuzz --help`."""
