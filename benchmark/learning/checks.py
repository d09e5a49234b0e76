"""Options that would only fail later, or silently do something else; it knows no method."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmark.contracts import Factor
from benchmark.inputs import quoted

INTEGER, REAL = (int, np.integer), (int, float, np.integer, np.floating)
MOST = 2**31 - 1
"""No count is larger: some libraries below keep it in 32 bits."""
FORMS = ("fast", "reference")
"""Which form of itself a method runs on."""
SMALLEST, LARGEST = math.ulp(0.0), float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Number:
    """The numbers that an option may be; booleans are none."""

    kind: Any
    """`INTEGER` or `REAL`, Python's and numpy's: torch takes fractions and the like for no numbers."""
    low: float
    high: float
    admitted: str

    def refusal(self, name: str, value: Any) -> str:
        """Return what is wrong with a value, or an empty text."""
        if not isinstance(value, self.kind) or isinstance(value, bool):
            kind = "integer" if self.kind is INTEGER else "number"
            return (
                f"{name}={quoted(value)} is no {kind} (it is a {type(value).__name__}); give {self.admitted}"
            )
        # numpy compares in the number's own precision, in which a bound may be infinite.
        number = value.item() if isinstance(value, np.generic) else value
        if not self.low <= number <= self.high:
            return f"{name}={quoted(value)} is out of range; give {self.admitted}"
        return ""


def _integer(least: int) -> Number:
    return Number(INTEGER, least, MOST, f"an integer of at least {least} and at most {MOST}")


POSITIVE = Number(REAL, SMALLEST, LARGEST, "a positive number")
NOT_NEGATIVE = Number(REAL, 0, LARGEST, "a number of at least 0")
SHARE = Number(REAL, 0, 1, "a number in [0, 1]")
NUMBERS: Mapping[str, Number] = {
    **dict.fromkeys(
        ("hidden", "batch_size", "patience", "max_iter", "n_folds", "n_neighbors", "n_steps"), _integer(1)
    ),
    **dict.fromkeys(("epochs", "weight_refresh", "rounds"), _integer(0)),
    **dict.fromkeys(("learning_rate", "clip_norm", "eps", "tol", "budget", "confidence"), POSITIVE),
    **dict.fromkeys(
        (
            "l2",
            "weight_floor",
            "modality_weight",
            "cost_weight",
            "modality_cost",
            "label_cost",
            "regularisation",
            "interaction_penalty",
        ),
        NOT_NEGATIVE,
    ),
    **dict.fromkeys(("rho", "relation_threshold", "relation_significance"), SHARE),
    "decay_rate": Number(REAL, SMALLEST, 1, "a number in (0, 1]"),
    "dropout": Number(REAL, 0, math.nextafter(1, 0), "a number in [0, 1)"),
}
SEQUENCES: Mapping[str, Number] = {
    **dict.fromkeys(("C_grid", "ridge_grid"), POSITIVE),
    **dict.fromkeys(("laplacian_grid", "lasso_grid", "costs"), NOT_NEGATIVE),
}
"""Options that are several numbers."""


def check_options(options: Mapping[str, Any], defaults: Mapping[str, Any], factors: Sequence[Factor]) -> None:
    """Refuse an option that is none of its factor's levels, of another type, or out of its range.

    Parameters
    ----------
    options, defaults : an estimator's parameters, as given and as its constructor has them.
    factors : its `FACTORS`; those whose levels are words or booleans admit nothing else.

    Raises
    ------
    ValueError
        Naming the option, its value and what is admitted.
    """
    levels_of = {factor.name: factor.levels for factor in factors}
    for name, value in options.items():
        levels = (*levels_of.get(name, ()), defaults[name])
        if value is None and any(level is None for level in levels):
            continue
        wrong = ""
        if all(isinstance(level, str) for level in levels) and name in levels_of:
            if not isinstance(value, str) or value not in levels:
                among = ", ".join(map(repr, levels_of[name]))
                wrong = f"{name}={quoted(value)} is not offered; choose one of {among}"
        elif isinstance(defaults[name], bool):
            if not isinstance(value, bool | np.bool_):
                wrong = f"{name}={quoted(value)} is a {type(value).__name__}; give True or False"
        elif isinstance(defaults[name], tuple) or (name in SEQUENCES and not isinstance(defaults[name], str)):
            wrong = _sequence_refusal(name, value)
        elif name in NUMBERS:
            wrong = NUMBERS[name].refusal(name, value)
        elif name == "device":
            wrong = _device_refusal(value)
        elif name == "form" and value not in FORMS:
            wrong = f"form={quoted(value)} is not offered; choose one of {', '.join(map(repr, FORMS))}"
        if wrong:
            raise ValueError(wrong)


def _sequence_refusal(name: str, value: Any) -> str:
    number = SEQUENCES[name]
    what = f"give one or more numbers, each {number.admitted}"
    is_sequence = isinstance(value, Sequence | np.ndarray) and not isinstance(value, str | bytes)
    if not is_sequence or getattr(value, "ndim", 1) != 1 or not len(value):
        return f"{name}={quoted(value)}; {what}"
    wrong = [text for text in (number.refusal(name, item) for item in value) if text]
    return f"{name}={quoted(value)} holds what is no such number ({wrong[0]}); {what}" if wrong else ""


def _device_refusal(value: Any) -> str:
    import torch  # only where a method has the option, as it takes long to load

    if not isinstance(value, str | torch.device):
        return f"device={quoted(value)} is a {type(value).__name__}; give a name such as 'cpu' or 'cuda:0'"
    try:
        torch.empty(0, device=value)
    except Exception as error:  # of many kinds: unknown, not built in, not there
        why = textwrap.shorten(str(error), 200, placeholder="...")
        return f"device={quoted(str(value))} cannot be used here ({why}); give another, such as 'cpu'"
    return ""
