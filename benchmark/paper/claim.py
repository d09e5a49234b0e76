"""What a claim of the paper may say, checked as its file is read; it knows no claim and no number of ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from benchmark.run.config import is_number
from benchmark.score.metrics import METRICS

METRIC_IDS = tuple(metric.id for metric in METRICS)
_TEXTS = ("id", "section", "quote", "reading", "check", "criterion", "versus", "target")
_LISTS = ("methods", "rivals", "metrics", "datasets", "sides", "rules")
_CHOICES: Mapping[str, Sequence[str]] = {
    "check": ("difference", "lowest", "rules", "steps"),
    "criterion": ("mean", "significant"),
    "versus": ("each", "runner-up"),
}
_SIDES = ("paper", "ours")


@dataclass(frozen=True)
class Claim:
    """One statement of the paper and how it is checked; see the head of the claims file."""

    id: str
    section: str
    quote: str
    reading: str
    check: Literal["difference", "lowest", "rules", "steps"]
    methods: tuple[str, ...]
    criterion: Literal["mean", "significant"]
    need: float
    sides: tuple[str, ...]
    rivals: tuple[str, ...] = ()
    versus: Literal["each", "runner-up"] = "each"
    metrics: tuple[str, ...] = METRIC_IDS
    datasets: tuple[str, ...] = ("fcvid", "msra", "ml2000", "taobao")
    target: str = ""
    rules: tuple[str, ...] = ()
    instead_of: Mapping[str, str] = field(default_factory=dict)
    """Rivals that stand in for rows of the paper: the share of the gap that this closes is printed."""

    def __post_init__(self) -> None:
        for name in _TEXTS:
            if not isinstance(getattr(self, name), str):
                raise ValueError(f"claim {self.id!r}: {name} = {getattr(self, name)!r} is no text in quotes")
        for name in _LISTS:
            value = getattr(self, name)
            if not isinstance(value, tuple) or not all(isinstance(item, str) for item in value):
                raise ValueError(f"claim {self.id!r}: {name} = {value!r} is no list of texts")
        if not isinstance(self.instead_of, Mapping):
            raise ValueError(f"claim {self.id!r}: instead_of = {self.instead_of!r} is no table of methods")
        for name, known in _CHOICES.items():
            if getattr(self, name) not in known:
                raise ValueError(
                    f"claim {self.id!r}: {name} {getattr(self, name)!r} is not one of {', '.join(known)}"
                )
        for what, values, known in (("metric", self.metrics, METRIC_IDS), ("side", self.sides, _SIDES)):
            if unknown := set(values) - set(known):
                raise ValueError(f"claim {self.id!r}: no {what} {', '.join(sorted(unknown))}")
        if not is_number(self.need) or not 0 < self.need <= 1:
            raise ValueError(
                f"claim {self.id!r}: need = {self.need!r} must lie above 0 and be at most 1, a number"
            )
        if len(self.rules) != (2 if self.check == "rules" else 0):
            raise ValueError(f"claim {self.id!r}: the check 'rules', and it alone, has two rules")


def parse_claims(entries: Sequence[Mapping[str, Any]]) -> tuple[Claim, ...]:
    """Turn the tables of a claims file into claims.

    Raises
    ------
    ValueError
        For a key that is unknown or missing, a value that makes no sense, or an id that appears twice.
    """
    claims = []
    for entry in entries:
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()
        }
        try:
            claims.append(Claim(**values))
        except TypeError as error:
            raise ValueError(f"claim {entry.get('id', '?')!r}: {error}") from error
    ids = [claim.id for claim in claims]
    if repeated := {name for name in ids if ids.count(name) > 1}:
        raise ValueError(f"the claim ids {', '.join(sorted(repeated))} appear twice")
    return tuple(claims)
