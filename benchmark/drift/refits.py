"""Fits methods again on the same splits with other seeds of their own, for a reference's refit noise.

A refit is an ordinary resumable job in a store of its own, below the records that it belongs to; it judges
nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

import pandas as pd
from rich.console import Console

from benchmark.contracts import Record
from benchmark.drift.reference import REFIT_KEYS
from benchmark.run.bench import Bench, Pair
from benchmark.run.config import ConfigError, Running
from benchmark.run.devices import available_pool
from benchmark.run.plan import make_plan
from benchmark.run.pool import run_plan
from benchmark.run.progress import Progress
from benchmark.run.times import Machine
from benchmark.tables.reference import widen
from benchmark.tables.results import results_of


def bench_of_refits(bench: Bench, refit: int) -> Bench:
    """Return the bench of every k-th refit, whose folder is hidden from the records' own store."""
    return dataclasses.replace(bench, runs_dir=bench.store.root / ".refits" / str(refit), refit=refit)


def measure_refits(bench: Bench, pairs: Sequence[Pair], n_refits: int, running: Running) -> pd.DataFrame:
    """Fit each job of `pairs` `n_refits` times more, as far as that was not done before.

    A method whose first refit repeats its records bit by bit draws nothing at random: one refit shows it.

    Parameters
    ----------
    bench
        Its seeds are the splits to refit on.
    pairs
        Data sets and methods, of which records are there.
    n_refits
        Refits per split, at least 1.
    running
        How the fits are run.

    Returns
    -------
    DataFrame
        Columns `benchmark.drift.reference.REFIT_COLUMNS`.

    Raises
    ------
    ConfigError
        If `n_refits` is below 1, or a refit failed: a noise of the refits that happened to finish would be
        too small.
    KeyboardInterrupt
        If it was interrupted; what is done is kept, and the next call goes on from there.
    """
    if n_refits < 1:
        raise ConfigError(f"--refit-noise {n_refits}: at least one refit per split is needed")
    records = bench.inventory(pairs).records()
    frames = []
    for refit in range(1, n_refits + 1):
        frames.append(_one_refit(bench_of_refits(bench, refit), pairs, running))
        if refit == 1:
            pairs = _random(pairs, records, frames[0])
        if not pairs:
            break
    return widen(pd.concat(frames, ignore_index=True), REFIT_KEYS)


def _one_refit(bench: Bench, pairs: Sequence[Pair], running: Running) -> pd.DataFrame:
    """Run the k-th refit of every pair, and return it as a long frame with `refit`."""
    bench.store.require_writable()
    devices = available_pool(running.local_device)
    machine = Machine.of(running, devices)
    plan = make_plan(bench, pairs, retry_failed=running.retry_failed, machine=machine)
    progress = Progress(plan.to_run(), running.jobs, Console(stderr=True), plan.accelerators)
    if run_plan(plan, bench, running, devices, progress).interrupted:
        raise KeyboardInterrupt
    inventory = bench.inventory(pairs)
    undone = [slot.job for slot in inventory.slots if slot.state != "done"]
    if undone:
        first = undone[0]
        raise ConfigError(
            f"{len(undone)} of {len(inventory.slots)} fits of refit {bench.refit} did not finish, first "
            f"{first.dataset}/{first.method}/{first.seed}; start again to go on from there, with "
            f"--retry-failed for jobs that failed twice (their records are below {bench.store.root})"
        )
    results, unreadable = results_of(bench, inventory)
    if unreadable:
        raise ConfigError(f"refit {bench.refit}: {'; '.join(unreadable)}")
    return results.per_seed.assign(refit=bench.refit)


def _random(pairs: Sequence[Pair], records: Iterable[Record], refits: pd.DataFrame) -> list[Pair]:
    """Return the pairs of which some refit differs from its record, or has none to be compared with."""
    digests = {(record.dataset, record.method, record.seed): record.score_digest for record in records}
    keys = ["dataset", "method", "seed"]
    fits = refits.drop_duplicates(keys)[[*keys, "score_digest"]].itertuples(index=False, name=None)
    differing = {(job[0], job[1]) for *job, digest in fits if digests.get(tuple(job)) != digest}
    return [pair for pair in pairs if pair in differing]
