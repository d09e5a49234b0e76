"""What timings of training steps say: ratios, shares of the machine's rate, and bars; it times nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import geometric_mean
from typing import Any

LARGEST_MOVE = 0.10
"""Relative change of the machine's rate during a measurement above which it does not count."""
FEWEST_STEPS = 30
SHAPES = ("fcvid", "msra", "ml2000", "taobao")
"""Data sets whose shapes the bars are about."""
SHARE_BARS = {"fcvid": 0.60, "msra": 0.60}
MEAN_BAR, SMALLEST_BAR = 2.5, 1.9
MCC_BAR = 4.0


@dataclass(frozen=True)
class Timing:
    """One method on one shape: medians of steps taken in alternation."""

    method: str
    dataset: str
    steps: int
    plain_ms: float
    ours_ms: float
    useful_gflop: float
    """10^9 operations that a step needs."""
    sgemm_before: float
    """GFLOP/s of a product of two 1024 x 1024 matrices before the steps; `sgemm_after`: after them."""
    sgemm_after: float

    @property
    def ratio(self) -> float:
        """How many times faster ours is."""
        return self.plain_ms / self.ours_ms

    @property
    def useful_gflops(self) -> float:
        """GFLOP/s of our step."""
        return self.useful_gflop / self.ours_ms * 1000

    @property
    def sgemm_gflops(self) -> float:
        """The machine's rate while the steps were timed."""
        return (self.sgemm_before + self.sgemm_after) / 2

    @property
    def sgemm_share(self) -> float:
        """Our rate as a share of the machine's."""
        return self.useful_gflops / self.sgemm_gflops

    @property
    def move(self) -> float:
        """Relative change of the machine's rate."""
        return self.sgemm_after / self.sgemm_before - 1

    @property
    def objections(self) -> tuple[str, ...]:
        """Why this measurement does not count; empty where it does."""
        found = []
        if abs(self.move) > LARGEST_MOVE:
            found.append(
                f"the SGEMM rate moved by {self.move:+.0%} ({self.sgemm_before:.0f} to "
                f"{self.sgemm_after:.0f} GFLOP/s), more than {LARGEST_MOVE:.0%}: the machine is not quiet"
            )
        if self.steps < FEWEST_STEPS:
            found.append(f"{self.steps} steps were timed, fewer than {FEWEST_STEPS}")
        return tuple(found)

    def to_json(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        measured = ("method", "dataset", "plain_ms", "ours_ms", "ratio", "useful_gflops", "sgemm_gflops")
        behind = ("useful_gflop", "sgemm_before", "sgemm_after", "steps")
        return {
            **{name: getattr(self, name) for name in measured},
            "share": self.sgemm_share,
            **{name: getattr(self, name) for name in behind},
            "counts": not self.objections,
            "objections": list(self.objections),
        }


@dataclass(frozen=True)
class Bar:
    """A number, and whether it is where it should be; None where that cannot be said."""

    text: str
    value: float | None
    met: bool | None


def bars(timings: Sequence[Timing]) -> list[Bar]:
    """Return the bars that the timed methods and shapes are about."""
    by_key = {(t.method, t.dataset): t for t in timings}
    found = []
    m3la = [by_key["M3LA", name] for name in SHAPES if ("M3LA", name) in by_key]
    for dataset, bound in SHARE_BARS.items():
        timing = by_key.get(("M3LA", dataset))
        if timing is not None:
            met = None if timing.objections else timing.sgemm_share >= bound
            found.append(
                Bar(f"M3LA's share of the SGEMM rate on {dataset}, at least {bound}", timing.sgemm_share, met)
            )
    if m3la:
        ratios = [t.ratio for t in m3la]
        all_count = len(m3la) == len(SHAPES) and not any(t.objections for t in m3la)
        for name, value, bound in (
            ("geometric mean", geometric_mean(ratios), MEAN_BAR),
            ("smallest", min(ratios), SMALLEST_BAR),
        ):
            text = f"{name} of M3LA's ratios on {len(m3la)} of {len(SHAPES)} shapes, at least {bound}"
            found.append(Bar(text, value, value >= bound if all_count else None))
    mcc, plain = by_key.get(("MCC", "msra")), by_key.get(("M3LA", "msra"))
    if mcc is not None and plain is not None:
        value = mcc.ours_ms / plain.plain_ms
        met = None if mcc.objections or plain.objections else value <= MCC_BAR
        text = f"an epoch of MCC over one of the plain M3LA on the same rows of msra, at most {MCC_BAR:g}"
        found.append(Bar(text, value, met))
    return found


def mean_ratios(timings: Sequence[Timing]) -> dict[str, float]:
    """Return the geometric mean of each method's ratios over the shapes that were timed."""
    methods = dict.fromkeys(t.method for t in timings)
    return {name: geometric_mean([t.ratio for t in timings if t.method == name]) for name in methods}
