"""Collects the choices that papers leave open from the methods' own `FACTORS`; it knows no method by name."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from benchmark.contracts import Factor, MethodSpec


@dataclass(frozen=True)
class OpenChoices:
    """The factors of one estimator, and the rows of the tables that are made with it."""

    estimator: str
    factors: tuple[Factor, ...]
    defaults: Mapping[str, Any]
    """Of all parameters."""
    methods: tuple[MethodSpec, ...]


def collect_factors(methods: Iterable[MethodSpec]) -> tuple[OpenChoices, ...]:
    """Group methods by estimator, in the order in which they come.

    Raises
    ------
    TypeError
        If an estimator declares no `FACTORS` (it may declare an empty tuple).
    """
    by_estimator: dict[type, list[MethodSpec]] = {}
    for spec in methods:
        if not hasattr(spec.estimator, "FACTORS"):
            raise TypeError(
                f"{spec.estimator.__qualname__} of {spec.id!r} declares no FACTORS; see contracts.py"
            )
        by_estimator.setdefault(spec.estimator, []).append(spec)
    return tuple(
        OpenChoices(
            estimator.__name__,
            specs[0].factors,
            estimator().get_params(deep=False),
            tuple(specs),
        )
        for estimator, specs in by_estimator.items()
    )


def describe_factors(choices: Iterable[OpenChoices], width: int = 100) -> str:
    """Write every factor with its levels, the default marked `*`, its source, and the rows that deviate."""
    blocks = []
    for choice in choices:
        rows = ", ".join(spec.id for spec in choice.methods)
        lines = [f"{choice.estimator} (rows {rows}): {len(choice.factors)} factors"]
        for factor in choice.factors:
            default = choice.defaults[factor.name]
            levels = ", ".join(f"{level}*" if level == default else f"{level}" for level in factor.levels)
            lines.append(f"  {factor.name}: {levels}")
            lines += textwrap.wrap(factor.source, width, initial_indent="      ", subsequent_indent="      ")
            deviating = [
                f"{spec.id} {spec.options[factor.name]}"
                for spec in choice.methods
                if spec.options.get(factor.name, default) != default
            ]
            if deviating:
                lines.append(f"      other than the default: {', '.join(deviating)}")
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)
