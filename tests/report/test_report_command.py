"""`report`, and the page at the end of a run: where it is written, what it refuses, what it leaves out."""

import dataclasses
import re
import shutil

import numpy as np
import pytest
from tiny_benchmark import OneByOne, Prior, ToyData, method, registry

from benchmark.cli import main
from benchmark.contracts import Provenance


class Decoder(Prior):
    """Reads the right modality first wherever the first label is likely, as a decoder's trace says it."""

    def fit(self, modalities, labels, holdout=None):  # noqa: ARG002 (the contract passes it)
        super().fit(modalities, labels)
        self.n_labels = labels.shape[1]
        return self

    def trace(self, modalities):
        n, m = len(modalities[0]), len(modalities)
        scores = self.predict_scores(modalities)
        steps = np.stack([0.5 * scores, scores], axis=1).astype(np.float32)
        return {
            "orders": np.tile(np.arange(m)[::-1], (n, 1)),
            "attention": np.full((n, m, m), 1 / m),
            "step_scores": steps,
            "loss_history": np.array([3.0, 2.0, 1.0]),
            "w_co": np.eye(self.n_labels),
        }


@pytest.fixture(scope="module")
def toys():
    methods = (method("M3LA", Decoder), method("DMP", OneByOne), method("Bad", trouble="raise"))
    return registry(
        *methods, datasets=(ToyData("ml2000", title="ML2000", kind=Provenance.REBUILT), ToyData())
    )


@pytest.fixture
def run(tmp_path, capsys, toys):
    """Call a command on a results folder of its own."""

    def called(*arguments, registry=toys):
        places = ["--results", str(tmp_path / "results"), "--data", str(tmp_path)]
        code = main([*map(str, arguments), *places], registry)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return called


@pytest.fixture(scope="module")
def records(toys, tmp_path_factory):
    """A results folder of a method that decodes and one that does not; without a page."""
    folder = tmp_path_factory.mktemp("recorded")
    flags = ["--seeds", "2", "--jobs", "1", "--datasets", "ml2000", "--methods", "M3LA,DMP"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("benchmark.report.command.write_report", lambda *_, **__: ())
        assert main(["run", *flags, "--results", str(folder), "--data", str(folder)], toys) == 0
    return folder


@pytest.fixture
def recorded(run, records, tmp_path):
    shutil.copytree(records, tmp_path / "results")
    return run


def test_a_run_ends_in_a_page_of_all_that_is_recorded(run, tmp_path):
    page = tmp_path / "results" / "report" / "index.html"
    code, out, _ = run("run", "--seeds", "2", "--jobs", "1", "--datasets", "toy", "--methods", "DMP")
    assert code == 0
    assert f"the page: {page}" in out
    assert "table.D.toy" in page.read_text() or "toy" in page.read_text()
    code, *_ = run("run", "--seeds", "2", "--jobs", "1", "--datasets", "ml2000", "--methods", "M3LA")
    text = page.read_text()
    assert code == 0
    assert "row.ml2000.M3LA" in text
    assert "row.toy.DMP" in text  # of the run before


def test_a_run_of_which_every_job_failed_still_ends(run):
    code, out, err = run("run", "--seeds", "1", "--jobs", "1", "--methods", "Bad")
    assert code == 1
    assert "the page:" in out
    assert "Bad" in err


def test_figures_of_every_kind_that_there_is_something_of(recorded, tmp_path):
    code, out, _ = recorded("report", "--datasets", "ml2000")
    assert code == 0
    folder = tmp_path / "results" / "report" / "figures"
    assert str(folder) in out
    kinds = {re.match(r"[a-z_]+", path.name)[0] for path in folder.iterdir()}
    assert {"seeds", "steps", "w_co", "reading", "attention", "loss", "cost", "choices"} <= kinds
    names = {path.stem for path in folder.iterdir()}
    assert {path.name for path in folder.iterdir()} == {
        f"{name}.{kind}" for name in names for kind in ("svg", "pdf")
    }


def test_a_damaged_record_is_told_and_the_rest_shown(recorded, tmp_path):
    damaged = next((tmp_path / "results").glob("runs/ml2000/DMP/0-*/scores.npz"))
    damaged.write_bytes(damaged.read_bytes()[:-20])
    code, _, err = recorded("report", "--datasets", "ml2000", "--methods", "DMP")
    assert code == 1
    assert str(damaged) in err
    page = (tmp_path / "results" / "report" / "index.html").read_text()
    assert "Left out" in page
    assert "row.ml2000.DMP" in page


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ((), "holds no finished, current record"),
        (("--reference",), "holds no reference"),
        (("--reference", "--profile", "tiny"), "holds no reference"),
    ],
)
def test_without_numbers_there_is_no_page_and_the_command_that_helps(run, tmp_path, flags, words):
    code, _, err = run("report", *flags)
    assert code == 2
    assert words in err
    assert "python run_all.py" in err
    assert not (tmp_path / "results" / "report").exists()


class TestGallery:
    @pytest.fixture
    def images(self, tmp_path):
        folder = tmp_path / "images"
        folder.mkdir()
        for number in range(1, 41):
            (folder / f"{number}.jpg").write_bytes(b"\xff\xd8 image %d" % number)
        return folder

    def test_images_are_shown_where_they_are_and_not_copied(self, recorded, tmp_path, images):
        page = tmp_path / "elsewhere" / "page.html"
        assert recorded("report", "--datasets", "ml2000", "--images", images, "--out", page)[0] == 0
        sources = re.findall(r'<img src="([^"]*)"', page.read_text())
        assert sources
        assert all((page.parent / source).resolve().parent == images for source in sources)
        assert "right → left" in page.read_text()

    def test_a_flag_that_states_the_terms_copies_them(self, recorded, tmp_path, images):
        page = tmp_path / "page.html"
        flags = ["--images", images, "--embed-images", "academic-use-only", "--out", page]
        assert recorded("report", "--datasets", "ml2000", *flags)[0] == 0
        assert re.findall(r'<img src="(.{23})', page.read_text())[0] == "data:image/jpeg;base64,"
        code, _, err = recorded("report", "--images", images, "--embed-images", "yes")
        assert code == 2
        assert "academic-use-only" in err

    def test_a_missing_image_or_record_is_named(self, recorded, run, images):
        for path in images.iterdir():
            path.unlink()
        code, _, err = recorded("report", "--datasets", "ml2000", "--images", images)
        assert code == 2
        assert re.search(r"\d+\.jpg is missing; give the folder", err)
        code, _, err = run("report", "--datasets", "toy", "--images", images)
        assert code == 2
        assert "no finished, current record" in err or "needs a current record" in err

    def test_a_method_that_does_not_decode_has_no_gallery(self, run, toys, images):
        plain = dataclasses.replace(toys, methods={**toys.methods, "M3LA": method("M3LA")})
        flags = ("--datasets", "ml2000", "--methods", "M3LA")
        run("run", "--seeds", "1", "--jobs", "1", *flags, registry=plain)
        code, _, err = run("report", *flags, "--images", images, registry=plain)
        assert code == 2
        assert "keeps no attention, orders, step_scores" in err
