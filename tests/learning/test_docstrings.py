"""The estimators' docstrings: numpydoc whose parameters are the constructor's, and examples that run."""

from __future__ import annotations

import doctest
import importlib
import inspect

import pytest
from statsmodels.tools.docstring import NumpyDocString

import baselines
import m3la

ESTIMATORS = [getattr(package, name) for package in (m3la, baselines) for name in package.__all__]


def parsed(estimator: type) -> NumpyDocString:
    return NumpyDocString(inspect.getdoc(estimator))


each_estimator = pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda each: each.__name__)


@each_estimator
def test_every_parameter_is_described_once_and_no_other(estimator):
    described = [name for entry in parsed(estimator)["Parameters"] for name in entry.name.split(", ")]
    assert sorted(described) == sorted(inspect.signature(estimator).parameters)


@each_estimator
def test_defaults_and_levels_are_told_as_they_are(estimator):
    """`{"a", "b"}` are all levels, the default first; `default=` lists those of all that it describes."""
    defaults = {name: p.default for name, p in inspect.signature(estimator).parameters.items()}
    levels = {factor.name: factor.levels for factor in estimator.FACTORS}
    for entry in parsed(estimator)["Parameters"]:
        names = entry.name.split(", ")
        if entry.type.startswith("{"):
            (name,) = names
            told = eval(entry.type.replace("{", "(").replace("}", ",)"))
            assert told[0] == defaults[name]
            assert set(told) == set(levels.get(name, told))
        elif "default=" in entry.type:
            text = entry.type.partition("default=")[2].replace(" and ", ", ")
            told = [eval(value) for value in text.split(", ")]
            found = [defaults[name] for name in names]
            assert told * (len(found) // len(told)) == found, names


@each_estimator
def test_the_example_runs_and_related_methods_are_named(estimator):
    found = parsed(estimator)
    assert found["Examples"]
    assert found["See Also"]
    result = doctest.testmod(importlib.import_module(estimator.__module__))
    assert result.attempted > 4
    assert result.failed == 0
