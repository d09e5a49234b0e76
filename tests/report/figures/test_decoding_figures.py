"""Steps, W_co, modalities, loss and cost: what is drawn and told is what traces and frames hold."""

import dataclasses
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from figure_material import METHODS, Specs, material

from benchmark.report.figures import figures_of
from benchmark.report.figures.cost import costs_against_quality
from benchmark.report.figures.drawn import ATTENTION, COST, GROUPS, LOSS, READING, STEPS, W_CO, inline_svg
from benchmark.report.figures.loss import losses
from benchmark.report.figures.modalities import attention, reading
from benchmark.report.figures.steps import by_step
from benchmark.report.figures.style import style
from benchmark.report.figures.w_co import learned_correlations

PAIR = ("ml2000", "M3LA")


@pytest.fixture(scope="module")
def given():
    return material()


def draw(how, given):
    with style():
        return {drawn.name: drawn for drawn in how(given)}


def texts(drawn):
    return [element.text for element in ElementTree.fromstring(inline_svg(drawn)).iter("text")]


def numbers(drawn):
    return [float(text.replace("−", "-")) for text in texts(drawn) if re.fullmatch(r"−?\d+(\.\d+)?", text)]


def with_trace(given, **changed):
    """Return material with one trace, changed."""
    traces = {PAIR: dataclasses.replace(given.results.traces[PAIR], **changed)}
    return dataclasses.replace(given, results=dataclasses.replace(given.results, traces=traces))


def test_steps_tell_the_first_and_the_last_mean_of_each_method_that_has_steps(given):
    (drawn,) = draw(by_step, given).values()
    steps = given.results.steps
    for spec in METHODS:
        rows = steps[(steps["method"] == spec.id) & (steps["metric"] == "macro_auc")]
        if spec.estimator is not Specs.Stepwise:
            assert f"{spec.id} " not in drawn.alt
            continue
        means = rows.groupby("step")["value"].mean()
        assert f"{spec.id} {means[1]:.3f} to {means[3]:.3f} (macro AUC)" in drawn.alt
    shown = texts(drawn)
    assert shown.count("3") == 10
    assert "macro AUC ↑" in shown
    assert "Coverage ↓" in shown


def test_w_co_and_phi_show_their_entries_and_the_names_of_labels(given):
    drawn = draw(learned_correlations, given)["w_co-ml2000-M3LA"]
    trace = given.results.traces[PAIR]
    learned, phi = trace.w_co.mean(axis=0), trace.phi[~np.eye(4, dtype=bool)]
    shown = numbers(drawn)
    for value in (*learned.ravel(), *phi):
        assert round(value, 2) in shown
    assert texts(drawn).count("label2") == 3  # rows once, columns twice
    steps = given.results.steps
    rows = steps[(steps["method"] == "M3LA") & (steps["metric"] == "w_co_phi_spearman")]
    assert f"mean over seeds: {rows['value'].mean():.2f}." in drawn.caption


def test_small_weights_are_written_with_digits_that_say_something(given):
    weights = given.results.traces[PAIR].w_co / 1000
    drawn = draw(learned_correlations, with_trace(given, w_co=weights))["w_co-ml2000-M3LA"]
    assert round(weights.mean(axis=0)[0, 1], 4) in numbers(drawn)


def test_entries_of_many_labels_are_shades_alone():
    many = material(label_names=[f"name{j}" for j in range(30)])
    drawn = draw(learned_correlations, many)["w_co-ml2000-M3LA"]
    assert len(numbers(drawn)) == 6  # two scales
    assert texts(drawn).count("name29") == 4
    too_many = draw(learned_correlations, material(label_names=[f"name{j}" for j in range(70)]))
    assert not any("name" in text for text in texts(too_many["w_co-ml2000-M3LA"]))
    assert "too many labels to name them" in too_many["w_co-ml2000-M3LA"].caption


def test_a_method_without_w_co_has_no_such_figure(given):
    assert draw(learned_correlations, with_trace(given, w_co=np.empty((0, 4, 4)))) == {}


def test_a_constant_label_leaves_holes_in_phi_and_breaks_nothing(given):
    phi = given.results.traces[PAIR].phi.copy()
    phi[1] = phi[:, 1] = np.nan
    (drawn,) = draw(learned_correlations, with_trace(given, phi=phi)).values()
    assert "label1 and" not in drawn.alt
    (drawn,) = draw(learned_correlations, with_trace(given, phi=np.full((4, 4), np.nan))).values()
    assert "Phi" not in drawn.alt


@pytest.mark.parametrize(("how", "name"), [(reading, "reading"), (attention, "attention")])
def test_shares_are_percentages_of_all_and_by_label(given, how, name):
    drawn = draw(how, given)[f"{name}-ml2000-M3LA"]
    trace = given.results.traces[PAIR]
    overall, by_label = getattr(trace, name), getattr(trace, f"{name}_by_label")
    expected = [round(100 * value) for value in (*overall.ravel(), *by_label.ravel())]
    assert sorted(numbers(drawn)) == sorted(expected)
    most = int(overall[1].argmax())
    assert f"step 2 {('bow', 'fv', 'hog')[most]} ({100 * overall[1, most]:.0f} %)" in drawn.alt


def test_of_many_labels_the_most_frequent_are_shown():
    many = material(label_names=[f"name{j:02}" for j in range(20)])
    labels = many.datasets["ml2000"].labels
    labels[:], labels[:, 5:17] = 0, 1
    drawn = draw(reading, many)["reading-ml2000-M3LA"]
    assert [text for text in texts(drawn) if text.startswith("name")] == [f"name{j:02}" for j in range(5, 17)]
    assert "the 12 most frequent" in drawn.caption


def test_a_label_that_no_test_row_has_says_so(given):
    by_label = given.results.traces[PAIR].reading_by_label.copy()
    by_label[2] = np.nan
    (drawn,) = draw(reading, with_trace(given, reading_by_label=by_label)).values()
    assert texts(drawn).count("no instance") == 1


def test_losses_are_told_and_a_seed_that_stopped_leaves_the_mean(given):
    loss = given.results.traces[PAIR].loss.copy()
    loss[0, 10:] = np.nan
    (drawn,) = draw(losses, with_trace(given, loss=loss)).values()
    assert f"to {np.nanmean(loss[:, -1]):.4g} at epoch 20" in drawn.alt


def test_a_loss_over_decades_has_a_logarithmic_axis(given):
    steep = np.tile(np.geomspace(100, 0.01, 20), (3, 1))
    (drawn,) = draw(losses, with_trace(given, loss=steep)).values()
    axes = drawn.figure.axes[1]
    assert axes.get_yscale() == "log"
    assert {"0.1", "10"} <= set(texts(drawn))
    (drawn,) = draw(losses, with_trace(given, loss=steep + 100)).values()
    assert drawn.figure.axes[1].get_yscale() == "linear"


def test_costs_are_shares_of_all_and_others_are_lines(given):
    (drawn,) = draw(costs_against_quality, given).values()
    costs = given.results.acquisition.pivot_table(index="seed", columns="metric", values="value")
    share = (costs["cost_per_instance"] / costs["cost_of_all"]).mean()
    assert f"DMP pays {100 * share:.0f} %" in drawn.alt
    assert "(M3LA and BR-fair)" in drawn.caption


def test_without_traces_and_costs_these_headings_are_empty(given):
    results = dataclasses.replace(
        given.results, traces={}, acquisition=given.results.acquisition[:0], steps=given.results.steps[:0]
    )
    groups = {drawn.group for drawn in figures_of(dataclasses.replace(given, results=results))}
    assert groups == set(GROUPS[:2])
    assert not groups & {STEPS, W_CO, READING, ATTENTION, LOSS, COST}
