"""Profiles and flags joined into one run."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest
from tiny_benchmark import Prior, method, registry

from benchmark.registry import discover
from benchmark.run.bench import Bench
from benchmark.run.components import WIDE
from benchmark.run.config import PROFILES_DIR, ConfigError, Limits, Running, load_profile, profile_names
from benchmark.run.split import sizes


def write(tmp_path, text):
    (tmp_path / "mine.toml").write_text(text)
    return load_profile("mine", tmp_path)


def bench(tmp_path, **flags):
    return Bench.of(registry(), data_dir=tmp_path, results_dir=tmp_path, **flags)


def test_the_paper_profile_takes_nothing_away_and_is_the_default(tmp_path):
    paper = load_profile("paper")
    assert paper.limits == Limits()
    assert paper.dataset_limits == {}
    assert bench(tmp_path).profile == paper
    assert bench(tmp_path).seeds == tuple(range(10))


@pytest.mark.parametrize("name", sorted(path.stem for path in PROFILES_DIR.glob("*.toml")))
def test_shipped_profiles_can_be_read_and_describe_themselves(name):
    profile = load_profile(name.upper())
    assert profile.name == name
    assert profile.description
    for limit in ("epochs", "max_train_rows", "max_test_rows"):
        if value := getattr(profile.limits, limit):
            assert str(value) in profile.description, f"captions must state {limit}"


def clause_about(profile, title):
    """What a profile's own words say of one data set."""
    clauses = profile.description.split("; ")
    return next((clause for clause in clauses if title in clause.split(":")[0]), clauses[-1])


@pytest.mark.parametrize("name", ["fcvid", "msra", "ml2000", "taobao", "ml2000-msra"])
def test_quick_says_of_each_data_set_what_it_cuts_there_and_nothing_else(name):
    profile, n_train, n_test = load_profile("quick"), *sizes(discover().datasets[name].expected.n)
    limits, own = profile.limits_for(name), name in profile.dataset_limits
    said = clause_about(profile, discover().datasets[name].title if own else "any other data set")
    expected = {limits.epochs}
    expected |= {limits.max_train_rows} if limits.max_train_rows < n_train else set()
    expected |= {limits.max_test_rows} if limits.max_test_rows < n_test else set()
    numbers = {int(number) for number in re.findall(r"\b\d+\b", said)}
    assert numbers == (expected if own else {limits.epochs, limits.max_train_rows, limits.max_test_rows})


def test_quick_takes_ml2000_in_full_rows_and_every_method_in_few_epochs(tmp_path):
    quick, paper = (
        Bench.of(discover(), profile=name, data_dir=tmp_path, results_dir=tmp_path)
        for name in ("quick", "paper")
    )
    assert quick.chosen_pairs() == paper.chosen_pairs()
    hashes = {
        method: (quick.setup("ml2000", method).settings, paper.setup("ml2000", method).settings)
        for method in ("BR", "M3LA")
    }
    assert hashes["BR"][0] == hashes["BR"][1]  # nothing is taken away, so that the record is the same
    assert hashes["M3LA"][0] != hashes["M3LA"][1]
    assert hashes["M3LA"][0]["max_train_rows"] is hashes["M3LA"][0]["max_test_rows"] is None


def test_all_four_profiles_are_shipped():
    assert profile_names() == ("beyond", "paper", "quick", "tiny")


def test_beyond_is_the_printed_protocol_but_for_the_two_large_sets_of_which_it_says_so():
    beyond = load_profile("beyond")
    assert beyond.limits == Limits()
    assert beyond.dataset_limits == dict.fromkeys(("corel5k", "drugs"), Limits(epochs=30, components=500))
    numbers = {int(number) for number in re.findall(r"\b\d+\b", beyond.description)}
    assert numbers == {30, 500, WIDE}


def test_the_profiles_of_another_folder_are_those_that_can_be_loaded_from_there(tmp_path):
    write(tmp_path, "epochs = 3\n")
    assert profile_names(tmp_path) == ("mine",)
    with pytest.raises(ConfigError, match=r"there are: mine"):
        load_profile("tiny", tmp_path)


def test_a_data_sets_own_limits_add_to_the_common_ones(tmp_path):
    profile = write(tmp_path, "epochs = 3\nmax_train_rows = 9\n[datasets.msra]\nmax_train_rows = 5\n")
    assert profile.limits_for("taobao") == Limits(epochs=3, max_train_rows=9)
    assert profile.limits_for("msra") == Limits(epochs=3, max_train_rows=5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epoch = 3", r"mine\.toml: unknown key 'epoch'; did you mean 'epochs'"),
        ("[datasets.msra]\nmax_rows = 3", r"\[datasets\.msra\]: unknown key 'max_rows'; did you mean 'max_"),
        ("epochs = 0", "epochs = 0: a limit is a number above 0"),
        ("epochs = 1.5", "must be a whole number"),
        ("epochs = true", "epochs = True"),
        ("epochs = 'all'", "epochs = 'all'"),
        ("epochs =", "not valid TOML"),
        ("epochs = 8.0", r"mine\.toml: epochs = 8\.0 must be a whole number"),
        ("max_test_rows = '8'", "max_test_rows = '8': a limit is a number above 0"),
        ("max_train_rows = -1", "max_train_rows = -1: a limit is a number above 0"),
        (f"epochs = {'9' * 400}", "a limit is a number above 0, below 2 to the 63rd"),
        ("epochs = nan", "epochs = nan: a limit is a number above 0"),
        ("time_limit_seconds = nan", "time_limit_seconds = nan: a limit is a number above 0"),
        ("time_limit_seconds = inf", "leave it out for none"),
        ("time_limit_seconds = 1e12", "more than a year"),
        ("[datasets.msra]\nepochs = false", "epochs = False"),
        ("datasets = 3", "a table of limits for each data set"),
        ("[datasets]\nmsra = 3", "a table of limits for each data set"),
        ("seeds = true", "seeds = True: write a text"),
        ("seeds = 3.0", r"seeds = 3\.0: write a text"),
        ("seeds = [1, 2]", "write a text as for --seeds"),
        ("seeds = 'few'", r"mine\.toml: seeds 'few' not understood"),
        ("description = 5", "description = 5: a text in quotes"),
    ],
)
def test_a_wrong_profile_is_refused_with_file_key_and_remedy(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message):
        write(tmp_path, text)


def test_a_number_of_seeds_may_stand_without_quotes(tmp_path):
    assert write(tmp_path, "seeds = 3\n").seeds == "3"


def test_numbers_count_by_value_whoever_made_them(tmp_path):
    assert Limits(epochs=np.int64(8), time_limit_seconds=np.float32(0.5)).epochs == 8
    assert Running.of(jobs=np.int64(2)).jobs == 2
    toys = registry(method("A", epochs=np.int64(7)))
    (tmp_path / "mine.toml").write_text("epochs = 3\n")
    made = Bench.of(toys, data_dir=tmp_path, results_dir=tmp_path)
    capped = dataclasses.replace(made, profile=load_profile("mine", tmp_path)).setup("toy", "A")
    assert capped.options["epochs"] == 3


def test_an_unknown_profile_is_refused_with_the_closest_one():
    with pytest.raises(ConfigError, match=r"no profile 'papper'; did you mean 'paper'\?"):
        load_profile("papper")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"methods": "Pryor"}, "did you mean 'Prior'"),
        ({"seeds": "many"}, "'many' not understood"),
    ],
)
def test_a_wrong_choice_is_refused(tmp_path, flags, message):
    with pytest.raises(ValueError, match=message):
        bench(tmp_path, **flags)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"jobs": 0}, "--jobs 0"),
        ({"jobs": True}, "--jobs True: a whole number"),
        ({"jobs": 2.0}, r"--jobs 2\.0: a whole number"),
        ({"time_budget": "1e3h"}, "is no time"),
        ({"time_budget": "9" * 400 + "h"}, "more than a year"),
        ({"job_timeout": "0m"}, "--job-timeout '0m' is no time"),
        *(
            ({"job_memory": text}, f"--job-memory {text!r} is no size of memory: write it like 500M")
            for text in ("2", "2T", "-1G", "1e3G", "0.1M", "G", "9" * 30 + "G")
        ),
        ({"backend": "threading"}, "`threading` is refused"),
        ({"backend": "lokky"}, "did you mean 'loky'"),
    ],
)
def test_a_wrong_way_of_running_is_refused(flags, message):
    with pytest.raises(ConfigError, match=message):
        Running.of(**flags)


@pytest.mark.parametrize(
    ("text", "size"), [("500M", 500 * 2**20), ("2g", 2**31), ("1.5 GiB", 3 * 2**29), ("3MB", 3 * 2**20)]
)
def test_sizes_of_memory_are_read(text, size):
    assert Running.of(job_memory=text).job_memory == size


def test_flags_win_over_the_profile_and_jobs_default_to_all_cores(tmp_path):
    made = bench(tmp_path, profile="tiny", seeds="4,6", datasets="TOY", methods="prior")
    assert made.seeds == (4, 6)
    assert made.methods.named == {"Prior"}
    assert Running.of().jobs >= 1


def test_more_jobs_than_cores_keep_no_more_cores_busy(monkeypatch):
    monkeypatch.setattr("benchmark.run.config.available_cores", lambda: 2)
    assert [Running.of(jobs=jobs).cores for jobs in (1, 2, 8)] == [1, 2, 2]


def test_form_reference_reaches_estimator_and_hash_and_leaves_others_alone(tmp_path):
    class WithForm(Prior):
        def __init__(self, form="fast"):
            self.form = form

        def get_params(self, deep=True):  # noqa: ARG002 - the protocol
            return {"form": self.form}

    toys = registry(method(), method("Formed", WithForm))

    def setups(form):
        benches = Bench.of(toys, data_dir=tmp_path, results_dir=tmp_path, form=form)
        return [benches.setup("toy", name) for name in ("Prior", "Formed")]

    (plain, fast), (same, reference) = setups("fast"), setups("reference")
    assert plain.settings == same.settings
    assert "form" not in {**fast.settings, **fast.settings["options"]}
    assert (fast.options, reference.options) == ({}, {"form": "reference"})
    assert reference.settings["form"] == "reference"
    assert reference.config_hash != fast.config_hash


@pytest.mark.parametrize("name", ["M3LA", "DMP", "MCC"])
def test_networks_run_on_the_reference_where_it_is_asked_for(name, monkeypatch):
    from baselines.sequential import fast as fast_steps
    from m3la import fast as fast_network

    def refused(*_args, **_kwargs):
        raise AssertionError("the fast form ran")

    monkeypatch.setattr(fast_network, "network", refused)
    monkeypatch.setattr(fast_network, "f1_weights", refused)
    monkeypatch.setattr(fast_steps, "Steps", refused)
    drawn = np.random.default_rng(0)
    rows, labels = [drawn.normal(size=(20, d)) for d in (3, 2)], drawn.integers(0, 2, size=(20, 3))
    spec = discover().methods[name]
    options = {"hidden": 4, "epochs": 1, "form": "reference", "selection": "last"}
    assert spec.estimator(**options).fit(rows, labels).predict_scores(rows).shape == (20, 3)
    with pytest.raises(AssertionError, match="the fast form ran"):
        spec.estimator(**{**options, "form": "fast"}).fit(rows, labels)
    with pytest.raises(ValueError, match="form='other' is not offered"):
        spec.estimator(form="other").fit(rows, labels)
