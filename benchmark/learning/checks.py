"""Options of a trained method that would only fail later, or silently train nothing; it knows no method."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from benchmark.contracts import Factor

RANGES: Mapping[str, tuple[float, float, str]] = {
    "hidden": (1, math.inf, "an integer of at least 1"),
    "batch_size": (1, math.inf, "an integer of at least 1"),
    "epochs": (0, math.inf, "an integer of at least 0"),
    "patience": (1, math.inf, "an integer of at least 1"),
    "learning_rate": (math.ulp(0.0), math.inf, "a positive number"),
    "decay_rate": (math.ulp(0.0), 1, "a number in (0, 1]"),
    "l2": (0, math.inf, "a number of at least 0"),
    "dropout": (0, math.nextafter(1, 0), "a number in [0, 1)"),
    "clip_norm": (math.ulp(0.0), math.inf, "a positive number, or None"),
    "weight_floor": (0, math.inf, "a number of at least 0"),
    "weight_refresh": (0, math.inf, "an integer of at least 0"),
}


def check_options(options: Mapping[str, Any], factors: Sequence[Factor]) -> None:
    """Refuse an option that is none of its factor's levels, or a number out of its range.

    Parameters
    ----------
    options : an estimator's parameters.
    factors : its `FACTORS`; those whose levels are words admit nothing else.

    Raises
    ------
    ValueError
        Naming the option, its value and what is admitted.
    """
    for factor in factors:
        value = options[factor.name]
        if all(isinstance(level, str) for level in factor.levels) and value not in factor.levels:
            levels = ", ".join(map(repr, factor.levels))
            raise ValueError(f"{factor.name}={value!r} is not offered; choose one of {levels}")
    for name, (low, high, admitted) in RANGES.items():
        value = options.get(name)
        if value is not None and not (isinstance(value, int | float) and low <= value <= high):
            raise ValueError(f"{name}={value!r} is out of range; give {admitted}")
