"""Files that are no saved model, or were changed: refused in one line, before memory is taken for them."""

from __future__ import annotations

import contextlib
import copy
import json
import resource

import numpy as np
import pytest
from doors import METHODS, rows, small
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import save_file

from baselines import MCC, ClassifierChain
from benchmark.learning.saving import HEADER, LONGEST_HEADER, SavedModelError, digest
from m3la import M3LA

X, Y = rows()
SMALL = {"hidden": 4, "epochs": 1}
FORMS = [
    *(small(method) for method in METHODS),
    *(small(method, base_learner="logistic_regression", C_grid=(1.0,), scaling="none") for method in METHODS),
    M3LA(**SMALL, scaling="minmax", label_head="per_step", order="random", label_correlation=False),
]
ODD = (
    *(
        None,
        True,
        0,
        -1,
        3,
        10**9,
        10**12,
        10**400,
        0.5,
        1e300,
        "",
        "x",
        "cpu",
        "O",
        "meta",
        [],
        [0],
        [1, 2],
        {},
    ),
    *({"$array": "thresholds_"}, {"$array": "thresholds_", "shape": [3], "order": "C"}, [[[]]], "x" * 500),
)
"""What takes the place of something in a header."""


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Every form with its file and scores, and a place for changed files."""
    folder = tmp_path_factory.mktemp("saved")
    made = []
    for k, form in enumerate(FORMS):
        form.fit(X, Y, holdout=(X, Y) if k % 2 else None).save(folder / str(k))
        made.append((form, folder / str(k), form.predict_scores(X)))
    return made, folder / "changed"


def read(path):
    with safe_open(path, framework="np") as file:
        return json.loads(file.metadata()[HEADER]), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def places_of(tree, place=()):
    """Yield where there is something in a header, as keys and indices."""
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in pairs:
        yield (*place, key)
        yield from places_of(value, (*place, key))


def change_header(draw, header, _arrays):
    place = draw(st.sampled_from(list(places_of(header))))
    parent = header
    for key in place[:-1]:
        parent = parent[key]
    match draw(st.integers(0, 5)):
        case 0:
            del parent[place[-1]]
        case 1 if isinstance(parent, list):
            parent.append(copy.deepcopy(parent[place[-1]]))
        case 1:
            parent["more_"] = copy.deepcopy(parent[place[-1]])
        case _:
            parent[place[-1]] = copy.deepcopy(draw(st.sampled_from(ODD)))


def shapes_in(tree):
    """Yield what a header says of its arrays."""
    if isinstance(tree, dict) and "$array" in tree:
        yield tree
    for value in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        yield from shapes_in(value)


def change_array(draw, header, arrays):
    name = draw(st.sampled_from(sorted(arrays)))
    array = arrays[name]
    changed = {
        "nan": lambda: np.full_like(array, np.nan) if array.dtype.kind == "f" else array + 1,
        "type": lambda: array.astype(draw(st.sampled_from(["f2", "f4", "f8", "i1", "i8", "?"]))),
        "flat": lambda: array.reshape(-1),
        "shorter": lambda: array[: len(array) // 2] if array.ndim else array[None],
        "longer": lambda: np.concatenate([array, array]) if array.ndim else array[None],
        "turned": lambda: np.ascontiguousarray(array.T),
        "empty": lambda: array[:0] if array.ndim else array.reshape(1)[:0],
        "wide": lambda: np.zeros((0, 10**12), array.dtype),
        "zero": lambda: np.zeros_like(array),
        "large": lambda: np.full_like(array, 100),
    }[
        draw(
            st.sampled_from(
                ("nan", "type", "flat", "shorter", "longer", "turned", "empty", "wide", "zero", "large")
            )
        )
    ]
    arrays[name] = changed().copy()
    for told in shapes_in(header):
        if told["$array"] == name:
            told["shape"] = list(arrays[name].shape)


def change_names(draw, _header, arrays):
    name = draw(st.sampled_from(sorted(arrays)))
    if draw(st.booleans()):
        arrays["more"] = arrays[name]
    else:
        del arrays[name]


def check_a_changed_tree(saved, data):
    made, path = saved
    form, original, scores = data.draw(st.sampled_from(made))
    header, arrays = read(original)
    changes = st.sampled_from((change_header, change_array, change_names))
    for change in data.draw(st.lists(changes, min_size=1, max_size=2)):
        change(data.draw, header, arrays)
    if data.draw(st.integers(0, 5)) and isinstance(header.get("tree"), dict):
        header["sha256"] = digest(header["tree"], arrays)
    save_file(arrays, path, metadata={HEADER: json.dumps(header)})
    check_that_it_is_refused_or_a_model(form, path, scores)


def check_that_it_is_refused_or_a_model(form, path, scores):
    """A file with a digest of its own may be another model, with the attributes and scores of one."""
    try:
        loaded = type(form).load(path)
    except SavedModelError as error:
        message = str(error)
        assert "\n" not in message
        assert str(path) in message
        assert len(message) < 1000
        event("refused")
        return
    of_a_holdout = {"holdout_scores_", "holdout_macro_auc_", "holdout_micro_f1_"}
    assert vars(loaded).keys() <= vars(form).keys() | of_a_holdout
    event("another model")
    try:
        found = loaded.predict_scores(X)
    except ValueError:
        return
    assert found.shape == scores.shape
    assert np.isfinite(found).all()


def check_changed_bytes(saved, data):
    made, path = saved
    form, original, scores = data.draw(st.sampled_from(made))
    text = bytearray(original.read_bytes())
    match data.draw(st.integers(0, 3)):
        case 0:
            text = text[: data.draw(st.integers(0, len(text) - 1))]
        case 1:
            text += data.draw(st.binary(min_size=1, max_size=9))
        case _:
            for _ in range(data.draw(st.integers(1, 3))):
                text[data.draw(st.integers(0, len(text) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(text)
    try:
        found = type(form).load(path).predict_scores(X)
    except SavedModelError as error:
        assert "\n" not in str(error)  # noqa: PT017
        return
    assert np.array_equal(found, scores)  # what was changed meant nothing, or was changed back


def form_of(examples):
    return settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=examples < 1000,
        suppress_health_check=list(HealthCheck),
    )


@pytest.mark.parametrize("check", [check_a_changed_tree, check_changed_bytes])
@pytest.mark.filterwarnings("ignore")
def test_a_changed_file_is_refused_or_another_model(saved, check):
    form_of(40)(given(st.data())(lambda data: check(saved, data)))()


@pytest.mark.full
@pytest.mark.parametrize("thousands", [2] * 5)  # what hypothesis itself remembers grows
@pytest.mark.parametrize("check", [check_a_changed_tree, check_changed_bytes])
@pytest.mark.filterwarnings("ignore")
def test_a_changed_file_is_refused_or_another_model_in_full(saved, check, thousands):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    form_of(1_000 * thousands)(given(st.data())(lambda data: check(saved, data)))()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 2**10


def claims_a_large_network(tree, _arrays):
    tree["parameters"]["hidden"] = 10**8


def claims_many_features(tree, _arrays):
    tree["dims_"] = [10**9, 2]


def claims_many_labels(tree, _arrays):
    tree["n_labels_"] = 10**9


def names_an_array_twice(tree, _arrays):
    tree["label_frequencies_"] = tree["thresholds_"]


def names_an_array_never(_tree, arrays):
    arrays["more"] = np.zeros(3)


def has_a_long_header(tree, _arrays):
    tree["columns_"] = [[[]] * LONGEST_HEADER]


def nests_deeply(tree, _arrays):
    for _ in range(3000):
        tree["columns_"] = [tree["columns_"]]


def has_an_unknown_option(tree, _arrays):
    tree["parameters"]["optimiser"] = "ftrl"


def works_in_objects(tree, _arrays):
    tree["own"]["scalers"][0]["working"] = "O"


def sets_another_attribute(tree, _arrays):
    tree["own"]["scalers"][0]["transformer"]["secret_"] = 1


def has_an_attribute_of_another_shape(tree, arrays):
    name = tree["own"]["scalers"][0]["transformer"]["mean_"]["$array"]
    arrays[name] = arrays[name][:1]
    tree["own"]["scalers"][0]["transformer"]["mean_"]["shape"] = [1]


def draws_from_a_text(tree, _arrays):
    tree["streams"]["seed"] = "1"


def has_other_columns(tree, _arrays):
    tree["columns_"] = [["a"], None]


@pytest.mark.parametrize(
    "change",
    [
        claims_a_large_network,
        claims_many_features,
        claims_many_labels,
        names_an_array_twice,
        names_an_array_never,
        has_a_long_header,
        nests_deeply,
        has_an_unknown_option,
        works_in_objects,
        sets_another_attribute,
        has_an_attribute_of_another_shape,
        draws_from_a_text,
        has_other_columns,
    ],
)
def test_a_file_that_claims_what_no_fit_leaves_is_refused_before_memory_is_taken(tmp_path, change):
    M3LA(**SMALL).fit(X, Y).save(tmp_path / "model")
    header, arrays = read(tmp_path / "model")
    change(header["tree"], arrays)
    text = "{}"
    with contextlib.suppress(RecursionError):
        header["sha256"] = digest(header["tree"], arrays)
        text = json.dumps(header)
    if text == "{}":
        text = json.dumps({**header, "tree": None}).replace("null", "[" * 9999 + "]" * 9999)
    save_file(arrays, tmp_path / "claim", metadata={HEADER: text})
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(SavedModelError, match="claim: ") as error:
        M3LA.load(tmp_path / "claim")
    assert "\n" not in str(error.value)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 2**10


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.__name__)
def test_one_changed_number_is_told_by_the_digest(tmp_path, method):
    small(method).fit(X, Y).save(tmp_path / "model")
    header, arrays = read(tmp_path / "model")
    name = next(name for name in sorted(arrays) if arrays[name].size and arrays[name].dtype.kind == "f")
    arrays[name].flat[0] += 1e-6
    save_file(arrays, tmp_path / "model", metadata={HEADER: json.dumps(header)})
    with pytest.raises(SavedModelError, match="its SHA-256 is another one"):
        method.load(tmp_path / "model")


def test_an_order_of_a_chain_that_is_none_is_refused(tmp_path):
    for method, name in ((MCC, "chain_order"), (ClassifierChain, "order_")):
        small(method).fit(X, Y).save(tmp_path / "model")
        header, arrays = read(tmp_path / "model")
        arrays[f"own.{name}"][:] = 0
        header["sha256"] = digest(header["tree"], arrays)
        save_file(arrays, tmp_path / "model", metadata={HEADER: json.dumps(header)})
        with pytest.raises(SavedModelError, match="is no order of 3"):
            method.load(tmp_path / "model")
