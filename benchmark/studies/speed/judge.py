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
SHARE_BARS = {("M3LA", "fcvid"): 0.60, ("M3LA", "msra"): 0.60}
"""By method and shape, on any machine."""
AVX2_SHARE_BARS = {
    **{("DMP", name): 0.45 for name in SHAPES},
    **{("MCC", name): 0.33 for name in SHAPES},
}
"""On a machine with AVX2 instructions: AVX-512 products are too fast for what DMP and MCC do beside them."""
MEAN_BARS = {"M3LA": 2.5, "DMP": 2.3, "MCC": 3.2}
SMALLEST_BAR = 1.9
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


def bars(timings: Sequence[Timing], instructions: str = "") -> list[Bar]:
    """Return the bars that the timed methods and shapes are about, on a machine with some instructions."""
    by_key = {(t.method, t.dataset): t for t in timings}
    found = []
    for (method, dataset), bound in (
        SHARE_BARS | (AVX2_SHARE_BARS if instructions == "AVX2" else {})
    ).items():
        if (timing := by_key.get((method, dataset))) is not None:
            met = None if timing.objections else timing.sgemm_share >= bound
            text = f"{method}'s share of the SGEMM rate on {dataset}, at least {bound}"
            found.append(Bar(text, timing.sgemm_share, met))
    for method, mean_bar in MEAN_BARS.items():
        timed = [by_key[method, name] for name in SHAPES if (method, name) in by_key]
        ratios = [t.ratio for t in timed]
        all_count = len(timed) == len(SHAPES) and not any(t.objections for t in timed)
        of_ratios = f"of {method}'s ratios on {len(timed)} of {len(SHAPES)} shapes, at least"
        if ratios:
            mean = geometric_mean(ratios)
            met = mean >= mean_bar if all_count else None
            found.append(Bar(f"geometric mean {of_ratios} {mean_bar}", mean, met))
        if ratios and method == "M3LA":
            met = min(ratios) >= SMALLEST_BAR if all_count else None
            found.append(Bar(f"smallest {of_ratios} {SMALLEST_BAR}", min(ratios), met))
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
