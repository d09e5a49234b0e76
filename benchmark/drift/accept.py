"""Makes current records the reference, with the reason beside it; it prints nothing."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Iterable, Sequence

import pandas as pd

from benchmark.drift.gather import gather
from benchmark.drift.judge import judge
from benchmark.drift.pair import PairComparison
from benchmark.drift.reference import Reference, add_note, read_references, write_refits
from benchmark.drift.refits import measure_refits
from benchmark.drift.text import accepted_text
from benchmark.run.bench import Bench, Inventory
from benchmark.run.config import ConfigError, Running
from benchmark.tables.accepted import accepted_of, write_reference
from benchmark.tables.results import results_of


@dataclasses.dataclass(frozen=True)
class Refitting:
    """How refits are measured: how many of every split, on which splits, and how the fits are run."""

    n: int | None
    """None: as many as the reference has."""
    seeds: tuple[int, ...] | None
    """None: those on which the reference has refits, or where it has none, all of the records."""
    running: Running

    def measure(
        self, bench: Bench, pairs: Sequence[tuple[str, str]], n: int, before: Iterable[int] = ()
    ) -> pd.DataFrame:
        """Fit pairs of a bench's records `n` times more, see `measure_refits`; `before`: on which splits."""
        seeds = self.seeds or tuple(sorted({*before} & {*bench.seeds}))
        if seeds:
            bench = dataclasses.replace(bench, seeds=seeds)
        return measure_refits(bench, pairs, n, self.running)


def accept(bench: Bench, reason: str, refitting: Refitting) -> list[str]:
    """Replace the references of the chosen data sets by the current records.

    Refits are measured before anything is written, so that an interrupted call leaves the references as they
    were and the next one goes on.

    Returns
    -------
    list of str
        What was accepted, a line per data set.

    Raises
    ------
    ConfigError
        Without a reason, with a choice of methods, or where a job of a reference's method is not done.
    """
    if not reason.strip():
        raise ConfigError("--accept needs --reason TEXT: why the numbers may change")
    if bench.methods.named:
        raise ConfigError("--accept takes whole data sets, as tables hold all methods; leave out --methods")
    references = read_references(bench)
    complete = {name: _complete(bench, one, name) for name, one in references.items()}
    both, _ = gather(bench)
    drift = judge(both)
    refits = {name: _refits(bench, one, complete[name], refitting) for name, one in references.items()}
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    lines = []
    for name, reference in references.items():
        inventory = complete[name]
        results, unreadable = results_of(bench, inventory)
        if unreadable:
            raise ConfigError(f"{name}: {'; '.join(unreadable)}")
        write_reference(accepted_of(results, inventory.records()), reference.folder)
        write_refits(reference.folder, refits[name], {slot.job.method for slot in inventory.slots})
        add_note(reference.folder, accepted_text(drift, name, reason.strip(), today))
        lines.append(f"{name}: accepted {len(inventory.slots)} jobs into {reference.folder}")
    return lines


def _complete(bench: Bench, reference: Reference, dataset: str) -> Inventory:
    """Return what is accepted: the reference's methods and those recorded since, all of them done."""
    registered = bench.registry.methods
    everything = bench.inventory([(dataset, name) for name in registered])
    wanted = {slot.job.method for slot in everything.slots if slot.record is not None} | {*reference.methods}
    inventory = bench.inventory([(dataset, name) for name in registered if name in wanted])
    undone = [slot for slot in inventory.slots if slot.state != "done"]
    if undone or not inventory.slots:
        first = undone[0].job if undone else None
        raise ConfigError(
            f"{dataset}: {len(undone)} of {len(inventory.slots)} jobs are not done"
            + (f", first {first.method} seed {first.seed} ({undone[0].state})" if first else "")
            + f"; before accepting: {bench.command('run')}"
        )
    return inventory


def _refits(bench: Bench, reference: Reference, inventory: Inventory, refitting: Refitting) -> pd.DataFrame:
    """Measure refits of methods whose stored ones are of another version; as many as before, or as asked."""
    nothing = reference.refits.iloc[:0]
    n = refitting.n
    if n is None:
        n = int(reference.refits["refit"].max()) if len(reference.refits) else 0
    if n == 0:
        return nothing
    current = {(slot.job.dataset, slot.job.method): slot.setup.config_hash for slot in inventory.slots}
    outdated = [pair for pair, version in current.items() if not _still_holds(reference, *pair, version, n)]
    return refitting.measure(bench, outdated, n, map(int, reference.refits["seed"])) if outdated else nothing


def _still_holds(reference: Reference, dataset: str, method: str, version: str, n: int) -> bool:
    """Whether stored refits are of this version, and as many as asked for where the method needs any."""
    per_seed, refits = (
        frame[frame["method"] == method] for frame in (reference.per_seed, reference.long_refits)
    )
    if set(refits["config_hash"]) != {version}:
        return False
    enough = int(refits["refit"].max()) >= n
    return enough or PairComparison(dataset, method, per_seed, per_seed, refits).deterministic
