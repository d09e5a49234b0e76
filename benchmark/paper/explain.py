"""`explain`: from one printed number back to what it was made of, and the paper's own; it judges nothing."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Mapping
from math import isnan
from typing import Any

import pandas as pd

from benchmark.contracts import Job, Record
from benchmark.drift.reference import Reference, read_reference_folder
from benchmark.exit_codes import FINDING, OK
from benchmark.paper.compare import PAPER
from benchmark.paper.compare import records as rows_of
from benchmark.paper.evidence import Judged, comparable, shown
from benchmark.paper.margins import read_margins
from benchmark.paper.printed import read_cells
from benchmark.paper.sources import read_records, source_of_records, sources_of_references
from benchmark.registry import select
from benchmark.run.bench import Bench
from benchmark.run.config import ConfigError
from benchmark.run.store import RecordError, RecordStore
from benchmark.score.metrics import METRICS
from benchmark.tables.reference import distinct_environments

SEED_COLUMNS = ["seed", "value", "status", "config_hash", "score_digest", "data_hash"]


def run(args: argparse.Namespace, bench: Bench) -> int:
    """Trace one cell.

    Raises
    ------
    ConfigError
        If the names choose more than one cell, or there is nothing of it.
    """
    unreadable: tuple[str, ...] = ()
    metric = one(select(args.metric, tuple(m.id for m in METRICS), "metric").ids, "METRIC", args.metric)
    method = one(bench.methods.ids, "METHOD", args.methods)
    dataset = one(bench.datasets.ids, "DATASET", args.datasets)
    if args.reference:
        source = sources_of_references(bench)[0]
        origin = _origin_of_reference(read_reference_folder(source.folder, dataset), source.judged, bench)
    else:
        found = read_records(bench)
        unreadable = found.messages
        source = source_of_records(found, bench)
        origin = _origin_of_records(found.inventory.records(), bench.store)
    explanation = explain(source.judged, dataset, method, metric, origin)
    print(json.dumps(explanation, indent=1, default=str) if args.json else as_text(explanation))
    for message in unreadable:
        print(message, file=sys.stderr)
    return FINDING if explanation["problem"] or unreadable else OK


def one(ids: tuple[str, ...], what: str, text: str) -> str:
    """Return the only id that a text chose.

    Raises
    ------
    ConfigError
        If it chose several.
    """
    if len(ids) != 1:
        raise ConfigError(f"{what} {text!r} chooses {', '.join(ids)}; explain traces one cell, so name one")
    return ids[0]


def explain(
    judged: Judged, dataset: str, method: str, metric: str, origin: Mapping[str, Any]
) -> dict[str, Any]:
    """Join one cell's numbers with where they come from.

    Parameters
    ----------
    judged : Judged
    dataset, method, metric : str
    origin : mapping
        What the source itself knows: folders, settings, environments.

    Raises
    ------
    ConfigError
        If the source holds nothing of the cell.
    """
    frame = judged.as_printed
    rows = frame[(frame["dataset"] == dataset) & (frame["method"] == method) & (frame["metric"] == metric)]
    _, reason = comparable(judged, dataset, method, metric)
    if rows.empty:
        raise ConfigError(f"cannot explain {metric} of {method} on {dataset} from {judged.source}: {reason}")
    first = rows.iloc[0]
    mean, std, n = shown(judged, dataset, method, metric)
    spec = next((spec for spec in judged.methods if spec.id == method), None)
    return {
        "dataset": dataset,
        "method": method,
        "metric": metric,
        "source": judged.source,
        "mean": None if isnan(mean) else mean,
        "std": None if isnan(std) else std,
        "n_seeds": n,
        "seeds_wanted": list(judged.seeds),
        "problem": reason if reason.startswith("cannot judge") else "",
        "comparable": reason == "",
        "not_comparable_because": reason,
        "provenance": first["provenance"],
        "reading": {"threshold": first["threshold"], "scoring": first["scoring"], "preset": first["preset"]},
        "note": spec.note if spec else "",
        "equal_thresholds": _equal(judged, dataset, method, metric),
        "seeds": rows_of(rows[SEED_COLUMNS]),
        "paper": _paper(dataset, method, metric, mean),
        **origin,
    }


def _equal(judged: Judged, dataset: str, method: str, metric: str) -> dict[str, Any] | None:
    """Return the cell under equal thresholds."""
    frame = judged.equal
    rows = frame[(frame["dataset"] == dataset) & (frame["method"] == method) & (frame["metric"] == metric)]
    done = rows[rows["status"] == "done"]
    if done.empty or done["value"].isna().any():
        return None
    mean, std = done["value"].mean(), done["value"].std(ddof=1)
    rule = done["threshold"].iloc[0]
    return {"threshold": rule, "mean": float(mean), "std": None if isnan(std) else float(std), "n": len(done)}


def _paper(dataset: str, method: str, metric: str, mean: float) -> list[dict[str, Any]]:
    """Return the printed cells, with our distance from each and the margin of equivalence."""
    cells = read_cells(PAPER)
    margins = read_margins(PAPER / "margins.csv").set_index(["dataset", "metric"])["margin"].to_dict()
    chosen = (cells["dataset"] == dataset) & (cells["method"] == method) & (cells["metric"] == metric)
    return [
        {
            "table": cell["table"],
            "mean": cell["mean"],
            "std": cell["std"],
            "bold": bool(cell["bold"]),
            "ours_minus_paper": None if isnan(mean) else mean - cell["centre"],
            "margin": margins.get((dataset, metric)),
        }
        for cell in cells[chosen].to_dict("records")
    ]


def _origin_of_records(records: Iterable[Record], store: RecordStore) -> dict[str, Any]:
    kept = sorted(records, key=lambda record: record.seed)
    folders = {r.seed: str(store.folder(Job(r.dataset, r.method, r.seed), r.config_hash)) for r in kept}
    settings = {record.config_hash: dict(record.settings) for record in kept}
    return {"folders": folders, "settings": settings, "environments": distinct_environments(kept)}


def _origin_of_reference(reference: Reference, judged: Judged, bench: Bench) -> dict[str, Any]:
    """Return what a reference keeps, and the folders of its records that are still here."""
    store = bench.store
    folders, settings = {}, {}
    keys = ["dataset", "method", "seed", "config_hash"]
    for dataset, method, seed, config_hash in (
        judged.as_printed[keys].drop_duplicates().itertuples(index=False)
    ):
        job = Job(dataset, method, int(seed))
        kept = reference.settings.get(method, {}).get(config_hash)
        if kept is not None:
            settings[config_hash] = dict(kept)
        try:
            record = store.find(job, config_hash)
        except RecordError:
            continue
        if record is not None:
            folders[job.seed] = str(store.folder(job, config_hash))
    return {
        "reference": str(reference.folder),
        "folders": folders,
        "settings": settings,
        "environments": list(reference.environments),
    }


def as_text(found: Mapping[str, Any]) -> str:
    """Say it for people."""
    lines = [f"{found['metric']} of {found['method']} on {found['dataset']}, from {found['source']}"]
    lines.append(f"ours: {_cell(found['mean'], found['std'])} over {found['n_seeds']} seeds")
    if found["not_comparable_because"]:
        lines.append(f"not comparable with the paper: {found['not_comparable_because']}")
    lines += [_paper_line(cell) for cell in found["paper"]] or ["paper: prints no such cell"]
    reading = ", ".join(f"{key} {value}" for key, value in found["reading"].items())
    lines += [f"features: {found['provenance']}", f"read with: {reading}"]
    if equal := found["equal_thresholds"]:
        lines.append(f"with equal thresholds ({equal['threshold']}): {_cell(equal['mean'], equal['std'])}")
    lines += [f"note: {found['note']}"] if found["note"] else []
    lines.append("seeds:")
    for row in found["seeds"]:
        value = "undefined" if row["value"] is None else f"{row['value']:.6f}"
        place = found["folders"].get(row["seed"], "no record here")
        lines.append(f"  {row['seed']}: {value} {row['status']}, scores {row['score_digest'][:12]}, {place}")
    hashes = pd.DataFrame(found["seeds"])
    lines.append(f"data: {', '.join(hashes['data_hash'].unique())}")
    lines.append(f"versions (config hash): {', '.join(hashes['config_hash'].unique())}")
    if not found["settings"]:
        lines.append("settings: not kept by this reference; write it again with: python run_all.py reference")
    for config_hash, settings in found["settings"].items():
        lines += [f"settings of {config_hash}:", _indented(settings)]
    lines += [f"environment of {e.get('jobs', '?')} jobs:\n{_indented(e)}" for e in found["environments"]]
    return "\n".join(lines)


def _paper_line(cell: Mapping[str, Any]) -> str:
    bold = ", bold" if cell["bold"] else ""
    distance = (
        "" if cell["ours_minus_paper"] is None else f"; ours is {cell['ours_minus_paper']:+.4f} from it"
    )
    printed = _cell(cell["mean"], cell["std"])
    return f"paper, Table {cell['table']}: {printed}{bold}{distance}, margin {cell['margin']}"


def _cell(mean: float | None, std: float | None) -> str:
    if mean is None:
        return "no mean"
    return f"{mean:.3f}" + ("" if std is None else f"±{std:.3f}")


def _indented(content: Mapping[str, Any]) -> str:
    text = json.dumps(content, indent=1, sort_keys=True, default=str)
    return "\n".join(f"  {line}" for line in text.splitlines())
