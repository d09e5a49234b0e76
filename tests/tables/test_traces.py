"""Traces of decoding: worked by hand, joined over seeds, and small enough to be committed."""

import numpy as np
import pytest

from benchmark.tables.traces import LOSS_POINTS, joined, read_traces, trace_of, write_traces

ORDERS = np.array([[1, 0], [1, 0], [0, 1], [1, 0]])
LABELS = np.array([[1, 0, 0], [0, 1, 0], [1, 1, 0], [1, 0, 0]], np.uint8)


def arrays(**changed):
    attention = np.full((4, 2, 2), 0.5)
    attention[2] = [[0.9, 0.1], [0.2, 0.8]]
    found = {
        "orders": ORDERS,
        "labels": LABELS,
        "attention": attention,
        "loss_history": np.arange(1.0, 5.0),
        "train_phi": np.eye(3),
        "w_co": np.arange(9.0).reshape(3, 3),
    }
    return found | changed


def test_shares_by_step_and_label_are_those_counted_by_hand():
    found = trace_of(arrays(), seed=7)
    np.testing.assert_allclose(found.reading, [[0.25, 0.75], [0.75, 0.25]])
    np.testing.assert_allclose(found.reading_by_label[0], [[1 / 3, 2 / 3], [2 / 3, 1 / 3]])
    np.testing.assert_allclose(found.reading_by_label[1], [[0.5, 0.5], [0.5, 0.5]])
    assert np.isnan(found.reading_by_label[2]).all()  # no test row has it
    np.testing.assert_allclose(found.attention[0], [0.6, 0.4])
    np.testing.assert_allclose(found.attention_by_label[1], [[0.7, 0.3], [0.35, 0.65]])
    assert found.seeds.tolist() == [7]


def test_seeds_are_averaged_but_for_w_co_and_losses():
    second = arrays(orders=ORDERS[:, ::-1], w_co=np.ones((3, 3)), loss_history=np.arange(5.0, 7.0))
    found = joined([trace_of(arrays(), 0), trace_of(second, 1)])
    np.testing.assert_allclose(found.reading, np.full((2, 2), 0.5))
    assert found.w_co.shape == (2, 3, 3)
    np.testing.assert_array_equal(found.loss, [[1, 2, 3, 4], [5, 6, np.nan, np.nan]])
    assert found.epochs.tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize("n_epochs", [1, LOSS_POINTS, 300])
def test_losses_keep_their_first_and_last_epoch(n_epochs):
    losses = np.arange(1.0, n_epochs + 1)
    found = joined([trace_of(arrays(loss_history=losses), 0)])
    assert len(found.epochs) == min(n_epochs, LOSS_POINTS)
    assert (found.epochs[0], found.epochs[-1]) == (1, n_epochs)
    np.testing.assert_array_equal(found.loss[0], found.epochs)


def test_seeds_that_stopped_at_different_epochs_stay_within_the_points():
    traces = [trace_of(arrays(loss_history=np.ones(n)), seed) for seed, n in enumerate((97, 211, 300, 61))]
    found = joined(traces)
    assert found.loss.shape == (4, len(found.epochs))
    assert len(found.epochs) <= LOSS_POINTS
    assert np.isfinite(found.loss[:, 0]).all()


@pytest.mark.parametrize("missing", ["orders", "attention", "loss_history"])
def test_a_method_that_does_not_decode_has_no_trace(missing):
    found = arrays()
    del found[missing]
    assert trace_of(found, 0) is None


def test_a_file_comes_back_to_three_digits_and_writes_the_same_bytes(tmp_path):
    rng = np.random.default_rng(0)
    found = joined([trace_of(arrays(w_co=rng.normal(size=(3, 3)), loss_history=rng.random(9) * 1e5), 0)])
    bare = arrays()
    del bare["w_co"]
    traces = {("toy", "M3LA"): found, ("toy", "M3LA-Wco"): joined([trace_of(bare, 0)])}
    write_traces(tmp_path / "a.npz", traces)
    write_traces(tmp_path / "b.npz", traces)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    again = read_traces(tmp_path / "a.npz", "toy")
    assert list(again) == list(traces)
    np.testing.assert_allclose(again["toy", "M3LA"].w_co, found.w_co, rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(again["toy", "M3LA"].loss, found.loss, rtol=1e-6)
    assert again["toy", "M3LA-Wco"].w_co.size == 0


def test_ten_seeds_of_the_largest_data_set_take_at_most_200_kilobytes(tmp_path):
    rng = np.random.default_rng(0)
    n, m, q = 300, 7, 50  # modalities and labels of MSRA
    traces = {
        ("msra", method): joined(
            [
                trace_of(
                    {
                        "orders": np.argsort(rng.random((n, m)), axis=1),
                        "labels": (rng.random((n, q)) < 0.05).astype(np.uint8),
                        "attention": rng.random((n, m, m)),
                        "loss_history": rng.random(300),
                        "train_phi": rng.random((q, q)),
                        "w_co": rng.normal(size=(q, q)) * 0.1,
                    },
                    seed,
                )
                for seed in range(10)
            ]
        )
        for method in ("M3LA", "M3LA-repaired")
    }
    write_traces(tmp_path / "traces.npz", traces)
    assert (tmp_path / "traces.npz").stat().st_size <= 200_000
