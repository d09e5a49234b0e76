"""Saved estimators: the same bits after loading; written whole or not at all; nothing foreign is read."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file
from sklearn.exceptions import NotFittedError

from baselines import CS3G, DMP, MCC, BinaryRelevance, ClassifierChain
from benchmark.contracts import Array, Streams
from benchmark.learning.saving import FORMAT, HEADER, SavedModelError, digest
from m3la import M3LA

SMALL = {"hidden": 6, "epochs": 3, "batch_size": 16}
ONE = {"ridge_grid": (0.1,), "laplacian_grid": (0.0,), "lasso_grid": (0.01,)}
FORMS = [
    M3LA(**SMALL),
    M3LA(**SMALL, order="random", encoder_order="random", label_correlation=False, scaling="minmax"),
    M3LA(**SMALL, order_gradient="gumbel", label_head="per_step", attention="dot", scaling="none"),
    M3LA(**SMALL, selection="holdout", attention="mean", scaling="l2"),
    BinaryRelevance(),
    BinaryRelevance(base_learner="logistic_regression", scaling="none"),
    ClassifierChain(chain_order="random", random_state=3),
    ClassifierChain(base_learner="logistic_regression"),
    DMP(**SMALL),
    DMP(epochs=2, hidden=None, selection="last", peepholes=True, n_steps=1, costs=(0.1, 0.3)),
    MCC(**SMALL),
    MCC(**SMALL, selection="last", first_modality="labels", modality_loss="none", optimiser="adam"),
    CS3G(lasso_grid=(0.0, 0.01), laplacian_grid=(0.0,)),
    CS3G(**{**ONE, "lasso_grid": (0.0,)}, variant="learned", costs="balanced"),
]
each_form = pytest.mark.parametrize("form", FORMS, ids=lambda form: repr(form).replace("\n", ""))


def data() -> tuple[list[Array], Array]:
    """Labels that depend on the modalities, but for one that no row and one that every row of a fit has."""
    rng = np.random.default_rng(2)
    modalities = [rng.normal(size=(70, 4)), rng.normal(size=(70, 3)).astype(np.float32)]
    modalities[0][:, 1] = 1e9 + 1e-3 * modalities[0][:, 1]  # double precision is needed
    labels = np.stack([modalities[0][:, 0] > 0, modalities[1][:, 0] > 0, modalities[1][:, 1] > 0.5], axis=1)
    constant = np.repeat([[0, 1]], 70, axis=0)
    return modalities, np.concatenate([labels, constant], axis=1).astype(np.uint8)


@each_form
@pytest.mark.filterwarnings("ignore:.*vary in the training rows")
def test_a_loaded_estimator_scores_and_predicts_bit_for_bit_as_before(form, tmp_path: Path) -> None:
    modalities, labels = data()
    held = ([x[50:] for x in modalities], labels[50:]) if getattr(form, "needs_holdout", False) else None
    form.fit([x[:50] for x in modalities], labels[:50], held)
    form.save(tmp_path / "model")
    loaded = type(form).load(tmp_path / "model")
    assert np.array_equal(loaded.predict_scores(modalities), form.predict_scores(modalities))
    for rule in ("calibrated", "fixed", "transductive_eq13"):
        assert np.array_equal(loaded.predict(modalities, rule), form.predict(modalities, rule))
    before, after = form.trace(modalities), loaded.trace(modalities)
    assert before.keys() == after.keys()
    for name in before:
        np.testing.assert_array_equal(after[name], before[name])
    assert loaded.get_params() == form.get_params()
    assert hasattr(loaded, "holdout_scores_") == hasattr(form, "holdout_scores_")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_model_fitted_with_streams_reads_the_same_random_orders_again(tmp_path: Path) -> None:
    modalities, labels = data()
    form = M3LA(**SMALL, order="random", random_state=Streams("toy", 5)).fit(modalities, labels)
    form.save(tmp_path / "model")
    loaded = M3LA.load(tmp_path / "model")
    assert np.array_equal(loaded.trace(modalities)["orders"], form.trace(modalities)["orders"])


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("saved") / "model.safetensors"
    M3LA(**SMALL).fit(*data()).save(path)
    return path


def altered(saved: Path, path: Path, change) -> Path:
    """Write the model again after a change of its header and arrays."""
    with safe_open(saved, framework="np") as file:
        header = json.loads(file.metadata()[HEADER])
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    change(header, arrays)
    header["sha256"] = digest(header["tree"], arrays)
    save_file(arrays, path, metadata={HEADER: json.dumps(header)})
    return path


def other_format(header, _arrays) -> None:
    header["format"] = FORMAT + 1


def other_options(header, _arrays) -> None:
    header["tree"]["parameters"]["hidden"] = 7


def unknown_parameter(header, _arrays) -> None:
    header["tree"]["parameters"]["colour"] = "red"


def other_shape(header, arrays) -> None:
    name = "thresholds_"
    arrays[name] = arrays[name][:-1]
    header["tree"][name]["shape"] = [len(arrays[name])]


def array_of_other_shape_than_the_header_says(_header, arrays) -> None:
    arrays["thresholds_"] = arrays["thresholds_"][:-1]


def missing_array(_header, arrays) -> None:
    del arrays["thresholds_"]


@pytest.mark.parametrize(
    "change",
    [
        other_format,
        other_options,
        unknown_parameter,
        other_shape,
        array_of_other_shape_than_the_header_says,
        missing_array,
    ],
)
def test_a_file_of_another_version_or_shape_is_refused_by_name(saved: Path, tmp_path: Path, change) -> None:
    path = altered(saved, tmp_path / "other", change)
    with pytest.raises(SavedModelError, match="other: ") as error:
        M3LA.load(path)
    assert "\n" not in str(error.value)


def test_what_is_no_saved_model_is_refused_by_name(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(SavedModelError, match=r"holds a M3LA, not a DMP; load it with M3LA\.load"):
        DMP.load(saved)
    cut = tmp_path / "cut"
    cut.write_bytes(saved.read_bytes()[:-9])
    with pytest.raises(SavedModelError, match="cut: no complete safetensors file"):
        M3LA.load(cut)
    save_file({"a": np.zeros(2)}, tmp_path / "foreign")
    with pytest.raises(SavedModelError, match="foreign: holds no model of this project"):
        M3LA.load(tmp_path / "foreign")
    with pytest.raises(FileNotFoundError, match="nothing: no such file"):
        M3LA.load(tmp_path / "nothing")


def test_a_method_without_devices_refuses_one(tmp_path: Path) -> None:
    BinaryRelevance().fit(*data()).save(tmp_path / "model")
    with pytest.raises(ValueError, match="leave out device='cuda'"):
        BinaryRelevance.load(tmp_path / "model", device="cuda")


def test_nothing_is_written_before_a_fit_or_half(saved: Path, tmp_path: Path, monkeypatch) -> None:
    with pytest.raises(NotFittedError):
        M3LA().save(tmp_path / "model")

    def full(*_args, **_options):
        raise OSError(28, "No space left on device")

    model, earlier = M3LA.load(saved), saved.read_bytes()
    monkeypatch.setattr("benchmark.learning.saving.save_file", full)
    with pytest.raises(OSError, match="No space left"):
        model.save(saved)
    assert saved.read_bytes() == earlier
    assert list(tmp_path.iterdir()) == []


def test_what_is_set_after_a_fit_changes_neither_scores_nor_the_file(tmp_path: Path) -> None:
    modalities, labels = data()
    form = M3LA(**SMALL, order="random").fit(modalities, labels)
    before = form.predict_scores(modalities)
    form.set_params(order="fixed", hidden=3, label_activation="sigmoid").save(tmp_path / "model")
    assert np.array_equal(form.predict_scores(modalities), before)
    loaded = M3LA.load(tmp_path / "model")
    assert np.array_equal(loaded.predict_scores(modalities), before)
    assert loaded.hidden == SMALL["hidden"]
    with pytest.raises(IsADirectoryError, match="give the name of a file"):
        form.save(tmp_path)


def test_a_method_without_devices_takes_the_processor(tmp_path: Path) -> None:
    BinaryRelevance().fit(*data()).save(tmp_path / "model")
    assert BinaryRelevance.load(tmp_path / "model", device="cpu").n_labels_ == 5
