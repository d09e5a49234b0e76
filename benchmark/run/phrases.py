"""Times, seeds and faults in a few words for people; it knows no plan and no record."""

from __future__ import annotations

from collections.abc import Sequence

from benchmark.run.times import Expected
from benchmark.words import one_line

_UNITS = ((3600, "h"), (60, "min"), (1, "s"))


def last_line(text: str) -> str:
    """Return the last line of a traceback: what went wrong."""
    lines = text.strip().splitlines()
    return one_line(lines[-1]) if lines else ""


def duration(seconds: float) -> str:
    """Write a time for people: `0.4 s`, `12 s`, `3 min 20 s`, `2 h 05 min`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def about(expected: Expected) -> str:
    """Write an expected time with its range: `about 18 min (14 to 23)`."""
    size, unit = next((size, unit) for size, unit in _UNITS if expected.most >= 2 * size or size == 1)
    middle, least, most = (
        f"{value:.1f}" if value < 10 else f"{value:.0f}"
        for value in (expected.seconds / size, expected.least / size, expected.most / size)
    )
    return f"about {middle} {unit} ({least} to {most})"


def in_few(seeds: Sequence[int]) -> str:
    """Write seeds in ascending order as `0 to 9` where they leave none out, else one by one."""
    whole = list(range(seeds[0], seeds[-1] + 1)) == list(seeds) and len(seeds) > 1
    return f"{seeds[0]} to {seeds[-1]}" if whole else ", ".join(map(str, seeds))
