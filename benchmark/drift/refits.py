"""Fits methods again on the same splits with other seeds of their own, for a reference's refit noise.

A refit is an ordinary resumable job in a store of its own, below the records that it belongs to; it judges
nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from pathlib import Path

import pandas as pd

from benchmark.contracts import Record
from benchmark.registry import Registry
from benchmark.run.config import ConfigError, RunConfig
from benchmark.run.plan import Catalogue, Pairs, Plan, make_plan
from benchmark.run.pool import Summary
from benchmark.run.store import RecordStore
from benchmark.tables.collect import REFERENCE_KEYS, bundle_of
from benchmark.tables.wide import METRIC_COLUMNS, widen

NOISE_KEYS = (*REFERENCE_KEYS[:3], "refit", *REFERENCE_KEYS[3:])
NOISE_COLUMNS = (*NOISE_KEYS, *METRIC_COLUMNS)
"""Of `refit_noise.csv`: one row per refit and reading, a column per metric."""

Runner = Callable[[Plan, RunConfig, RecordStore], Summary]


def refit_store(results_dir: Path, refit: int) -> RecordStore:
    """Return the store of every k-th refit; its folder is hidden from the records' own store."""
    return RecordStore(results_dir / "runs" / ".refits" / str(refit))


def measure_refits(
    config: RunConfig, registry: Registry, pairs: Pairs, n_refits: int, run: Runner
) -> pd.DataFrame:
    """Fit each job of `pairs` `n_refits` times more, as far as that was not done before.

    A method whose first refit repeats its records bit by bit draws nothing at random: one refit shows it.

    Parameters
    ----------
    config
        Profile, seeds, folders and how to run; its seeds are the splits to refit on.
    registry
        Methods and data sets.
    pairs
        Data sets and methods, of which records are there.
    n_refits
        Refits per split, at least 1.
    run
        Runs a plan: `run_plan` with a pool and a progress display.

    Returns
    -------
    DataFrame
        Columns `NOISE_COLUMNS`.

    Raises
    ------
    ConfigError
        If `n_refits` is below 1, or a refit failed: a noise of the refits that happened to finish would be
        too small.
    """
    if n_refits < 1:
        raise ConfigError(f"--refit-noise {n_refits}: at least one refit per split is needed")
    catalogue = Catalogue(config.data_dir)
    store = RecordStore(config.results_dir / "runs")
    records = make_plan(config, registry, store, catalogue, pairs).records()
    frames = []
    for refit in range(1, n_refits + 1):
        frames.append(_one_refit(config, registry, pairs, refit, catalogue, run))
        if refit == 1:
            pairs = _random(pairs, records, frames[0])
        if not pairs:
            break
    return widen(pd.concat(frames, ignore_index=True), NOISE_KEYS)


def _one_refit(
    config: RunConfig, registry: Registry, pairs: Pairs, refit: int, catalogue: Catalogue, run: Runner
) -> pd.DataFrame:
    """Run the k-th refit of every pair, and return it as a long frame with `refit`."""
    store = refit_store(config.results_dir, refit)
    store.require_writable()
    config = dataclasses.replace(config, refit=refit)
    run(make_plan(config, registry, store, catalogue, pairs), config, store)
    plan = make_plan(config, registry, store, catalogue, pairs)
    undone = [planned.job for planned in plan.jobs if planned.state != "done"]
    if undone:
        first = undone[0]
        raise ConfigError(
            f"{len(undone)} of {len(plan.jobs)} fits of refit {refit} did not finish, first "
            f"{first.dataset}/{first.method}/{first.seed}; start again to go on from there, with "
            f"--retry-failed for jobs that failed twice (their records are below {store.root})"
        )
    bundle, unreadable = bundle_of(plan, store, registry, config.data_dir)
    if unreadable:
        raise ConfigError(f"refit {refit}: {'; '.join(unreadable)}")
    return bundle.per_seed.assign(refit=refit)


def _random(pairs: Pairs, records: Iterable[Record], refits: pd.DataFrame) -> Pairs:
    """Return the pairs of which some refit differs from its record, or has none to be compared with."""
    digests = {(record.dataset, record.method, record.seed): record.score_digest for record in records}
    keys = ["dataset", "method", "seed"]
    fits = refits.drop_duplicates(keys)[[*keys, "score_digest"]].itertuples(index=False, name=None)
    differing = {(job[0], job[1]) for *job, digest in fits if digests.get(tuple(job)) != digest}
    return [pair for pair in pairs if pair in differing]
