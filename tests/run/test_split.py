"""Splits are pinned by number: a changed row would silently change every result."""

import numpy as np
import pytest

from benchmark.run.split import carve_holdout, split

# Drawn once with numpy 2.4 from default_rng(SeedSequence([1, crc32(id), seed])).permutation(N).
PINNED = {
    "fcvid": (4388, 439, [1490, 1482, 128, 3521, 687, 3863], [3031, 1372, 1764], [332, 4280, 180, 3073]),
    "msra": (
        15000,
        1500,
        [6552, 7372, 1449, 7888, 3495, 13153],
        [12319, 7230, 2156],
        [11294, 1270, 1423, 3725],
    ),
    "ml2000": (2000, 200, [1678, 849, 1254, 460, 1296, 108], [619, 1137, 1003], [805, 1910, 806, 873]),
    "taobao": (2079, 208, [384, 1198, 598, 929, 862, 854], [678, 542, 729], [573, 1539, 431, 1149]),
}


@pytest.mark.parametrize("dataset", PINNED)
def test_split_is_the_pinned_one(dataset):
    n, n_test, first_of_seed_0, first_of_seed_9, first_held_out = PINNED[dataset]
    rows = split(dataset, n, 0)
    assert len(rows.test) == n_test
    assert rows.test[:6].tolist() == first_of_seed_0
    assert split(dataset, n, 9).test[:3].tolist() == first_of_seed_9
    assert carve_holdout(dataset, rows.train, 0)[1][:4].tolist() == first_held_out


def test_split_follows_its_definition_without_the_project_code():
    sequence = np.random.SeedSequence([1, 3736925326, 3])  # zlib.crc32(b"ml2000")
    permutation = np.random.default_rng(sequence).permutation(2000)
    rows = split("ml2000", 2000, 3)
    np.testing.assert_array_equal(rows.test, permutation[:200])
    np.testing.assert_array_equal(rows.train, permutation[200:])


def test_train_and_test_partition_the_rows():
    rows = split("taobao", 2079, 4)
    np.testing.assert_array_equal(np.sort(np.concatenate([rows.train, rows.test])), np.arange(2079))


def test_holdout_partitions_the_training_rows_and_leaves_the_test_rows_alone():
    rows = split("ml2000", 2000, 1)
    fit_rows, holdout_rows = carve_holdout("ml2000", rows.train, 1)
    assert (len(fit_rows), len(holdout_rows)) == (1620, 180)
    np.testing.assert_array_equal(np.sort(np.concatenate([fit_rows, holdout_rows])), np.sort(rows.train))
    assert not np.isin(holdout_rows, rows.test).any()


def test_data_sets_and_seeds_have_their_own_splits():
    heads = {tuple(split(d, 2000, s).test[:5]) for d in ("ml2000", "taobao") for s in range(10)}
    assert len(heads) == 20


def test_too_few_rows_are_refused():
    with pytest.raises(ValueError, match="1 rows"):
        split("ml2000", 1, 0)
    with pytest.raises(ValueError, match="1 training rows"):
        carve_holdout("ml2000", np.array([3]), 0)
