"""Timings of training steps as Markdown; it computes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmark.studies.speed.judge import Bar, Timing
from benchmark.tables.markdown import escape, grid
from benchmark.tables.names import dataset_title, method_title

VERDICTS: Mapping[bool | None, str] = {True: "met", False: "NOT MET", None: "not judged"}
COLUMNS = ("method", "shape", "plain ms", "ours ms", "ratio", "useful GFLOP/s", "SGEMM GFLOP/s", "share")
TEXT = (
    "Milliseconds (processor time) of a training step (forward, loss, backward, optimiser), batch 64, one "
    "thread: medians of steps of the plain PyTorch program (`benchmark/studies/plain`) and of the real model "
    "in alternation, a few steps each, on random data. Useful operations are those of "
    "`benchmark/studies/speed/flops.py`; SGEMM is this machine's own rate at 1024 cubed, before and after."
)


def render_speed(
    timings: Sequence[Timing],
    means: Mapping[str, float],
    bars: Sequence[Bar],
    environment: Mapping[str, object],
) -> str:
    """Return the table of timings, what does not count, and the bars."""
    parts = ["# Speed of a training step", TEXT, _table(timings)]
    objections = [f"- {t.method} on {t.dataset}: {why}" for t in timings for why in t.objections]
    if objections:
        parts.append("Does not count:\n\n" + "\n".join(objections))
    parts.append(
        "\n".join(f"- geometric mean of {name}'s ratios: {mean:.2f}" for name, mean in means.items())
    )
    if bars:
        rows = [
            [bar.text, "–" if bar.value is None else f"{bar.value:.2f}", VERDICTS[bar.met]] for bar in bars
        ]
        parts.append(grid(rows, ("bar", "found", "")))
    machine = ", ".join(f"{name} {escape(value)}" for name, value in environment.items())
    return "\n\n".join([*parts, f"Machine: {machine}."]) + "\n"


def _table(timings: Sequence[Timing]) -> str:
    rows = [
        [
            method_title(t.method),
            dataset_title(t.dataset),
            f"{t.plain_ms:.1f}",
            f"{t.ours_ms:.1f}",
            f"{t.ratio:.2f}",
            f"{t.useful_gflops:.0f}",
            f"{t.sgemm_before:.0f}, {t.sgemm_after:.0f}",
            f"{t.sgemm_share:.2f}",
        ]
        for t in timings
    ]
    return grid(rows, COLUMNS)
