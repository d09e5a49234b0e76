"""Configurations of the ablation: every open choice of M3LA once, under names that any file system takes."""

import dataclasses
import re
from pathlib import Path

import pytest
from ablate_methods import study_registry
from sklearn.base import BaseEstimator
from tiny_benchmark import ToyData

from benchmark.learning.checks import check_options
from benchmark.registry import RegistryError
from benchmark.run.bench import Bench
from benchmark.run.config import ConfigError, Running
from benchmark.studies.ablate.configurations import (
    configuration_id,
    factorial,
    one_at_a_time,
    registry_of,
)
from benchmark.studies.ablate.study import Stage
from m3la.estimator import M3LA
from m3la.rows import METHODS

BASE = METHODS[0]
ALL = [factor.name for factor in M3LA.FACTORS]


class NoEpochs(BaseEstimator):
    """Takes no parameter at all."""

    FACTORS = ()


def stage_of(configurations, tmp_path):
    data = ToyData()
    bench = Bench.of(
        registry_of(configurations, data), profile="tiny", seeds="2", data_dir=tmp_path, results_dir=tmp_path
    )
    return Stage("screening", configurations, bench, Running())


def test_every_level_is_tried_once_and_is_one_that_the_method_offers():
    configurations = one_at_a_time(BASE, 100, ALL)
    assert len(configurations) == 1 + sum(len(factor.levels) - 1 for factor in M3LA.FACTORS)
    assert configurations[0].changes == {}
    assert configurations[0].spec.id == BASE.id
    defaults = M3LA().get_params()
    for configuration in configurations:
        params = M3LA(**configuration.spec.options).get_params()
        check_options(params, defaults, M3LA.FACTORS)
        changed = {name for name in params if params[name] != defaults[name]}
        assert changed == {"epochs", *configuration.changes}
        assert params["epochs"] == 100
        assert configuration.spec.threshold == BASE.threshold
    assert "M3LA[order=random]" in [one.spec.id for one in configurations]  # the control that the paper lacks


def test_ids_are_unique_and_safe_as_names_of_folders():
    changes = {factor.name: factor.levels[-1] for factor in M3LA.FACTORS}
    triples = [
        configuration
        for k in range(len(ALL) - 2)
        for configuration in factorial(BASE, 300, {name: changes[name] for name in ALL[k : k + 3]})
    ]
    configurations = (*one_at_a_time(BASE, 100, ALL), *triples)
    for configuration in configurations:
        name = configuration.spec.id
        assert re.fullmatch(r"M3LA(\[[\w.=%,-]+\])?", name), name
        assert len(name) < 150
    # Some configurations are among both; apart from those, a folder each, also where case is ignored.
    distinct = {str(configuration.changes) for configuration in configurations}
    assert len({configuration.spec.id.lower() for configuration in configurations}) == len(distinct)
    assert configuration_id("M3LA", {"cost_prediction": "1/q"}) == "M3LA[cost_prediction=1%2Fq]"
    assert Path(configuration_id("M3LA", {"a": "../b"})).parts == ("M3LA[a=..%2Fb]",)


def test_the_baseline_keeps_its_own_options_and_its_level_is_not_tried_again():
    spec = next(spec for spec in METHODS if spec.id == "M3LA-order")
    configurations = one_at_a_time(spec, 100, ["order"])
    assert [one.changes for one in configurations] == [{}, {"order": "learned"}, {"order": "random"}]
    assert configurations[0].spec.options == {"order": "fixed", "epochs": 100}


def test_levels_that_only_python_takes_for_equal_are_told_apart():
    factor = dataclasses.replace(M3LA.FACTORS[0], name="dropout", levels=(0.0, 0, False))
    toy = type("Toy", (M3LA,), {"FACTORS": (factor,)})
    configurations = one_at_a_time(dataclasses.replace(BASE, estimator=toy), 1, ["dropout"])
    assert [one.level for one in configurations] == ["", "0", "False"]


def test_all_combinations_come_once_the_baseline_first():
    configurations = factorial(BASE, 300, {"cost": "none", "order": "random", "label_head": "per_step"})
    assert [len(one.changes) for one in configurations] == [0, 1, 1, 1, 2, 2, 2, 3]
    assert len({one.spec.id for one in configurations}) == 8
    assert (configurations[4].factor, configurations[4].level) == ("cost + order", "none + random")
    assert [one.kind for one in configurations[:5]] == ["baseline", *["training"] * 3, "combination"]


def test_jobs_are_planned_for_each_configuration_under_the_profile_s_caps(tmp_path):
    configurations = factorial(study_registry().methods["M3LA"], 100, {"sharpness": 0.6})
    plan = stage_of(configurations, tmp_path).plan()
    assert [(job.job.method, job.job.seed) for job in plan.to_run()] == [
        ("M3LA", 0),
        ("M3LA[sharpness=0.6]", 0),
        ("M3LA", 1),
        ("M3LA[sharpness=0.6]", 1),
    ]
    assert {job.setup.settings["options"]["epochs"] for job in plan.jobs} == {2}  # tiny's cap
    assert len({job.setup.config_hash for job in plan.jobs}) == 2


def test_what_cannot_be_configured_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="at least 1"):
        one_at_a_time(BASE, 0, ALL)
    without = dataclasses.replace(BASE, id="BR", estimator=NoEpochs, options={})
    with pytest.raises(ConfigError, match="takes no `epochs`"):
        one_at_a_time(without, 5, [])
    twice = factorial(BASE, 1, {}) * 2
    with pytest.raises(RegistryError, match="share an id"):
        stage_of(twice, tmp_path).plan()
    assert BASE.factors == M3LA.FACTORS
