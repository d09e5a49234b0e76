"""From records to frames: numbers are re-read from scores, in the registry's order and under both rules."""

import numpy as np
import pandas as pd
import pytest
from example_results import join, record_of

from benchmark.contracts import MethodSpec, Provenance, Shape
from benchmark.score.acquisition import ACQUISITION, read_acquisition
from benchmark.score.reading import read_scores, read_steps
from benchmark.tables import results as module
from benchmark.tables.aggregate import PER_SEED_COLUMNS, aggregate
from benchmark.tables.cells import Averages, Footnotes
from benchmark.tables.results import ListedDataset, rows_of

METHODS = (
    MethodSpec("B", object, scoring="hard"),
    MethodSpec("A", object, threshold="eq16a"),
    MethodSpec("E", object, threshold="eq13"),
)
DATASETS = (
    ListedDataset("zoo", "Zoo", Shape(30, 4, (2, 3)), Provenance.REAL),
    ListedDataset("ant", "Ant", Shape(30, 4, (2, 3)), Provenance.LOOK_ALIKE),
)


def entry(dataset, method, seed, **changed):
    rng = np.random.default_rng([len(dataset), ord(method), seed])
    arrays = {
        "scores": rng.random((30, 4)).astype(np.float32),
        "labels": (rng.random((30, 4)) < 0.4).astype(np.uint8),
        "train_label_frequencies": np.full(4, 0.4),
    }
    if method == "A":
        arrays |= {
            "step_scores": np.stack([rng.random((30, 4)), arrays["scores"]], axis=1).astype(np.float32),
            "orders": rng.integers(0, 2, (30, 2)),
            "w_co": rng.random((4, 4)),
            "train_phi": rng.random((4, 4)),
            "reading_cost": rng.random((30, 1), np.float32),
            "n_read": np.full((30, 1), 2, np.int32),
            "extracted": rng.random((30, 2)) < 0.5,
            "modality_costs": np.array([1.0, 3.0]),
        }
    return record_of(dataset, method, seed, **changed), arrays


def results_of(entries, **more):
    return join(entries, METHODS, DATASETS, **more)


def value(frame, **where):
    found = frame
    for column, wanted in where.items():
        found = found[found[column] == wanted]
    assert len(found) == 1
    return found["value"].item()


def test_each_method_is_read_with_its_registered_rule_and_scoring():
    entries = [entry("zoo", "A", 0), entry("zoo", "B", 0)]
    results = results_of(entries)
    assert tuple(results.as_printed.columns) == PER_SEED_COLUMNS
    for method, scoring, rule in (("A", "soft", "eq16a"), ("B", "hard", "fixed")):
        arrays = entry("zoo", method, 0)[1]
        for frame, used in ((results.as_printed, rule), (results.equal, "eq13")):
            expected = read_scores(arrays, scoring, used).metrics
            for metric, number in expected.items():
                assert value(frame, method=method, metric=metric) == number
            assert set(frame.loc[frame["method"] == method, "threshold"]) == {used}


def test_rows_follow_the_registry_and_not_the_order_of_jobs():
    jobs = [("ant", "A", 1), ("zoo", "A", 0), ("ant", "A", 0), ("zoo", "B", 2), ("zoo", "B", 1)]
    frame = results_of([entry(*job) for job in jobs]).as_printed
    found = list(frame[["dataset", "method", "seed"]].drop_duplicates().itertuples(index=False, name=None))
    assert found == [("zoo", "B", 1), ("zoo", "B", 2), ("zoo", "A", 0), ("ant", "A", 0), ("ant", "A", 1)]
    pd.testing.assert_frame_equal(frame, results_of([entry(*job) for job in sorted(jobs)]).as_printed)


def test_failed_jobs_leave_ten_empty_values_and_their_arrays_unread():
    record, _ = entry("zoo", "A", 0, status="timeout")
    results = results_of([(record, {})])
    assert results.as_printed["value"].isna().sum() == 10
    assert set(results.as_printed["status"]) == {"timeout"}
    assert results.steps.empty


def test_a_renamed_preset_renames_all_seeds():
    results = results_of([entry("zoo", "A", 0, preset="old name"), entry("zoo", "A", 1)])
    assert set(results.as_printed["preset"]) == {"default"}
    assert len(aggregate(results.as_printed)) == 10


@pytest.mark.parametrize(
    ("method", "rules"), [("A", ["eq16a", "eq13"]), ("B", ["fixed", "eq13"]), ("E", ["eq13"])]
)
def test_each_rule_is_applied_to_a_record_once(monkeypatch, method, rules):
    applied = []

    def counted(arrays, scoring, rule):
        applied.append(rule)
        return read_scores(arrays, scoring, rule)

    monkeypatch.setattr(module, "read_scores", counted)
    results_of([entry("zoo", method, 0)])
    assert applied == rules


def test_a_cell_that_lacks_a_seed_asked_for_says_so_and_takes_no_bold():
    """A has seed 0 and B seed 1: equal counts, other splits."""
    entries = [entry("zoo", "A", 0), entry("zoo", "B", 1)]
    for seeds, marked in (((), "(1/2)"), ((0, 1, 2), "(1/3)")):
        results = results_of(entries, seeds=seeds)
        averages = Averages(results, results.as_printed)
        column = averages.column("zoo", "macro_auc", ["A", "B"], ["A", "B"], Footnotes())
        assert all(cell.text.endswith(marked) and not cell.bold for cell in column.values())


def test_a_mean_over_a_processor_and_a_card_says_so_in_its_cell():
    card = {"device": "cuda:0", "accelerator": "NVIDIA H100 80GB HBM3"}
    on = {0: {"device": "cpu"}, 1: card, 2: card}
    entries = [entry("zoo", "E", seed, environment=how) for seed, how in on.items()]
    entries += [entry("zoo", "A", seed, environment=card) for seed in on]
    results = results_of(entries, seeds=(0, 1, 2))
    notes = Footnotes()
    cells = Averages(results, results.as_printed).column("zoo", "macro_auc", ["E", "A"], ["E", "A"], notes)
    assert cells["E"].text.endswith(" (a)")
    assert "(" not in cells["A"].text
    expected = "(a) a mean over 1 of its seeds on CPU and 2 of its seeds on NVIDIA H100 80GB HBM3"
    assert notes.lines() == (expected,)
    assert cells["E"].bold != cells["A"].bold


def test_steps_hold_metrics_of_each_step_and_the_decoding_as_step_zero():
    results = results_of([entry("zoo", "A", 0), entry("zoo", "B", 0)])
    steps = read_steps(entry("zoo", "A", 0)[1], "soft", "eq16a")
    assert set(results.steps["method"]) == {"A"}
    for step, metrics in enumerate(steps, start=1):
        assert value(results.steps, step=step, metric="coverage") == metrics["coverage"]
    assert value(results.steps, step=0, metric="n_orders") == 4
    assert abs(value(results.steps, step=0, metric="w_co_phi_spearman")) <= 1


def test_acquisition_holds_what_the_arrays_say():
    entries = [entry("zoo", "A", 0), entry("zoo", "B", 0)]
    results = results_of([*entries, (entry("zoo", "A", 1, status="failed")[0], {})])
    assert tuple(results.acquisition.columns) == PER_SEED_COLUMNS
    assert list(results.acquisition["metric"]) == list(ACQUISITION)
    for metric, number in read_acquisition(entries[0][1]).items():
        assert value(results.acquisition, method="A", seed=0, metric=metric) == number


def test_without_such_a_method_acquisition_is_an_empty_frame():
    results = results_of([entry("zoo", "B", 0)])
    assert results.acquisition.empty
    assert tuple(results.acquisition.columns) == PER_SEED_COLUMNS


def test_the_joint_frame_keeps_rows_once_that_are_the_same_in_both_readings():
    entries = [entry("zoo", "A", 0), entry("zoo", "E", 0)]
    assert len(results_of(entries).per_seed) == 10 * (2 + 1)


def test_scores_that_are_not_finite_are_refused():
    record, arrays = entry("zoo", "A", 0)
    arrays["scores"][3, 1] = np.nan
    with pytest.raises(ValueError, match="1 scores are not finite"):
        rows_of(record, arrays, METHODS[1])
