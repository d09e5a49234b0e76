"""Scores become ten numbers: pure functions of arrays."""
