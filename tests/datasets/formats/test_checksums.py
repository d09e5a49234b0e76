"""Lists of checksums: every usual form is read, every array is covered, and nothing else passes."""

import hashlib
import os

import pytest

from benchmark.contracts import DataError
from datasets.formats.checksums import CHECKSUMS, read_checksums, verify_checksums

NAMES = ("bow.npy", "labels.npy")
CONTENT = {"bow.npy": b"bag of words", "labels.npy": b"labels"}
SUMS = {name: hashlib.sha256(content).hexdigest() for name, content in CONTENT.items()}


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "ml2000"
    made.mkdir()
    for name, content in CONTENT.items():
        (made / name).write_bytes(content)
    return made


def write(folder, pattern, encoding="utf-8", end="\n"):
    lines = [pattern.format(sum=SUMS[name], name=name, folder=folder) for name in NAMES]
    (folder / CHECKSUMS).write_bytes(end.join([*lines, ""]).encode(encoding))


FORMS = [
    "{sum}  {name}",
    "{sum} *{name}",
    "{sum}\t{name}",
    "{sum}  ./{name}",
    "{sum}  ml2000/{name}",
    "{sum}  {folder}/{name}",
    "{sum} *.\\{name}",
    "{sum} *ml2000\\{name}",
    "  {sum}  {name}  ",
    "SHA256 ({name}) = {sum}",
    "SHA256 (./{name}) = {sum}",
    "SHA256({name})= {sum}",
    "SHA2-256({name})= {sum}",
]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("form", FORMS)
def test_every_usual_form_is_verified(folder, form, end, encoding):
    write(folder, form, encoding, end)
    verify_checksums(folder, NAMES)
    (folder / "labels.npy").write_bytes(b"altered")
    with pytest.raises(
        DataError, match=rf"labels\.npy: expected SHA-256 {SUMS['labels.npy']}, found .*line 2"
    ):
        verify_checksums(folder, NAMES)


def test_both_byte_orders_comments_blank_lines_and_capitals_are_read(folder):
    text = "\ufeff# my sums\n\n" + "".join(f"{SUMS[name].upper()}  {name}\n" for name in NAMES)
    for encoding in ("utf-16-le", "utf-16-be", "utf-8"):
        (folder / CHECKSUMS).write_bytes(text.encode(encoding))
        assert {name: entry.line for name, entry in read_checksums(folder / CHECKSUMS).items()} == {
            "bow.npy": 3,
            "labels.npy": 4,
        }


def test_a_name_that_sha256sum_escapes_is_read(folder):
    odd = "new\nline \\ and\rreturn"
    (folder / odd).write_bytes(b"odd")
    written = odd.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
    digest = hashlib.sha256(b"odd").hexdigest()
    for line in (f"\\{digest}  {written}", f"\\SHA256 ({written}) = {digest}"):
        (folder / CHECKSUMS).write_text(line)
        assert list(read_checksums(folder / CHECKSUMS)) == [odd]


def test_other_files_that_are_listed_are_verified_too_and_the_list_itself_is_not(folder):
    (folder / "README").write_bytes(b"read me")
    write(folder, "{sum}  {name}")
    with (folder / CHECKSUMS).open("a") as listing:
        listing.write(f"{'0' * 64}  {CHECKSUMS}\n{hashlib.sha256(b'read me').hexdigest()}  README\n")
    verify_checksums(folder, NAMES)
    (folder / "README").write_bytes(b"altered")
    with pytest.raises(DataError, match="README: expected SHA-256"):
        verify_checksums(folder, NAMES)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("words", "line 3: expected a SHA-256 and a file name, found 'words'"),
        (SUMS["bow.npy"], "line 3: expected a SHA-256 and a file name"),
        (f"bow.npy  {SUMS['bow.npy']}", "line 3: expected a SHA-256 and a file name"),
        (f"{'0' * 32}  bow.npy", "line 3: expected a SHA-256 of 64 digits"),
        (f"{'0' * 128}  bow.npy", "line 3: expected a SHA-256 of 64 digits"),
        (f"MD5 (bow.npy) = {'0' * 32}", "line 3: expected a SHA-256 of 64 digits"),
        (f"SHA512/256 (bow.npy) = {'0' * 64}", "line 3: expected a SHA-256 of 64 digits"),
        (f"{'0' * 64}  bow.npy", "line 3: expected one digest of bow.npy, found 0000.* in line 1"),
        (f"{'0' * 64}  hog.npy", "line 3: expected a file in ml2000, found 'hog.npy'"),
        (f"{'0' * 64}  other/bow.npy", "line 3: expected a file in ml2000, found 'other/bow.npy'"),
        (f"{'0' * 64}  ../bow.npy", "line 3: expected a file in ml2000, found '../bow.npy'"),
        (f"{'0' * 64}  /bow.npy", "line 3: expected a file in ml2000, found '/bow.npy'"),
        (f"{'0' * 64}  {'n' * 300}", "line 3: expected a file in ml2000, found 'nnn"),
    ],
)
def test_whatever_else_a_line_says_is_refused_with_the_lists_name_and_the_line(folder, line, message):
    write(folder, "{sum}  {name}")
    with (folder / CHECKSUMS).open("a") as listing:
        listing.write(line + "\n")
    with pytest.raises(DataError, match=rf"{CHECKSUMS}, {message}"):
        verify_checksums(folder, NAMES)


@pytest.mark.parametrize("text", ["", "# nothing\n", f"{SUMS['bow.npy']}  bow.npy\n"])
def test_a_list_that_leaves_an_array_out_is_refused(folder, text):
    (folder / CHECKSUMS).write_text(text)
    with pytest.raises(DataError, match=rf"{CHECKSUMS}: expected a line for .*labels\.npy"):
        verify_checksums(folder, NAMES)


@pytest.mark.parametrize("content", [b"\xff\xfe\0\0", b"\xff\xff", "a".encode("utf-16-le"), b"x" * 2**21])
def test_a_list_in_another_encoding_or_far_too_long_is_refused(folder, content):
    (folder / CHECKSUMS).write_bytes(content)
    with pytest.raises(DataError, match=rf"{CHECKSUMS}: expected .*text"):
        verify_checksums(folder, NAMES)


@pytest.mark.parametrize(
    "name", ["SHA256SUMS.txt", "sha256sums", "bow.npy.sha256", "md5sums", "checksums.txt"]
)
def test_a_list_of_another_name_is_refused_rather_than_ignored(folder, name):
    (folder / name).write_text("anything")
    with pytest.raises(DataError, match=rf"expected checksums in {CHECKSUMS}, found {name}; rename"):
        verify_checksums(folder, NAMES)


def test_a_list_or_a_listed_file_that_is_no_file_is_refused_without_waiting_for_it(folder):
    (folder / CHECKSUMS).mkdir()
    with pytest.raises(DataError, match=f"{CHECKSUMS}: expected a file, found a folder"):
        verify_checksums(folder, NAMES)
    (folder / CHECKSUMS).rmdir()
    (folder / CHECKSUMS).symlink_to("nowhere")
    with pytest.raises(DataError, match=f"{CHECKSUMS}: expected a file, found no such file"):
        verify_checksums(folder, NAMES)
    (folder / CHECKSUMS).unlink()
    write(folder, "{sum}  {name}")
    (folder / "bow.npy").unlink()
    os.mkfifo(folder / "bow.npy")
    with pytest.raises(DataError, match=r"bow\.npy: expected a file, found a pipe"):
        verify_checksums(folder, NAMES)


def test_without_a_list_nothing_is_asked_for(folder):
    verify_checksums(folder, NAMES)
