"""Whether records are whole and can be made again to the bit; it repairs nothing and knows no metric."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmark.contracts import Array, Job, Record
from benchmark.run.bench import Bench, Inventory, Slot
from benchmark.run.config import Running
from benchmark.run.devices import DevicePool
from benchmark.run.fingerprint import FingerprintError, config_hash
from benchmark.run.leftovers import Leftover, leftovers, stores_in
from benchmark.run.plan import Plan, PlannedJob
from benchmark.run.pool import run_plan
from benchmark.run.progress import Progress
from benchmark.run.record_file import RecordError, is_outdated
from benchmark.run.store import RecordStore

SHAPES: Mapping[str, str] = {
    **{"scores": "nq", "labels": "nq", "test_index": "n"},
    **{"train_label_frequencies": "q", "train_phi": "qq", "holdout_scores": "hq", "holdout_labels": "hq"},
    **{"step_scores": "ntq", "orders": "nm", "attention": "nmm", "w_co": "qq", "chain_order": "q"},
    **{"n_read": "nr", "reading_cost": "nr", "extracted": "nm", "modality_costs": "m"},
}
"""Axes of a record's arrays: n test rows, h held-out rows, q labels, m modalities, t steps, r passes."""
NEEDED = ("scores", "labels", "test_index", "train_label_frequencies")


@dataclass(frozen=True)
class Survey:
    """What a folder of results holds."""

    counts: Mapping[str, int]
    faults: tuple[str, ...]
    """A message for each thing that is wrong with a record."""
    leftovers: tuple[Leftover, ...]


def survey(bench: Bench) -> Survey:
    """Read every record below the folder of results, also those of refits and studies."""
    stores = stores_in(bench)
    records: list[Record] = []
    wrong: list[str] = []
    unreadable = 0
    for store in stores:
        scan = store.scan()
        unreadable += len(scan.broken)
        records += scan.records
        wrong += [*scan.broken, *(fault for record in scan.records for fault in faults(store, record))]
    counts = {
        "records": len(records) + unreadable,
        "done": sum(record.status == "done" for record in records),
        "made by an older version": sum(map(is_outdated, records)),
        f"stale at profile {bench.profile.name}": len(bench.inventory(bench.recorded_pairs()).stale),
        "faults": len(wrong),
    }
    beside = tuple(left for store in stores for left in leftovers(store))
    return Survey(counts, tuple(wrong), beside)


def faults(store: RecordStore, record: Record) -> Iterator[str]:
    """Yield what is wrong with a record that could be read: of an older schema, nothing can be told."""
    if is_outdated(record):
        return
    folder = store.folder(record.job, record.config_hash)
    try:
        if (hashed := config_hash(record.settings)) != record.config_hash:
            yield f"{folder}: its settings have the hash {hashed}, not {record.config_hash}"
    except (FingerprintError, ValueError, RecursionError) as error:
        yield f"{folder}: its settings have no hash ({error})"
    if record.status != "done":
        return
    try:
        arrays = store.arrays(record)
    except RecordError as error:
        yield str(error)
        return
    yield from (f"{folder}: {fault}" for fault in array_faults(arrays))


def array_faults(arrays: Mapping[str, Array]) -> Iterator[str]:
    """Yield which arrays are missing, do not fit each other, or hold what no trial gives."""
    if missing := [name for name in NEEDED if name not in arrays]:
        yield f"lacks {', '.join(missing)}"
    sizes: dict[str, tuple[int, str]] = {}
    for name in (name for name in SHAPES if name in arrays):
        shape, axes = arrays[name].shape, SHAPES[name]
        if len(shape) != len(axes):
            yield f"{name} has the shape {shape}, not one axis each for {', '.join(axes)}"
            continue
        for axis, size in zip(axes, shape, strict=True):
            known, where = sizes.setdefault(axis, (size, name))
            if size != known:
                yield f"{name} has {size} for {axis}, {where} has {known}"
    for name in ("scores", "holdout_scores", "step_scores"):
        if name in arrays and not _within_unit(arrays[name]):
            yield f"{name} are not all numbers from 0 to 1"
    for name in ("labels", "holdout_labels"):
        if name in arrays and not np.isin(arrays[name], (0, 1)).all():
            yield f"{name} are not all 0 or 1"


def _within_unit(scores: Array) -> bool:
    return scores.dtype.kind == "f" and bool(((scores >= 0) & (scores <= 1)).all())


def can_be_repeated(slot: Slot) -> bool:
    """Whether the bits of a job have to come again here: finished alone, on a CPU."""
    record = slot.record
    return (
        record is not None
        and record.status == "done"
        and record.environment.get("device", "cpu") == "cpu"
        and "side_by_side" not in record.environment
    )


def differing(bench: Bench, slots: Sequence[Slot], running: Running, progress: Progress) -> dict[Job, str]:
    """Run finished jobs again in a temporary store, and say of those that differ from their records how."""
    with tempfile.TemporaryDirectory() as folder:
        again = replace(bench, runs_dir=Path(folder))
        plan = Plan(Inventory(bench.profile, (), (), ()), tuple(planned(slots)))
        run_plan(plan, again, running, DevicePool(("cpu",), Path(folder)), progress)
        return {slot.job: how for slot in slots if (how := _difference(bench.store, again.store, slot))}


def planned(slots: Sequence[Slot]) -> list[PlannedJob]:
    """Return the jobs as if they had never run."""
    return [PlannedJob(slot.job, slot.setup, None, True, None) for slot in slots]


def _difference(store: RecordStore, again: RecordStore, slot: Slot) -> str:
    before, now = slot.record, again.find(slot.job, slot.setup.config_hash)
    if before is None or now is None:
        return "it did not run"
    if now.status != "done":
        return f"{now.status}: {now.error}"
    try:
        old, new = store.arrays(before), again.arrays(now)
    except RecordError as error:
        return str(error)
    names = [name for name in sorted({*old, *new}) if not _same(old.get(name), new.get(name))]
    if not names:
        return ""
    kinds = sorted({*before.environment, *now.environment} - {"device"})
    moved = [kind for kind in kinds if before.environment.get(kind) != now.environment.get(kind)]
    return f"{', '.join(names)} differ" + (f"; {', '.join(moved)} differ too" if moved else "")


def _same(old: Array | None, new: Array | None) -> bool:
    """Whether two arrays have the same bits; of NaN too."""
    if old is None or new is None:
        return False
    return old.dtype == new.dtype and old.shape == new.shape and old.tobytes() == new.tobytes()
