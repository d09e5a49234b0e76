"""What reading modalities one by one cost, by hand; traces that cannot be true are refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.score.acquisition import ACQUISITION, ACQUISITION_ARRAYS, read_acquisition


def traced(**changed):
    """Two instances, three modalities that cost 1, 2 and 4, and a reading for each of two labels.

    The first instance's first reading took modality 0; its second took modality 0, then 1. The second
    instance's readings took all three, and modalities 2 and 0.
    """
    arrays = {
        "scores": np.full((2, 2), 0.5, np.float32),
        "reading_cost": np.array([[1, 3], [7, 5]], np.float32),
        "n_read": np.array([[1, 2], [3, 2]], np.int32),
        "extracted": np.array([[True, True, False], [True, True, True]]),
        "modality_costs": np.array([1.0, 2.0, 4.0]),
    }
    return arrays | changed


def test_means_by_hand():
    assert read_acquisition(traced()) == {
        "modalities_per_reading": (1 + 2 + 3 + 2) / 4,
        "cost_per_reading": (1 + 3 + 7 + 5) / 4,
        "modalities_per_instance": (2 + 3) / 2,
        "cost_per_instance": (3 + 7) / 2,
        "share_with_unread": 0.5,
        "n_modalities": 3.0,
        "cost_of_all": 7.0,
    }


def test_a_modality_used_by_several_readings_is_extracted_once():
    """Both labels of the one instance read the same modality."""
    found = read_acquisition(
        traced(
            scores=np.zeros((1, 2)),
            reading_cost=np.full((1, 2), 2.0),
            n_read=np.ones((1, 2), int),
            extracted=np.array([[False, True, False]]),
        )
    )
    assert (found["cost_per_reading"], found["cost_per_instance"]) == (2, 2)
    assert (found["modalities_per_reading"], found["modalities_per_instance"]) == (1, 1)


def test_predicted_labels_read_beside_modalities_count_in_the_reading_alone():
    cost = traced()["reading_cost"] + np.float32(0.1)
    found = read_acquisition(traced(reading_cost=cost, n_read=traced()["n_read"] + 1))
    assert found["modalities_per_reading"] == 3
    assert found["cost_per_reading"] == pytest.approx(4.1)
    assert (found["modalities_per_instance"], found["cost_per_instance"]) == (2.5, 5)


def test_methods_that_read_everything_at_once_have_no_cost():
    assert read_acquisition({"scores": np.zeros((2, 2)), "orders": np.zeros((2, 3), int)}) == {}


def test_no_rounding_in_the_sum_over_many_instances():
    """A mean in float32, the precision of the costs, would be off in the seventh digit."""
    n = 10**5
    found = read_acquisition(
        traced(
            scores=np.zeros((n, 1), np.float32),
            reading_cost=np.full((n, 1), 7.1, np.float32),
            n_read=np.full((n, 1), 3, np.int32),
            extracted=np.ones((n, 3), bool),
        )
    )
    assert found["cost_per_reading"] == pytest.approx(float(np.float32(7.1)), rel=1e-12)
    assert found["share_with_unread"] == 0


@settings(max_examples=60)
@given(st.integers(1, 8), st.integers(1, 4), st.integers(1, 5), st.integers(0, 10**6))
def test_agrees_with_a_loop_over_sets_of_what_was_read(n, m, r, seed):
    rng = np.random.default_rng(seed)
    costs = rng.integers(0, 5, m).astype(float)
    readings = [[rng.permutation(m)[: rng.integers(1, m + 1)] for _ in range(r)] for _ in range(n)]
    sets = [set(np.concatenate(of_instance).tolist()) for of_instance in readings]
    found = read_acquisition(
        {
            "scores": np.zeros((n, 2)),
            "reading_cost": np.array([[costs[k].sum() for k in row] for row in readings], np.float32),
            "n_read": np.array([[len(k) for k in row] for row in readings], np.int32),
            "extracted": np.array([[k in s for k in range(m)] for s in sets]),
            "modality_costs": costs,
        }
    )
    assert tuple(found) == ACQUISITION
    assert found["modalities_per_instance"] == pytest.approx(np.mean([len(s) for s in sets]))
    assert found["cost_per_instance"] == pytest.approx(np.mean([sum(costs[k] for k in s) for s in sets]))
    assert found["share_with_unread"] == pytest.approx(np.mean([len(s) < m for s in sets]))
    assert found["cost_per_instance"] <= found["cost_of_all"] + 1e-9


@pytest.mark.parametrize("missing", ACQUISITION_ARRAYS)
def test_a_trace_with_some_of_the_arrays_is_refused(missing):
    arrays = traced()
    del arrays[missing]
    with pytest.raises(ValueError, match=f"but not {missing}; it must give all or none"):
        read_acquisition(arrays)


@pytest.mark.parametrize(
    "changed",
    [
        {"scores": np.zeros((3, 2))},
        {"n_read": np.ones((2, 1), int)},
        {"reading_cost": np.ones(2), "n_read": np.ones(2, int)},
        {"reading_cost": np.ones((2, 0)), "n_read": np.ones((2, 0), int)},
        {"extracted": np.ones((2, 2), bool)},
        {"extracted": np.ones(3, bool)},
        {"modality_costs": np.array(7.0)},
        {
            "scores": np.ones((0, 2)),
            "reading_cost": np.ones((0, 2)),
            "n_read": np.ones((0, 2), int),
            "extracted": np.ones((0, 3), bool),
        },
    ],
    ids=["rows", "readings", "one axis", "no reading", "modalities", "one row", "one cost", "no instance"],
)
def test_shapes_that_do_not_fit_are_refused(changed):
    with pytest.raises(ValueError, match=r"expected \(n, r\), \(n, r\), \(n, m\), \(m,\) with n = "):
        read_acquisition(traced(**changed))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"n_read": np.full((2, 2), 2.5)}, "n_read of the trace is float64; give integers"),
        ({"extracted": np.array([[2, 1, 0], [1, 1, 1]])}, "extracted of the trace is int64; give bool"),
        ({"reading_cost": np.array([[1, np.nan], [np.inf, 5]])}, "reading_cost of the trace holds 2 values"),
        ({"reading_cost": np.array([[1, -3], [7, 5]])}, "reading_cost of the trace holds 1 values"),
        ({"modality_costs": np.array([1, -2.0, 4])}, "modality_costs of the trace holds 1 values"),
        ({"n_read": np.array([[1, 0], [3, 2]])}, "1 instances have more modalities in `extracted`"),
    ],
)
def test_values_that_cannot_be_true_are_refused(changed, message):
    with pytest.raises(ValueError, match=message):
        read_acquisition(traced(**changed))
