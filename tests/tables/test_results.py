"""From records to frames: numbers are re-read from scores, in the registry's order and under both rules."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from benchmark.contracts import MethodSpec, Provenance, Record, Shape
from benchmark.score.acquisition import EXTRACTION, read_extraction
from benchmark.score.reading import read_scores, read_steps
from benchmark.tables.aggregate import PER_SEED_COLUMNS, aggregate
from benchmark.tables.cells import Footnotes, Scores
from benchmark.tables.results import DatasetRow, build_results

METHODS = (MethodSpec("B", object, scoring="hard"), MethodSpec("A", object, threshold="eq16a"))
DATASETS = (
    DatasetRow("zoo", "Zoo", Shape(30, 4, (2, 3)), Provenance.REAL),
    DatasetRow("ant", "Ant", Shape(30, 4, (2, 3)), Provenance.LOOK_ALIKE, note="own words"),
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
    record = Record(
        schema_version=2,
        dataset=dataset,
        method=method,
        seed=seed,
        config_hash="c",
        settings={},
        status="done",
        profile="tiny",
        preset="default",
        scoring="soft",
        threshold="fixed",
        provenance=Provenance.REAL,
        data_hash="d",
        data_note="said by the data",
        score_digest="s",
    )
    return dataclasses.replace(record, **changed), arrays


def bundle_of(entries):
    return build_results(
        iter(entries), methods=METHODS, datasets=DATASETS, profile="tiny", profile_note="small"
    )


def value(frame, **where):
    found = frame
    for column, wanted in where.items():
        found = found[found[column] == wanted]
    assert len(found) == 1
    return found["value"].item()


def test_each_method_is_read_with_its_registered_rule_and_scoring():
    entries = [entry("zoo", "A", 0), entry("zoo", "B", 0)]
    results = bundle_of(entries)
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
    frame = bundle_of([entry(*job) for job in jobs]).as_printed
    found = list(frame[["dataset", "method", "seed"]].drop_duplicates().itertuples(index=False, name=None))
    assert found == [("zoo", "B", 1), ("zoo", "B", 2), ("zoo", "A", 0), ("ant", "A", 0), ("ant", "A", 1)]
    pd.testing.assert_frame_equal(frame, bundle_of([entry(*job) for job in sorted(jobs)]).as_printed)


def test_failed_jobs_leave_ten_empty_values_and_their_arrays_unread():
    record, _ = entry("zoo", "A", 0, status="timeout")
    results = bundle_of([(record, {})])
    assert results.as_printed["value"].isna().sum() == 10
    assert set(results.as_printed["status"]) == {"timeout"}
    assert results.steps.empty


def test_a_method_that_is_no_longer_registered_keeps_its_records_reading():
    results = bundle_of([entry("zoo", "C", 0, threshold="eq13", scoring="hard")])
    assert set(results.as_printed["threshold"]) == {"eq13"}
    assert set(results.as_printed["scoring"]) == {"hard"}


def test_a_renamed_preset_renames_all_seeds():
    results = bundle_of([entry("zoo", "A", 0, preset="old name"), entry("zoo", "A", 1)])
    assert set(results.as_printed["preset"]) == {"default"}
    assert len(aggregate(results.as_printed)) == 10
    kept = bundle_of([entry("zoo", "C", 0, preset="old name")])
    assert set(kept.as_printed["preset"]) == {"old name"}


def test_a_cell_that_lacks_a_seed_asked_for_says_so_and_takes_no_bold():
    """A has seed 0 and B seed 1: equal counts, other splits."""
    entries = [entry("zoo", "A", 0), entry("zoo", "B", 1)]
    for seeds, marked in (((), "(1/2)"), ((0, 1, 2), "(1/3)")):
        results = build_results(entries, methods=METHODS, datasets=DATASETS, profile="tiny", seeds=seeds)
        scores = Scores(results, aggregate(results.as_printed))
        column = scores.column("zoo", "macro_auc", ["A", "B"], ["A", "B"], Footnotes())
        assert all(cell.text.endswith(marked) and not cell.bold for cell in column.values())


def test_steps_hold_metrics_of_each_step_and_the_decoding_as_step_zero():
    results = bundle_of([entry("zoo", "A", 0), entry("zoo", "B", 0)])
    steps = read_steps(entry("zoo", "A", 0)[1], "soft", "eq16a")
    assert set(results.steps["method"]) == {"A"}
    for step, metrics in enumerate(steps, start=1):
        assert value(results.steps, step=step, metric="coverage") == metrics["coverage"]
    assert value(results.steps, step=0, metric="n_orders") == 4
    assert abs(value(results.steps, step=0, metric="w_co_phi_spearman")) <= 1


def test_extraction_holds_what_the_arrays_say():
    entries = [entry("zoo", "A", 0), entry("zoo", "B", 0)]
    results = bundle_of([*entries, (entry("zoo", "A", 1, status="failed")[0], {})])
    assert tuple(results.extraction.columns) == PER_SEED_COLUMNS
    assert list(results.extraction["metric"]) == list(EXTRACTION)
    expected = read_extraction(entries[0][1])
    for metric, number in expected.items():
        assert value(results.extraction, method="A", seed=0, metric=metric) == number
    assert value(results.extraction, metric="cost_per_instance") < 4


def test_without_such_a_method_extraction_is_an_empty_frame():
    results = bundle_of([entry("zoo", "B", 0)])
    assert results.extraction.empty
    assert tuple(results.extraction.columns) == PER_SEED_COLUMNS


def test_the_joint_frame_keeps_rows_once_that_are_the_same_in_both_readings():
    entries = [entry("zoo", "A", 0), entry("zoo", "C", 0, threshold="eq13")]
    assert len(bundle_of(entries).per_seed) == 10 * (2 + 1)


def test_rows_carry_the_profile_asked_for_and_notes_come_from_data_set_or_records():
    results = bundle_of([entry("zoo", "A", 0, profile="paper"), entry("ant", "A", 0)])
    assert set(results.as_printed["profile"]) == {"tiny"}
    assert [row.note for row in results.datasets] == ["said by the data", "own words"]


def test_scores_that_are_not_finite_are_refused():
    record, arrays = entry("zoo", "A", 0)
    arrays["scores"][3, 1] = np.nan
    with pytest.raises(ValueError, match="1 scores are not finite"):
        bundle_of([(record, arrays)])
