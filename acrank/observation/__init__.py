"""Observation: the passes over a draw. Everything here loads torch, so nothing is imported ahead of its use."""
