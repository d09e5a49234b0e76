"""What every registered method and data set must keep; a new one is covered without a further line here."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from benchmark.contracts import DatasetSpec, Provenance, cache_directory
from benchmark.registry import discover
from benchmark.run.check_method import CHECKS, Subject

REGISTRY = discover()
SUBJECTS = [Subject(spec, tuple(REGISTRY.datasets)) for spec in REGISTRY.methods.values()]
each_dataset = pytest.mark.parametrize("spec", REGISTRY.datasets.values(), ids=lambda spec: spec.id)


@pytest.mark.parametrize("check", CHECKS.values(), ids=lambda check: check.__name__)
@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.spec.id)
def test_a_method_keeps_its_promises(subject, check):
    check(subject)


@each_dataset
def test_a_data_set_declares_table_1_consistently(spec):
    assert isinstance(spec, DatasetSpec)
    assert spec.id == spec.id.lower()
    assert spec.expected.m == len(spec.modality_names) == len(set(spec.modality_names))
    assert "labels" not in spec.modality_names


@each_dataset
def test_a_data_set_says_what_it_would_load_without_the_users_features(spec, tmp_path):
    assert spec.provenance(tmp_path) in (Provenance.REBUILT, Provenance.LOOK_ALIKE)


def test_a_user_without_a_home_has_a_cache_among_the_temporary_files(monkeypatch):
    monkeypatch.delenv("M3LA_CACHE", raising=False)
    monkeypatch.delenv("M3LA_DATA", raising=False)

    def homeless(_):
        raise RuntimeError("could not determine the home directory")

    for answer in (homeless, lambda _: Path("~/.cache/m3la")):
        monkeypatch.setattr("platformdirs.user_cache_path", answer)
        assert cache_directory().parent == Path(tempfile.gettempdir())
