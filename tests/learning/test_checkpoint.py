"""A fit that is killed and gone on with has the bits of one that was not."""

import time

import numpy as np
import pytest

from baselines import DMP, MCC
from benchmark.contracts import Holdout, Streams
from benchmark.learning import checkpoint
from benchmark.learning.checkpoint import Checkpoint, keeping
from m3la import M3LA
from m3la.together import fit_together

EPOCHS = 6
IDENTITY = {"config_hash": "0123456789ab", "torch": "2"}


class Killed(BaseException):
    """Ends a fit as SIGKILL would: nothing of the estimator is used again."""


@pytest.fixture(autouse=True)
def _written_each_epoch(monkeypatch):
    monkeypatch.setattr(checkpoint, "FIRST_SECONDS", 0.0)
    monkeypatch.setattr(checkpoint, "SHARE", float("inf"))


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(0)
    modalities = [rng.normal(size=(70, d)).astype(np.float32) for d in (5, 4)]
    labels = (np.stack([x.sum(1) for x in (*modalities, modalities[0][:, :2])], axis=1) > 0).astype(np.uint8)
    rows = [slice(0, 50), slice(50, 70)]
    return [([x[part] for x in modalities], labels[part]) for part in rows]


def methods():
    small = {"hidden": 6, "epochs": EPOCHS, "batch_size": 16}
    yield "M3LA", M3LA(**small)
    yield (
        "M3LA, every generator",
        M3LA(**small, order="random", dropout=0.3, weight_refresh=2, optimiser="adam", schedule="per_step"),
    )
    yield "M3LA, stochastic", M3LA(**small, order_gradient="gumbel", optimiser="sgd_momentum", clip_norm=1.0)
    yield "M3LA, early stopping", M3LA(**small, selection="holdout", patience=2, learning_rate=0.5)
    yield "DMP", DMP(epochs=EPOCHS, batch_size=16, dropout=0.4)
    yield "DMP, early stopping", DMP(epochs=EPOCHS, batch_size=16, selection="holdout", patience=1)
    yield "MCC", MCC(hidden=5, epochs=EPOCHS, batch_size=16)


CASES = dict(methods())


def fit(method, problem):
    (modalities, labels), held = problem
    if method.needs_holdout:
        return method.fit(modalities, labels, holdout=Holdout(*held))
    return method.fit(modalities, labels)


def bits(method, problem):
    modalities = problem[1][0]
    trace = {name: value.tobytes() for name, value in method.trace(modalities).items()}
    return {"scores": method.predict_scores(modalities).tobytes(), **trace, "history": vars(method.history_)}


def killed_after(epochs, path, run):
    """Run until so many checkpoints were written."""
    kept = Checkpoint(path, IDENTITY)
    write, written = kept.offer, []

    def offer(state):
        write(state)
        written.append(path.stat().st_size)
        if len(written) == epochs:
            raise Killed

    kept.offer = offer
    with pytest.raises(Killed), keeping(kept):
        run()


@pytest.mark.parametrize("epochs", [1, 3])
@pytest.mark.parametrize("case", CASES)
def test_a_fit_that_was_killed_ends_with_the_bits_of_one_that_was_not(case, epochs, problem, tmp_path):
    method = CASES[case]
    expected = bits(fit(type(method)(**method.get_params()), problem), problem)
    path = tmp_path / "one.safetensors"
    killed_after(epochs, path, lambda: fit(type(method)(**method.get_params()), problem))
    again, kept = type(method)(**method.get_params()), Checkpoint(path, IDENTITY)
    with keeping(kept):
        fit(again, problem)
    assert kept.epochs_before == epochs
    assert kept.seconds_before > 0
    assert bits(again, problem) == expected


@pytest.mark.parametrize("options", [{}, {"order": "random", "dropout": 0.3, "weight_refresh": 2}])
def test_fits_side_by_side_go_on_too(options, problem, tmp_path):
    modalities, labels = problem[0]

    def run():
        methods = [
            M3LA(hidden=6, epochs=EPOCHS, batch_size=16, random_state=Streams("mine", seed), **options)
            for seed in range(3)
        ]
        assert fit_together(methods, [(modalities, labels, None)] * 3) == [None] * 3
        return [bits(method, problem) for method in methods]

    expected = run()
    path = tmp_path / "three.safetensors"
    killed_after(2, path, run)
    with keeping(Checkpoint(path, IDENTITY)) as _:
        assert run() == expected


def test_one_of_another_identity_is_left_unread_and_said_to_be(problem, tmp_path):
    method, path = CASES["M3LA"], tmp_path / "one.safetensors"
    expected = bits(fit(type(method)(**method.get_params()), problem), problem)
    killed_after(2, path, lambda: fit(type(method)(**method.get_params()), problem))
    with pytest.warns(UserWarning, match="another config_hash") as said:
        kept = Checkpoint(path, {**IDENTITY, "config_hash": "of other code"})
    assert "starts from nothing" in str(said[0].message)
    again = type(method)(**method.get_params())
    with keeping(kept):
        assert bits(fit(again, problem), problem) == expected
    assert kept.epochs_before == 0


@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 0.999])
def test_one_that_was_changed_is_left_unread(share, problem, tmp_path):
    method, path = CASES["M3LA"], tmp_path / "one.safetensors"
    killed_after(2, path, lambda: fit(type(method)(**method.get_params()), problem))
    content = bytearray(path.read_bytes())
    content[int(share * len(content))] ^= 1
    path.write_bytes(content)
    with pytest.warns(UserWarning, match="starts from nothing"):
        assert Checkpoint(path, IDENTITY).begin() is None


def test_a_short_fit_writes_nothing_and_a_finished_one_leaves_nothing(problem, tmp_path, monkeypatch):
    path = tmp_path / "one.safetensors"
    with keeping(kept := Checkpoint(path, IDENTITY)):
        fit(M3LA(hidden=6, epochs=2), problem)
    assert path.exists()
    kept.remove()
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(checkpoint, "FIRST_SECONDS", 3600.0)
    with keeping(Checkpoint(path, IDENTITY)):
        fit(M3LA(hidden=6, epochs=2), problem)
    assert not path.exists()


def test_writing_takes_its_share_of_the_time_and_no_more(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "SHARE", 0.01)
    kept, written = Checkpoint(tmp_path / "slow.safetensors", IDENTITY), []

    def slow():
        written.append(time.perf_counter())
        time.sleep(0.02)
        return {"epochs": 1}

    kept.begin()
    end = time.perf_counter() + 0.5
    while time.perf_counter() < end:
        kept.offer(slow)
    assert len(written) == 1  # the next one is due after two seconds


def test_a_full_disk_costs_no_fit(problem, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "write_model", full)
    with pytest.warns(UserWarning, match="No space left"), keeping(Checkpoint(tmp_path / "a", IDENTITY)):
        fit(M3LA(hidden=6, epochs=2), problem)
