"""Writes MATLAB v7.3 files as MATLAB does: HDF5 with classes, arrays on their side, cells by reference."""

from __future__ import annotations

import h5py
import numpy as np
from scipy import sparse

HEADER = b"MATLAB 7.3 MAT-file, Platform: GLNXA64, Created on: Fri Nov 27 2026".ljust(124) + b"\0\2IM"


class Cell(list):
    """A cell array; `rows` of several lie in MATLAB's order, column by column."""

    def __init__(self, items, rows=1):
        super().__init__(items)
        self.rows = rows


def write_v73(path, **variables):
    with h5py.File(path, "w", userblock_size=512) as file:
        references = file.create_group("#refs#")
        for name, value in variables.items():
            _write(file, references, name, value)
    with path.open("r+b") as stream:
        stream.write(HEADER)


def _write(parent, references, name, value):
    if isinstance(value, Cell):
        items = [_write(references, references, f"{name}_{k}", x) for k, x in enumerate(value)]
        grid = np.array([item.ref for item in items], dtype=object).reshape(-1, value.rows)
        return _class(parent.create_dataset(name, data=grid, dtype=h5py.ref_dtype), "cell")
    if sparse.issparse(value):
        group = parent.create_group(name)
        group.attrs["MATLAB_sparse"] = np.uint64(value.shape[0])
        csc = sparse.csc_array(value)
        group["jc"] = csc.indptr.astype(np.uint64)
        if csc.nnz:  # MATLAB leaves these out of a matrix of zeros
            group["ir"], group["data"] = csc.indices.astype(np.uint64), csc.data
        return _class(group, "double")
    if isinstance(value, str | list):
        rows = [value] if isinstance(value, str) else [x.ljust(max(map(len, value))) for x in value]
        codes = np.array([[ord(c) for c in row] for row in rows], dtype=np.uint16)
        return _class(parent.create_dataset(name, data=codes.T), "char")
    array = np.asarray(value)
    kind = (
        "logical"
        if array.dtype == bool
        else {"float64": "double", "float32": "single"}.get(array.dtype.name, array.dtype.name)
    )
    stored = array.astype(np.uint8) if array.dtype == bool else array
    return _class(parent.create_dataset(name, data=stored.T), kind)


def _class(item, name):
    item.attrs["MATLAB_class"] = np.bytes_(name)
    return item
