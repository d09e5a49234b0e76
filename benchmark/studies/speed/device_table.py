"""What timings on an accelerator say: ratios, shares, bars, and their table; it times nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmark.studies.speed.judge import Bar, Timing
from benchmark.studies.speed.text import VERDICTS
from benchmark.tables.markdown import escape, grid
from benchmark.tables.names import dataset_title, method_title

BARS: Mapping[tuple[str, str], float] = {
    ("M3LA", "fcvid"): 2.0,
    ("M3LA", "msra"): 2.4,
    ("M3LA", "ml2000"): 1.6,
    ("M3LA", "taobao"): 1.6,
    ("DMP", "ml2000"): 1.5,
    ("DMP", "msra"): 4.0,
    ("MCC", "ml2000"): 2.0,
    ("MCC", "msra"): 10.0,
}
"""Most milliseconds of a step of ten networks side by side, by method and shape."""
SPEED_UP = 8.0
"""Least ratio of the plain program's step to that of one network of ours, which is a group's."""
COLUMNS = (
    *("method", "shape", "plain ms", "captured ms", "ten of ours ms", "plain / ours", "launches"),
    *("useful GFLOP/s", "SGEMM GFLOP/s", "share"),
)
TEXT = (
    "Milliseconds of a training step (forward, loss, backward, optimiser), batch 64, single precision, TF32 "
    "off: medians. Plain: one network of the plain PyTorch program (`benchmark/studies/plain`), called, and "
    "captured as a CUDA graph. Ours: ten networks side by side, as every fit on a device runs, one seed's "
    "too; so plain / ours is what one seed gains. Useful operations are those of ten networks "
    "(`benchmark/studies/speed/flops.py`); SGEMM is the card's own rate at 8192 cubed, before and after."
)


@dataclass(frozen=True)
class Device:
    """What times depend on."""

    name: str
    torch: str
    cuda: str


@dataclass(frozen=True)
class DeviceTiming(Timing):
    """One method on one shape; ours is a step of ten networks side by side, the rate that of the card."""

    captured_ms: float
    """Of the plain program as a CUDA graph."""
    launches: float
    """Kernels of a step of ours."""
    first_seconds: float
    """Of ours' first epoch, in which steps are captured."""

    def to_json(self) -> dict[str, Any]:
        """Return what files and `--json` hold."""
        more = ("captured_ms", "launches", "first_seconds")
        return {**super().to_json(), **{name: getattr(self, name) for name in more}}


def device_bars(timings: Sequence[DeviceTiming]) -> list[Bar]:
    """Return the bars that the timed methods and shapes are about."""
    found = []
    for timing in timings:
        judged = not timing.objections
        where = f"{timing.method} on {timing.dataset}"
        if (most := BARS.get((timing.method, timing.dataset))) is not None:
            met = timing.ours_ms <= most if judged else None
            found.append(Bar(f"ms a step of ten networks, {where}, at most {most:g}", timing.ours_ms, met))
        if timing.method == "M3LA":
            met = timing.ratio >= SPEED_UP if judged else None
            found.append(Bar(f"one seed against the plain program, {where}, at least 8", timing.ratio, met))
    return found


def render_device_speed(timings: Sequence[DeviceTiming], device: Device) -> str:
    """Return the table of timings, what does not count, and the bars."""
    parts = [f"# Speed of a training step on {escape(device.name)}", TEXT, grid(_rows(timings), COLUMNS)]
    objections = [f"- {t.method} on {t.dataset}: {why}" for t in timings for why in t.objections]
    if objections:
        parts.append("Does not count:\n\n" + "\n".join(objections))
    if bars := device_bars(timings):
        rows = [[b.text, "–" if b.value is None else f"{b.value:.2f}", VERDICTS[b.met]] for b in bars]
        parts.append(grid(rows, ("bar", "found", "")))
    return "\n\n".join([*parts, f"torch {device.torch}, CUDA {device.cuda}."]) + "\n"


def _rows(timings: Sequence[DeviceTiming]) -> list[list[str]]:
    return [
        [
            method_title(t.method),
            dataset_title(t.dataset),
            f"{t.plain_ms:.1f}",
            f"{t.captured_ms:.2f}",
            f"{t.ours_ms:.2f}",
            f"{t.ratio:.1f}",
            f"{t.launches:.0f}",
            f"{t.useful_gflops:.0f}",
            f"{t.sgemm_before:.0f}, {t.sgemm_after:.0f}",
            f"{t.sgemm_share:.2f}",
        ]
        for t in timings
    ]
