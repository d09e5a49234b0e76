"""Seeds 10 to 29 beside the committed reference's: what differs is counted, and what lacks is said."""

from __future__ import annotations

import dataclasses
import shutil

import pandas as pd
import pytest

from benchmark.exit_codes import CANNOT, FINDING
from benchmark.files import write_text
from benchmark.paper.gather import gather_references
from benchmark.registry import discover, parse_seeds
from benchmark.run.flags import ROOT
from benchmark.studies import more_seeds
from benchmark.studies.beyond.measured import COMMON, COST, JOB, NOTHING, READING, Measured
from benchmark.tables.reference import widen


@pytest.fixture(scope="module")
def first():
    registry = discover()
    (found,) = gather_references(more_seeds._bench(registry, more_seeds.FIRST, ROOT / "results"))
    return found.evidence


def as_more(evidence):
    """The reference's numbers, twice, as if seeds 10 to 29 of another version had given them."""
    as_printed, equal = (
        pd.concat([frame.assign(seed=frame["seed"] + more, config_hash="another") for more in (10, 20)])
        for frame in (evidence.as_printed, evidence.equal)
    )
    keys = ["dataset", "method", "seed", "metric", "threshold", "scoring"]
    both = pd.concat([as_printed, equal], ignore_index=True).drop_duplicates(keys)
    datasets = pd.DataFrame(
        [("ml2000", "ML2000", 2000, 5, 1800, 200, "500 1040 576", "rebuilt", "", "yes")],
        columns=NOTHING.datasets.columns,
    )
    jobs = as_printed.drop_duplicates(list(JOB))[list(COMMON)]
    return Measured(
        jobs.assign(**dict.fromkeys(COST, 1), environment="x"),
        widen(both, (*JOB, *READING)),
        NOTHING.steps,
        datasets,
        {},
        {"x": {}},
    )


@pytest.fixture
def out(tmp_path, first):
    for name, content in as_more(first).files().items():
        write_text(tmp_path / "more" / name, content)
    return tmp_path / "more"


def study(out, tmp_path):
    return more_seeds.main(["--results", str(tmp_path), "--out", str(out)])


def test_the_committed_tables_are_made_again_without_a_run(tmp_path):
    out = shutil.copytree(more_seeds.HERE, tmp_path / "more")
    study(out, tmp_path)
    assert sorted(file.name for file in out.iterdir()) == sorted(f.name for f in more_seeds.HERE.iterdir())
    for file in more_seeds.HERE.iterdir():
        assert (out / file.name).read_bytes() == file.read_bytes(), f"run {more_seeds.__name__}: {file.name}"


def test_the_same_numbers_again_change_no_order(out, tmp_path):
    assert study(out, tmp_path) == FINDING  # another version
    orders = pd.read_csv(out / "order.csv")
    assert (orders["kendall_tau"] == 1).all()
    assert (orders["best_first"] == orders["best_more"]).all()
    assert orders[["swapped", "swapped_significant"]].to_numpy().sum() == 0
    verdicts = pd.read_csv(out / "verdicts.csv")
    assert len(verdicts) == 70  # of 80 distinct ones: CS3G is reconstructed
    assert (verdicts["ours_mean_first"] - verdicts["ours_mean_more"]).abs().max() < 1e-9
    # Twice as many seeds: more power, and no cell changes sides.
    moved = verdicts[verdicts["verdict_first"] != verdicts["verdict_more"]]
    assert set(moved["verdict_first"]) <= {"undecided"}
    told = (out / "more_seeds.md").read_text()
    assert f"{70 - len(moved)} of 70 comparable printed cells have the same verdict" in " ".join(told.split())


def test_a_pair_in_another_order_is_counted_and_whether_it_is_told_apart(first):
    means = first.as_printed.query("metric == 'macro_auc'").groupby("method")["value"].mean()
    assert means["M3LA"] > means["BR"] + 0.1
    other = {"M3LA": "BR", "BR": "M3LA"}
    swapped = first.as_printed["metric"] == "macro_auc"
    names = first.as_printed["method"].where(~swapped, first.as_printed["method"].replace(other))
    changed = dataclasses.replace(first, as_printed=first.as_printed.assign(method=names))
    orders = more_seeds.compare_orders(first, changed).set_index("metric")
    between = means.between(means["BR"], means["M3LA"]) & means.index.isin(more_seeds.METHODS)
    assert orders.loc["macro_auc", "swapped"] == 2 * (between.sum() - 2) + 1
    assert orders.loc["macro_auc", "swapped_significant"] >= 1
    assert orders.loc["macro_auc", "kendall_tau"] < 1
    assert (orders.drop("macro_auc")["swapped"] == 0).all()


def test_what_lacks_is_said_with_its_command_and_nothing_is_judged(out, tmp_path, capsys):
    for name in ("jobs.csv", "per_seed.csv"):
        frame = pd.read_csv(out / name, keep_default_na=False)
        frame[frame["seed"] != 17].to_csv(out / name, index=False)
    assert study(out, tmp_path) == FINDING
    told = capsys.readouterr().err
    assert told.startswith("8 jobs lack, 152 are of another version; to run them: python run_all.py ")
    assert f"M3LA-Wco --seeds 10-29 --results {tmp_path}" in told
    assert not (out / "verdicts.csv").exists()
    assert "**Unfinished: 8 of 160 jobs lack. Nothing is judged.**" in (out / "more_seeds.md").read_text()
    (out / "steps.csv").unlink()
    assert study(out, tmp_path) == CANNOT
    assert "steps.csv is missing" in capsys.readouterr().err
    shutil.rmtree(out)
    assert study(out, tmp_path) == FINDING
    assert "160 jobs lack, 0 are" in capsys.readouterr().err
    assert not out.exists()
    assert len(parse_seeds(more_seeds.MORE)) == 20
