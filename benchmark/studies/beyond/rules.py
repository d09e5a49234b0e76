"""What is looked at, read from `rules.toml`, which is fixed before the runs; it knows no number of ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.paper.claim import Claim
from benchmark.run.config import ConfigError
from benchmark.untrusted import read_toml

KEYS = ("methods", "claims", "datasets", "over", "rankings")


@dataclass(frozen=True)
class Rules:
    """Methods, data sets and claims, and what is ranked with what."""

    methods: tuple[str, ...]
    claims: tuple[str, ...]
    """Ids in the paper's claims file."""
    seeds: Mapping[str, str]
    """By data set, as for `--seeds`; in the order in which they are run."""
    over: Mapping[str, tuple[str, ...]]
    """Groups of data sets that are judged as one, by name."""
    rankings: Mapping[str, tuple[str, ...]]
    """Methods that are ranked together, by title."""

    def general(self, claims: Sequence[Claim]) -> list[Claim]:
        """Return the claims that are judged, in this order.

        Raises
        ------
        ConfigError
            If one is no claim of the paper's file.
        """
        by_id = {claim.id: claim for claim in claims}
        if unknown := [name for name in self.claims if name not in by_id]:
            raise ConfigError(f"claims of the rules: no claim {unknown[0]!r} (there are: {', '.join(by_id)})")
        return [by_id[name] for name in self.claims]


def read_rules(path: Path) -> Rules:
    """Read the file.

    Raises
    ------
    ConfigError
        If it lacks a key, has another one, or names a data set or method that it does not list.
    """
    try:
        content = read_toml(path)
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from error
    if wrong := set(KEYS) ^ content.keys():
        raise ConfigError(f"{path}: expected the keys {', '.join(KEYS)}, not {', '.join(sorted(wrong))}")
    try:
        rules = _rules(content)
    except (TypeError, KeyError, AttributeError) as error:
        raise ConfigError(f"{path}: a value is of another kind than expected ({error!r})") from error
    for title, names, known in (
        *((title, names, rules.seeds) for title, names in rules.over.items()),
        *((title, names, rules.methods) for title, names in rules.rankings.items()),
    ):
        if unknown := [name for name in names if name not in known]:
            raise ConfigError(f"{path}: {title!r} names {unknown[0]!r}, which is not listed above it")
    return rules


def _rules(content: Mapping[str, Any]) -> Rules:
    return Rules(
        methods=tuple(content["methods"]),
        claims=tuple(content["claims"]),
        seeds={entry["id"]: entry["seeds"] for entry in content["datasets"]},
        over={title: tuple(names) for title, names in content["over"].items()},
        rankings={title: tuple(names) for title, names in content["rankings"].items()},
    )
