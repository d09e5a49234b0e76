"""Configurations of a method, some changes away from its own options; it runs and judges nothing.

It knows no method: each configuration is a row of a registry made for the purpose, so that planning,
isolation, records and resuming are those of any run, and no table of a run ever sees it.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from benchmark.contracts import DatasetSpec, MethodSpec
from benchmark.registry import Registry, RegistryError
from benchmark.run.config import ConfigError
from benchmark.studies.ablate.paired import BASELINE, COMBINATION, JOINT, TRAINING

ConfigurationKey = tuple[str, str, str]
"""Kind, factor and level."""


@dataclass(frozen=True)
class Configuration:
    """A method with some of its factors changed; without changes it is the baseline."""

    spec: MethodSpec
    changes: Mapping[str, Any]
    """Level by factor."""

    @property
    def key(self) -> ConfigurationKey:
        """Return what names it in the frames."""
        return self.kind, self.factor, self.level

    @property
    def kind(self) -> str:
        """Return what the frames call a configuration with so many changes."""
        return (BASELINE, TRAINING, COMBINATION)[min(len(self.changes), 2)]

    @property
    def factor(self) -> str:
        """Return the names of the changed factors."""
        return JOINT.join(self.changes)

    @property
    def level(self) -> str:
        """Return their levels, in the same order."""
        return JOINT.join(map(str, self.changes.values()))


def registry_of(configurations: Sequence[Configuration], dataset: DatasetSpec) -> Registry:
    """Return configurations as methods, beside the one data set.

    Raises
    ------
    RegistryError
        If two configurations would share a folder, also where file names ignore case.
    """
    specs = [configuration.spec for configuration in configurations]
    if len({spec.id.lower() for spec in specs}) < len(specs):
        raise RegistryError(f"two configurations share an id: {', '.join(spec.id for spec in specs)}")
    return Registry({spec.id: spec for spec in specs}, {dataset.id: dataset})


def one_at_a_time(base: MethodSpec, epochs: int, factors: Collection[str]) -> tuple[Configuration, ...]:
    """Return the baseline, and for each chosen factor each level other than its own, all else kept.

    Parameters
    ----------
    base : MethodSpec
        Whose options the baseline has.
    epochs : int
        Of every configuration.
    factors : collection of str
        Names among the estimator's `FACTORS`; others are left out.
    """
    own = base.estimator(**base.options).get_params(deep=False)
    changes = [
        {factor.name: level}
        for factor in base.factors
        if factor.name in factors
        for level in factor.levels
        if not _same(level, own[factor.name])
    ]
    return tuple(configure(base, epochs, change) for change in ({}, *changes))


def factorial(base: MethodSpec, epochs: int, changes: Mapping[str, Any]) -> tuple[Configuration, ...]:
    """Return the baseline and every combination of `changes`, smallest first: 2^k configurations."""
    subsets = itertools.chain.from_iterable(
        itertools.combinations(changes, size) for size in range(len(changes) + 1)
    )
    return tuple(configure(base, epochs, {name: changes[name] for name in subset}) for subset in subsets)


def configure(base: MethodSpec, epochs: int, changes: Mapping[str, Any]) -> Configuration:
    """Return one configuration; what it changes is in its id.

    Raises
    ------
    ConfigError
        If `epochs` is not a number of epochs, or the estimator takes none.
    """
    if epochs < 1:
        raise ConfigError(f"{epochs} epochs: at least 1 is needed")
    if "epochs" not in base.estimator(**base.options).get_params(deep=False):
        raise ConfigError(f"{base.id}: its estimator takes no `epochs`, so this study cannot set them")
    spec = dataclasses.replace(
        base,
        id=configuration_id(base.id, changes),
        options={**base.options, **changes, "epochs": epochs},
        in_paper=False,
        datasets=None,
        note=f"a configuration of {base.id}",
    )
    return Configuration(spec, dict(changes))


def configuration_id(base: str, changes: Mapping[str, Any]) -> str:
    """Return `base[factor=level,...]`, with characters that a folder's name may lack percent-encoded."""
    parts = [f"{quote(name, safe='')}={quote(str(level), safe='')}" for name, level in changes.items()]
    return f"{base}[{','.join(parts)}]" if parts else base


def _same(one: Any, other: Any) -> bool:
    """Compare levels as they are: True is not 1, and 0 is not 0.0."""
    return type(one) is type(other) and bool(one == other)
