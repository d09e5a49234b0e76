"""How often the drift gate raises a false alarm, and the smallest shift that it finds, from real fits.

`python -m benchmark.studies.drift_rates` fits a cheap set of methods with many seeds (kept in `pool.csv`, so
that a second call goes on or only redoes the statistics), draws references and reruns from disjoint parts of
that pool, and writes `rates.csv`, `power.csv` and `drift_rates.md`. It decides nothing that the gate uses.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Mapping
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from benchmark.contracts import Array, DataError
from benchmark.drift.band import ALPHA, paired_bands, refits_needed
from benchmark.drift.judge import EQUAL, TOLERANCE
from benchmark.files import write_csv, write_text
from benchmark.run.flags import whole_number
from benchmark.studies.drift_pool import (
    EPOCHS,
    FRESH,
    POOL,
    SPLITS,
    TEST_ROWS,
    TRAIN_ROWS,
    fill_pool,
    stochastic_methods,
)
from benchmark.words import show_every_character

HERE = Path(__file__).parents[2] / "results" / "drift"
DESIGNS = (len(SPLITS), 2)
"""Splits of a paired decision, with as many refits as it then needs: this study's own, and that of the
references of profile `tiny`."""
POWER = 0.9
LARGEST_SHIFT = 16.0
"""In standard deviations between refits, at least in `TOLERANCE`; what is not found at it is inf."""
MEANING = {
    "CC-random": "CC in random order of labels, scored from 0/1 predictions",
    "M3LA": f"M3LA with {EPOCHS} epoch",
}


def cube(pool: pd.DataFrame) -> tuple[Array, list[tuple[str, str]]]:
    """Return the paired pool as (splits, refits, cells), and the cells' names."""
    names = [spec.id for spec in stochastic_methods() if spec.id in set(pool["method"])]
    part = pool[pool["seed"].isin(SPLITS) & pool["method"].isin(names)]
    by_method = part.pivot(index=["seed", "refit"], columns="method")
    cells = [(method, column) for method in names for column in pool.columns[3:]]
    values = np.stack([by_method[column, method].to_numpy(float) for method, column in cells], axis=1)
    return values.reshape(len(SPLITS), 2 * POOL + FRESH, len(cells)), cells


def alarms(blocks: list[Array]) -> Array:
    """Return for each cell whether the paired band calls it moved; row 0 is current, row 1 the reference."""
    (band,) = paired_bands([blocks])
    distance = np.mean([np.abs(block[0] - block[1]) for block in blocks], axis=0)
    return (band.p_values <= ALPHA) & (distance > TOLERANCE)


def draw(values: Array, n_refits: int, generator: np.random.Generator) -> list[Array]:
    """Draw a reference with refits from the first pool and a rerun from the second, on every split."""
    blocks = []
    for split in values:
        reference = generator.choice(POOL, n_refits + 1, replace=False)
        rerun = POOL + generator.integers(POOL)
        blocks.append(split[[rerun, *reference]])
    return blocks


def paired_rate(values: Array, n_refits: int, n_draws: int) -> int:
    """Return the number of draws in which any cell is called moved."""
    generator = np.random.default_rng(1)
    return sum(bool(alarms(draw(values, n_refits, generator)).any()) for _ in range(n_draws))


def fresh_rate(values: Array, n_refits: int) -> int:
    """Return how many fresh full reruns raise an alarm against one reference, as a stored one would be."""
    reference = values[:, : n_refits + 1]
    reruns = (values[:, 2 * POOL + k] for k in range(FRESH))
    return sum(
        bool(alarms([np.vstack([new, old]) for new, old in zip(rerun, reference, strict=True)]).any())
        for rerun in reruns
    )


def found_shifts(values: Array, cell: int, shift: float, n_refits: int, n_draws: int) -> int:
    """Return in how many draws the gate finds that one cell of the rerun was shifted."""
    generator = np.random.default_rng(3)
    found = 0
    for _ in range(n_draws):
        blocks = draw(values, n_refits, generator)
        for block in blocks:
            block[0, cell] += shift  # a draw is a copy
        found += bool(alarms(blocks)[cell])
    return found


def smallest_shifts(
    values: Array, cells: list[tuple[str, str]], n_refits: int, n_draws: int
) -> list[dict[str, Any]]:
    """Return for each cell the smallest shift of the rerun that at least `POWER` of the draws find."""
    spread = np.sqrt(values[:, : 2 * POOL].var(axis=1, ddof=1).mean(axis=0))
    rows = []
    for c, (method, column) in enumerate(cells):
        metric, _, rule = column.partition(":")
        if rule != "own":
            continue
        unit = max(spread[c], TOLERANCE)
        low, high = 0.0, LARGEST_SHIFT
        for _ in range(8):
            middle = (low + high) / 2
            found = found_shifts(values, c, middle * unit, n_refits, n_draws)
            low, high = (low, middle) if found >= POWER * n_draws else (middle, high)
        shift = inf if high == LARGEST_SHIFT else high * unit
        # Rounding leaves 1e-16 where refits do not vary at all.
        std = spread[c] if spread[c] > EQUAL else 0.0
        in_stds = shift / std if std else inf
        rows.append(
            {
                "method": method,
                "metric": metric,
                "refit_std": std,
                "shift_in_stds": in_stds,
                "shift": shift,
            }
        )
    return rows


def paired_rates(values: Array, n_refits: int, n_draws: int) -> list[dict[str, Any]]:
    """Return the rates of paired decisions, of draws and of fresh reruns."""
    design = f"paired, {len(values)} splits with {n_refits} refits"
    return [
        bounded(design, paired_rate(values, n_refits, n_draws), n_draws),
        bounded(f"{design}, fresh reruns", fresh_rate(values, n_refits), FRESH),
    ]


def bounded(name: str, alarmed: int, decisions: int) -> dict[str, Any]:
    """Return a rate with the upper end of its two-sided 95 % Clopper-Pearson interval."""
    interval = binomtest(alarmed, decisions).proportion_ci(0.95, method="exact")
    return {
        "decision": name,
        "decisions": decisions,
        "false_alarms": alarmed,
        "rate": alarmed / decisions,
        "upper_95": interval.high,
    }


def describe(rates: pd.DataFrame, power: pd.DataFrame, facts: Mapping[str, Any]) -> str:
    """Return the results as Markdown."""
    return "\n".join(
        [
            "# The drift gate's false alarms and power",
            "",
            f"Written by `python -m benchmark.studies.drift_rates`. ML2000 with {TRAIN_ROWS} training and "
            f"{TEST_ROWS} test rows. Paired decisions: some splits, one reference and its refits on each, "
            f"{facts['paired']}, {facts['cells']} cells in one decision; {DESIGNS[-1]} splits are the design "
            "of the references of profile tiny, whose decisions are over more cells and four data sets, so "
            "that they find less of a shift in one cell. On every split references come "
            f"from {POOL} method seeds and reruns from {POOL} others. Draws share the pool's fits, so the "
            f"bound speaks for this pool; fresh reruns are {FRESH} method seeds that no draw uses, against "
            "one stored reference. Upper bound: of the two-sided 95 % Clopper-Pearson interval.",
            "",
            rates.to_markdown(index=False, floatfmt=".4f"),
            "",
            f"Smallest shift of one cell of the rerun that at least {POWER:.0%} of "
            f"{facts['power_draws']} decisions find, in the cell's own units and in standard deviations "
            "between refits of one split (inf: its refits do not vary at all):",
            "",
            power.to_markdown(index=False, floatfmt=".3g"),
            "",
        ]
    )


def main(argv: Iterable[str] | None = None) -> int:
    """Fill the pool, draw, and write the results."""
    show_every_character(sys.stdout, sys.stderr)
    parser = argparse.ArgumentParser(
        prog="python -m benchmark.studies.drift_rates", description=(__doc__ or "").splitlines()[0]
    )
    known = [spec.id for spec in stochastic_methods()]
    parser.add_argument("--methods", nargs="+", choices=known, default=known)
    parser.add_argument("--draws", type=whole_number(), default=4000)
    parser.add_argument("--power-draws", type=whole_number(), default=200)
    parser.add_argument("--out", type=Path, default=HERE)
    given = parser.parse_args(None if argv is None else list(argv))
    try:
        pool = fill_pool(given.out / "pool.csv", given.methods)
    except DataError as error:
        parser.error(str(error))
    values, cells = cube(pool)
    designs = [(values[:n_splits], refits_needed(n_splits)) for n_splits in DESIGNS]
    paired = [row for part, n_refits in designs for row in paired_rates(part, n_refits, given.draws)]
    rates = pd.DataFrame(paired)
    power = pd.DataFrame(
        [
            {"splits": len(part), **row}
            for part, n_refits in designs
            for row in smallest_shifts(part, cells, n_refits, given.power_draws)
        ]
    )
    write_csv(given.out / "rates.csv", rates, "%.6g")
    write_csv(given.out / "power.csv", power, "%.6g")
    facts = {
        "cells": len(cells),
        "power_draws": given.power_draws,
        "paired": " and ".join(dict.fromkeys(MEANING[method] for method, _ in cells)),
    }
    text = describe(rates, power, facts)
    write_text(given.out / "drift_rates.md", text)
    print(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
