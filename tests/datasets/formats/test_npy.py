"""One array from a `.npy` file: nothing is allocated or waited for before the file has been looked at."""

import os
import tracemalloc

import numpy as np
import psutil
import pytest

from benchmark.contracts import DataError
from datasets.formats.npy import read_array


def write(path, header, data=b"", version=(1, 0)):
    text = header.encode("latin-1")
    width = 2 if version[0] == 1 else 4
    path.write_bytes(b"\x93NUMPY" + bytes(version) + len(text).to_bytes(width, "little") + text + data)
    return path


def header(descr="'<f4'", order="False", shape="(2, 3)"):
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n"


DATA = np.arange(6, dtype="<f4").reshape(2, 3)


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
@pytest.mark.parametrize(
    "text",
    [
        header(),
        header(shape="(2L, 3L)"),
        header(descr='"<f4"', shape="( 2,3, )"),
        "{'shape': (2, 3), 'fortran_order': False, 'descr': '<f4'}",
        "{ 'descr' :'<f4','fortran_order':False,\n 'shape': (2, 3)  }   \n",
    ],
)
def test_headers_of_other_writers_are_read(tmp_path, text, version):
    np.testing.assert_array_equal(
        read_array(write(tmp_path / "x.npy", text, DATA.tobytes(), version), (2, 3)), DATA
    )


@pytest.mark.parametrize("dtype", ["?", "i1", "u1", "<i2", ">u2", "<i4", ">i8", "<u8", "<f2", ">f4", "<f8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_numbers_are_those_that_were_saved_in_their_own_type(tmp_path, dtype, order):
    saved = np.asarray([[0, 1, 1], [1, 0, 0]], dtype=dtype, order=order)
    np.save(tmp_path / "x.npy", saved)
    found = read_array(tmp_path / "x.npy", (2, 3))
    assert found.dtype == saved.dtype
    np.testing.assert_array_equal(found, saved)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        header(shape="(-2, 3)"),
        header(shape="(True, 3)"),
        header(shape="[2, 3]"),
        header(shape="\x1c(2, 3)"),
        header(shape="(" + " " * 9000 + "x)"),
        header(shape="(2," + " " * 9000 + "3 3)"),
        header(shape="(1 2, 3)"),
        header(shape="(2,\x0b 3)"),
        header(descr="'<a1'"),
        header(descr="'<U999999999'").replace("U", "u"),
        header(shape="(2)"),
        header(shape="(2.0, 3)"),
        header(shape="(1+1, 3)"),
        header(shape=f"({'9' * 5000}, 3)"),
        header(shape="(٢, 3)".encode().decode("latin-1")),
        header(order="0"),
        header(order="'False'"),
        header(descr="[('a', '<f4'), ('b', '<i4')]"),
        header(descr="'f4,f4'"),
        header(descr="('<f4', (2,))"),
        header(descr="'<f3'"),
        header(descr="<f4"),
        header() + header(),
        "{'descr': '<f4', 'fortran_order': False}",
        header().replace("}", "'more': 1}"),
        "{'descr': '<f8', 'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)}",
        "(" * 5000,
        "-" * 9000 + "1",
        "{" + "1+" * 4000 + "1}",
    ],
)
def test_a_malformed_header_is_refused_and_never_evaluated(tmp_path, text):
    with pytest.raises(DataError, match=r"x\.npy: expected a complete .npy file .*its header is ") as caught:
        read_array(write(tmp_path / "x.npy", text, DATA.tobytes()), (2, 3))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("dtype", ["<c8", "<U3", "|S4", "|V8", "<M8", "<f16", "<c16"])
def test_what_is_no_real_number_is_refused(tmp_path, dtype):
    with pytest.raises(DataError, match="expected real numbers, found dtype"):
        read_array(write(tmp_path / "x.npy", header(descr=repr(dtype)), DATA.tobytes()), (2, 3))


def test_a_header_longer_than_numpys_own_is_refused_unread(tmp_path):
    for text in (header() + " " * 20_000, header()):
        path = write(tmp_path / "x.npy", text, DATA.tobytes(), (2, 0))
        if len(text) < 100:
            path.write_bytes(
                path.read_bytes().replace(len(text).to_bytes(4, "little"), b"\xff\xff\xff\x7f", 1)
            )
        with pytest.raises(DataError, match="its header would be"):
            read_array(path, (2, 3))


@pytest.mark.parametrize(
    "shape", ["(1000000000000, 3)", "(999999999999999999, 999999999999999999)", "(2, 3, 0)", "()"]
)
def test_a_shape_that_nobody_asked_for_is_refused_without_allocating(tmp_path, shape):
    path = write(tmp_path / "x.npy", header(shape=shape), DATA.tobytes())
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=r"expected shape \(2, 3\)"):
            read_array(path, (2, 3))
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_what_a_header_declares_is_compared_with_the_file_and_then_with_memory_before_allocating(
    tmp_path, monkeypatch
):
    rows = 10**12
    path = write(tmp_path / "x.npy", header(shape=f"({rows}, 3)"), DATA.tobytes())
    with pytest.raises(DataError, match="truncated"):
        read_array(path, (rows, 3))
    path = write(tmp_path / "x.npy", header(shape="(40000, 100)"))
    os.truncate(path, path.stat().st_size + 16_000_000)  # a sparse file, as large as it says
    monkeypatch.setattr(psutil, "virtual_memory", lambda: type("Free", (), {"available": 20_000_000}))
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="memory for twice 15 MiB, found 19 MiB free"):
            read_array(path, (40_000, 100))
        assert tracemalloc.get_traced_memory()[1] < 2**20
        monkeypatch.undo()
        assert not read_array(path, (40_000, 100)).any()
        assert tracemalloc.get_traced_memory()[1] < 2 * 16_000_000
    finally:
        tracemalloc.stop()


def test_booleans_are_stored_as_0_and_1(tmp_path):
    path = write(tmp_path / "x.npy", header(descr="'|b1'"), bytes([0, 1, 1, 0, 2, 1]))
    with pytest.raises(DataError, match="expected booleans stored as bytes 0 and 1, found the byte 2"):
        read_array(path, (2, 3))


def test_what_is_no_regular_file_is_refused_without_waiting(tmp_path):
    path = tmp_path / "x.npy"
    for make, found in (
        (path.mkdir, "a folder"),
        (lambda: os.mkfifo(path), "a pipe or device"),
        (lambda: path.symlink_to("/dev/zero"), "a pipe or device"),
        (lambda: path.symlink_to("nowhere"), "no such file"),
        (lambda: path.symlink_to("x.npy"), "[Ss]ymbolic links"),
    ):
        make()
        with pytest.raises(DataError, match=rf"x\.npy: expected a .*file, found .*{found}"):
            read_array(path, (2, 3))
        path.rmdir() if path.is_dir() else path.unlink()
    np.save(tmp_path / "elsewhere.npy", DATA)
    path.symlink_to("elsewhere.npy")
    np.testing.assert_array_equal(read_array(path, (2, 3)), DATA)
