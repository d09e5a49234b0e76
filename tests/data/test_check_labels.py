"""Labels: rare ones, copies and rows without any are found with their counts."""

from __future__ import annotations

import numpy as np
from clean import clean_arrays

from benchmark.data.checks.labels import label_faults
from benchmark.run.split import split


def found(labels):
    names = [f"label{j}" for j in range(labels.shape[1])]
    splits = {seed: split("mine", len(labels), seed) for seed in range(10)}
    return {f.kind: f for f in label_faults(labels, names, splits)}


def test_clean_labels_give_nothing():
    assert found(clean_arrays()[1]) == {}


def test_labels_of_one_class_or_one_row_are_found_and_no_copies():
    _, labels = clean_arrays()
    labels[:, 0], labels[:, 1], labels[:, 2], labels[:, 3] = 0, 0, 1, 1
    labels[7, 1], labels[8, 3] = 1, 0
    everything = found(labels)
    assert [*everything] == ["labels_with_one_class"]
    assert [x["positives"] for x in everything["labels_with_one_class"].first] == [0, 1, 300, 299]


def test_labels_that_a_part_lacks_are_counted_by_seed():
    _, labels = clean_arrays()
    rows = np.array([3, 50, 111, 200, 290])
    labels = np.column_stack([labels, np.zeros(300, dtype=np.uint8)])
    labels[rows, 6] = 1
    in_test = [int(np.isin(rows, split("mine", 300, seed).test).sum()) for seed in range(10)]
    everything = found(labels)
    assert [*everything] == ["labels_rare_in_a_part"]
    (instance,) = everything["labels_rare_in_a_part"].first
    assert instance["positives"] == 5
    assert instance["seeds_in_test"] == sum(count < 2 for count in in_test)
    assert instance["seeds_in_training"] == sum(5 - count < 2 for count in in_test)


def test_the_rows_that_lack_a_label_count_like_those_that_have_it():
    _, labels = clean_arrays()
    few = np.zeros(300, dtype=np.uint8)
    few[[3, 50, 111]] = 1
    having, lacking = (found(np.column_stack([labels, column])) for column in (few, 1 - few))
    assert [*having] == [*lacking] == ["labels_rare_in_a_part"]
    for instance in (having["labels_rare_in_a_part"].first[0], lacking["labels_rare_in_a_part"].first[0]):
        assert instance["label"] == "label6"
        assert instance["seeds_in_test"] >= 8


def test_copies_and_complements_of_labels_are_told_apart():
    _, labels = clean_arrays()
    labels[:, 3], labels[:, 5] = labels[:, 1], 1 - labels[:, 1]
    assert list(found(labels)["duplicate_labels"].first) == [
        {"label": "label3", "like": "label1", "complement": False},
        {"label": "label5", "like": "label1", "complement": True},
    ]


def test_rows_of_no_and_of_every_label_are_counted():
    _, labels = clean_arrays()
    labels[[4, 9, 40]], labels[[12, 13]] = 0, 1
    everything = found(labels)
    assert [x["row"] for x in everything["rows_without_labels"].first] == [4, 9, 40]
    assert everything["rows_with_every_label"].count == 2
