"""What every registered method and data set must keep; a new one is covered without a further line here."""

from __future__ import annotations

import pytest

from benchmark.contracts import DatasetSpec, Provenance
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
