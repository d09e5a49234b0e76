"""What must and what must not change the hash of a record's code and settings."""

from __future__ import annotations

import importlib
import itertools
import os
import subprocess
import sys
import textwrap

import pytest
from sklearn.naive_bayes import GaussianNB

from benchmark.run.fingerprint import FingerprintError, canonical, code_digest, config_hash

METHOD = """
    '''A method.'''
    from __future__ import annotations
    from typing import TYPE_CHECKING
    from {package}.loss import squared
    from {package} import helpers
    import {package}.scaling
    import {package}.patching as imported_for_what_it_does
    if TYPE_CHECKING:
        from {package}.unused import nothing

    RATE = 0.1

    class Method:
        '''Fits.'''
        FACTORS = ("described",)

        def fit(self, x: float) -> float:
            '''Fit.'''
            return RATE * squared(x) + helpers.shift(x) + {package}.scaling.FACTOR

    def hint(n):
        return n

    METHODS = (Method, hint)

    if __name__ == "__main__":
        import {package}.program
"""
LOSS = """
    '''A loss.'''
    from . import deep

    def squared(x):
        return deep.scale(x) ** 2  # the square

    def unrelated(x):
        return 1
"""
SOURCES = {
    "__init__": "",
    "method": METHOD,
    "loss": LOSS,
    "deep": "def scale(x):\n    return 3 * x\n",
    "helpers": "def shift(x):\n    return x + 1\n",
    "scaling": "FACTOR = 2\n",
    "patching": "print('hello')\n",
    "unused": "nothing = 1\n",
    "program": "from . import unused\n",
}
_names = itertools.count()


class Project:
    """A package written to disk, which a test edits."""

    def __init__(self, folder, package):
        self.folder, self.package = folder / package, package
        self.folder.mkdir()
        self.edits = 0
        for name, source in SOURCES.items():
            text = textwrap.dedent(source).replace("{package}", package)
            (self.folder / f"{name}.py").write_text(text)

    def digest(self):
        return code_digest((f"{self.package}.method", "Method"))

    def edit(self, module, old, new, count=-1):
        path = self.folder / f"{module}.py"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, count))
        self.edits += 1
        later = path.stat().st_mtime_ns + self.edits * 10**9  # file systems may keep whole seconds only
        os.utime(path, ns=(later, later))

    def move(self, module, new_name, users):
        (self.folder / f"{module}.py").rename(self.folder / f"{new_name}.py")
        importlib.invalidate_caches()
        for user, changes in users.items():
            for old, new in changes:
                self.edit(user, old, new)


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    return Project(tmp_path, f"toyproject{next(_names)}")


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        ("loss", "** 2", "** 3"),
        ("deep", "3 * x", "4 * x"),
        ("helpers", "x + 1", "x + 2"),
        ("scaling", "2", "3"),
        ("patching", "hello", "hallo"),
        ("method", "RATE = 0.1", "RATE = 0.2"),
        ("method", "RATE * squared", "RATE + squared"),
    ],
)
def test_one_line_that_a_number_runs_through_changes_the_digest(project, module, old, new):
    before = project.digest()
    project.edit(module, old, new)
    assert project.digest() != before
    project.edit(module, new, old, count=1)
    assert project.digest() == before


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        ("loss", "# the square", "# squared"),
        ("loss", "'''A loss.'''", "'''The loss of the paper.'''"),
        ("loss", "return 1", "return 2"),
        ("loss", "from . import deep\n", "from . import deep\n\n\n"),
        ("method", "'''Fit.'''", "'''Fit it.'''"),
        ("method", "(self, x: float) -> float", "(self, x)"),
        ("method", '"described"', '"described better"'),
        ("method", "return n", "return 2 * n"),
        ("method", "(Method, hint)", "(Method,)"),
        ("unused", "1", "2"),
    ],
)
def test_what_no_number_runs_through_leaves_the_digest_alone(project, module, old, new):
    before = project.digest()
    project.edit(module, old, new)
    assert project.digest() == before


def test_a_definition_that_moves_and_a_module_that_is_renamed_leave_the_digest_alone(project):
    before = project.digest()
    project.move(
        "helpers", "shifts", {"method": [("import helpers", "import shifts"), ("helpers.", "shifts.")]}
    )
    project.move("deep", "scales", {"loss": [("import deep", "import scales"), ("deep.", "scales.")]})
    project.move("scaling", "factors", {"method": [(".scaling", ".factors")]})
    project.move("loss", "losses", {"method": [(".loss import", ".losses import")]})
    assert project.digest() == before
    project.edit("scales", "3 * x", "4 * x")
    assert project.digest() != before


def test_a_name_that_is_taken_from_elsewhere_changes_the_digest_although_all_that_is_reached_stays(project):
    project.edit("helpers", "return x + 1", "return x + 1\n\ndef scale(x):\n    return x")
    project.edit("loss", "from . import deep", "from . import deep\nfrom .helpers import scale")
    project.edit("loss", "deep.scale(x) ** 2", "deep.scale(x) ** 2 + scale(x)")
    before = project.digest()
    project.edit("loss", "from .helpers import scale", "from .deep import scale")
    assert project.digest() != before


def test_every_registered_method_reaches_its_own_code_and_the_split():
    from benchmark.registry import discover
    from benchmark.run.fingerprint import HARNESS_ROOTS, WHOLE, code_roots, reachable_definitions

    for spec in discover().methods.values():
        roots = [*code_roots(spec.estimator, spec.options), *((module, WHOLE) for module in HARNESS_ROOTS)]
        reached = {
            (module, source.split("(")[0].splitlines()[0]) for module, source in reachable_definitions(roots)
        }
        assert (spec.estimator.__module__, f"class {spec.estimator.__name__}") in reached
        assert ("benchmark.run.split", "def carve_holdout") in reached
        assert ("benchmark.run.trial", "def run_trial") in reached


def test_settings_hash_alike_whatever_the_order_and_the_container():
    assert config_hash({"a": (1, 2), "b": None}) == config_hash({"b": None, "a": [1, 2]})
    assert config_hash({"a": 1}) != config_hash({"a": 2})
    assert config_hash({"a": True}) != config_hash({"a": 1})
    assert config_hash({"a": GaussianNB()}) != config_hash({"a": GaussianNB(var_smoothing=0.1)})


def test_a_method_without_a_source_file_is_refused():
    for module in ("__main__", "math"):
        with pytest.raises(FingerprintError, match="put it into a module"):
            code_digest((module, "Method"))


def test_a_setting_without_a_stable_text_is_refused():
    with pytest.raises(FingerprintError, match="no stable text"):
        canonical(object())


def test_an_estimator_among_the_options_brings_its_own_code(tmp_path, monkeypatch):
    from benchmark.learning.adapter import Concatenated
    from benchmark.run.fingerprint import code_roots

    source = "from sklearn.dummy import DummyClassifier\n\n\nclass Mine(DummyClassifier):\n    offset = {}\n"
    (tmp_path / "outside_methods.py").write_text(source.format(1))
    monkeypatch.syspath_prepend(str(tmp_path))
    import outside_methods

    roots = code_roots(Concatenated, {"estimator": outside_methods.Mine(), "random_state": 0})
    assert roots == (("benchmark.learning.adapter", "Concatenated"), ("outside_methods", "Mine"))
    before = code_digest(*roots)
    (tmp_path / "outside_methods.py").write_text(source.format(2) + "\n")
    assert code_digest(*roots) != before
    from sklearn.dummy import DummyClassifier

    assert code_roots(Concatenated, {"estimator": DummyClassifier()}) == roots[:1]


def test_code_is_read_without_being_executed():
    """A worker reads the code of each method, and would else hold torch only for having looked."""
    looked = """
import sys
from benchmark.run.fingerprint import code_digest
print(code_digest(("baselines.sequential.mcc", "MCC")))
assert not {"baselines", "torch", "sklearn"} & {*sys.modules}, "imported"
"""
    done = subprocess.run([sys.executable, "-c", looked], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == code_digest(("baselines.sequential.mcc", "MCC"))
