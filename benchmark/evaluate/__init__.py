"""Scores to ten numbers: pure functions of arrays."""
