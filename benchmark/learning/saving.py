"""Fitted estimators as safetensors files whose header holds JSON, so that reading one runs no code.

It knows no method: an estimator gives a tree of plain values and arrays, and gets it back.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from threading import get_ident
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from sklearn.base import BaseEstimator, clone

from benchmark.contracts import Array
from benchmark.inputs import quoted
from benchmark.words import one_line

if TYPE_CHECKING:
    from torch import nn

Module = TypeVar("Module", bound="nn.Module")

FORMAT = 1
"""Raised whenever older files could no longer be read rightly."""
HEADER = "m3la-reproducibility"
"""The entry of the file's metadata that holds all but the arrays, as JSON."""
ARRAY = "$array"
MOST_FEATURES = 2**22
"""Of a row on which a loaded model is tried; a file could claim any number of them."""
LONGEST_HEADER = 2**21
"""Characters of a header beside those that a large file may have; Python's objects take 24 times that."""


class SavedModelError(ValueError):
    """A file that holds no model that can be used here; the message names it, and what is wrong."""


def write_model(path: str | Path, kind: str, tree: Mapping[str, Any]) -> None:
    """Write a tree of mappings, sequences, numbers, texts, None and arrays, whole or not at all.

    Parameters
    ----------
    path : of the file; one that is there is replaced.
    kind : what is saved, which `read_model` asks for.

    Raises
    ------
    TypeError
        For a value of another type.
    OSError
        If the file cannot be written.
    """
    arrays: dict[str, Array] = {}
    flat = _flattened(tree, "", arrays)
    header = {"format": FORMAT, "kind": kind, "sha256": digest(flat, arrays), "tree": flat}
    final = Path(path)
    partial = final.with_name(f".{final.name}.{os.getpid()}-{get_ident()}.partial")
    try:
        save_file(arrays, partial, metadata={HEADER: json.dumps(header, allow_nan=False)})
        partial.replace(final)
    except SafetensorError as error:
        raise OSError(f"{path}: cannot be written ({error}); choose another place") from error
    finally:
        partial.unlink(missing_ok=True)


def read_model(path: str | Path, kind: str) -> dict[str, Any]:
    """Return the tree that `write_model` wrote; sequences come back as lists.

    Raises
    ------
    SavedModelError
        If the file is no such file, damaged, or holds another format or kind.
    OSError
        If it cannot be opened.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: no such file; give a file that save() wrote")
    try:
        with safe_open(path, framework="np") as file:
            text = (file.metadata() or {}).get(HEADER, "null")
            names = file.keys()
            arrays = {name: file.get_tensor(name) for name in names}
    except OSError:
        raise
    except Exception as error:  # of many kinds, such as a type that numpy does not have
        raise SavedModelError(
            f"{path}: no complete safetensors file ({one_line(error)}); save the model again"
        ) from error
    try:
        if len(text) > LONGEST_HEADER + Path(path).stat().st_size // 12:
            raise ValueError("a header of this length is not what a fit leaves")
        header = json.loads(text)
        version, found = header["format"], header["kind"]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise SavedModelError(
            f"{path}: holds no model of this project; give a file that save() wrote"
        ) from error
    if version != FORMAT or isinstance(version, bool):
        raise SavedModelError(
            f"{path}: has format {quoted(version)}, this version reads {FORMAT}; fit and save the model again"
        )
    if found != kind:
        name = found if isinstance(found, str) and found.isidentifier() else quoted(found)
        raise SavedModelError(f"{path}: holds a {name}, not a {kind}; load it with {name}.load")
    try:
        if header["sha256"] != digest(header["tree"], arrays):
            raise ValueError("its SHA-256 is another one")
        tree = dict(_nested(header["tree"], arrays))
        if arrays:
            raise ValueError(f"nothing names {quoted(next(iter(arrays)))}")
        return tree
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise SavedModelError(
            f"{path}: the header does not fit the arrays ({one_line(error)}); save again"
        ) from error


def digest(tree: Any, arrays: Mapping[str, Array]) -> str:
    """Return the SHA-256 of a header's tree and the arrays that it names."""
    found = hashlib.sha256(json.dumps(tree, sort_keys=True).encode())
    for name in sorted(arrays):
        array = arrays[name]
        found.update(f"{name} {array.dtype.str} {array.shape}".encode())
        found.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return found.hexdigest()


def fitted_attributes(estimator: BaseEstimator) -> dict[str, Any]:
    """Return what a scikit-learn estimator learned, by attribute."""
    return {name: value for name, value in vars(estimator).items() if _is_fitted(name)}


def set_fitted_attributes(estimator: BaseEstimator, found: Mapping[str, Any]) -> BaseEstimator:
    """Give an unfitted estimator what one like it learned, and return it.

    Raises
    ------
    ValueError
        For other attributes than its fit to two classes sets here, or of other shapes or types, as other
        versions of scikit-learn may leave.
    """
    d = found.get("n_features_in_", 1)
    if type(d) is not int or not 0 < d <= MOST_FEATURES:
        raise ValueError(f"{quoted(d)} features")
    like = fitted_attributes(clone(estimator).fit(np.arange(2.0 * d).reshape(2, d), np.array([0, 1])))
    if (expected := _forms(like)) != (forms := _forms(found)):
        differing = ", ".join(sorted({name for name, _ in expected.items() ^ forms.items()}))
        raise ValueError(f"{type(estimator).__name__} has other attributes in this scikit-learn: {differing}")
    for name, value in found.items():
        setattr(estimator, name, value)
    return estimator


def _forms(attributes: Mapping[str, Any]) -> dict[str, tuple[tuple[int, ...], str]]:
    """Return shape and kind of each attribute; integers are integers, signed or not."""
    arrays = {name: np.asarray(value) for name, value in attributes.items()}
    return {name: (array.shape, array.dtype.kind.replace("u", "i")) for name, array in arrays.items()}


def with_weights(build: Callable[[], Module], weights: Mapping[str, Array]) -> Module:
    """Return the module that `build` makes with other weights, by their name in its state.

    Raises
    ------
    ValueError
        For other names or shapes, before memory is taken for the module.
    """
    import torch  # only where a method has a network, as it takes long to load

    with torch.device("meta"):
        expected = {name: tuple(tensor.shape) for name, tensor in build().state_dict().items()}
    if expected != (found := {name: array.shape for name, array in weights.items()}):
        name = sorted(expected.items() ^ found.items())[0][0]
        raise ValueError(f"the weight {name!r} has shape {found.get(name)}, not {expected.get(name)}")
    module = build()
    module.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
    return module


def permutation(found: Array, n: int) -> Array:
    """Return an order of n things that a file holds.

    Raises
    ------
    ValueError
        If it is none: what it leaves out would be memory that nothing wrote.
    """
    if found.dtype.kind not in "iu" or not np.array_equal(np.sort(found), np.arange(n)):
        raise ValueError(f"{quoted(found)} is no order of {n}")
    return found


def _is_fitted(name: str) -> bool:
    return name.endswith("_") and not name.startswith("_")


def _flattened(value: Any, place: str, arrays: dict[str, Array]) -> Any:
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, np.floating):
        return float(value)  # of a long double too, which no file holds
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {str(name): _flattened(item, f"{place}.{name}", arrays) for name, item in value.items()}
    if isinstance(value, Sequence):
        return [_flattened(item, f"{place}.{k}", arrays) for k, item in enumerate(value)]
    if hasattr(value, "detach"):  # a tensor
        value = value.detach().cpu().numpy()
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "biuf":
        raise TypeError(f"{place.lstrip('.')} is a {type(value).__name__}, which cannot be saved")
    arrays[place.lstrip(".")] = np.asarray(value, order="C")
    # Products depend on the order of a matrix in memory in their last bit, so it is kept.
    by_column = value.ndim == 2 and value.flags.f_contiguous and not value.flags.c_contiguous
    return {ARRAY: place.lstrip("."), "shape": list(value.shape), "order": "F" if by_column else "C"}


def _nested(value: Any, arrays: dict[str, Array]) -> Any:
    if isinstance(value, list):
        return [_nested(item, arrays) for item in value]
    if not isinstance(value, dict):
        return value
    if ARRAY not in value:
        return {name: _nested(item, arrays) for name, item in value.items()}
    name = value[ARRAY]
    array = arrays.pop(name)  # an array named twice would take twice the memory
    if list(array.shape) != value["shape"] or value["order"] not in ("C", "F"):
        raise ValueError(f"{name} has shape {array.shape}, not {quoted(value['shape'])}")
    return np.require(array, requirements=(value["order"], "W"))
