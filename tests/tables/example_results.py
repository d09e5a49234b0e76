"""Small results with everything a table can meet: failures, look-alikes, gaps, steps, costs, odd names."""

import numpy as np

from benchmark.contracts import MethodSpec, Provenance, Record, Shape
from benchmark.tables.results import ListedDataset, build_results, rows_of

METHODS = (
    MethodSpec("BR", object, preset="paper-like", scoring="hard", note="scored from its 0/1 predictions"),
    MethodSpec("BR-fair", object, preset="fair", in_paper=False),
    MethodSpec("M3LA", object, preset="literal", threshold="eq16a"),
    MethodSpec("M3LA-Wco", object, preset="literal", threshold="eq16a", datasets=("ml2000",)),
    MethodSpec("M3LA-order", object, preset="literal", threshold="eq16a", datasets=("ml2000",)),
    MethodSpec("M3LA-repaired", object, preset="repaired", threshold="eq13@holdout", in_paper=False),
    MethodSpec("my_method", object),
)
DATASETS = (
    ListedDataset("fcvid", "FCVID", Shape(4388, 28, (400,) * 5), Provenance.LOOK_ALIKE),
    ListedDataset(
        "ml2000", "ML2000", Shape(2000, 5, (500, 1040, 576)), Provenance.REBUILT, note="PCA saw all images."
    ),
    ListedDataset("my_data", "my_data", Shape(30, 4, (3, 4)), Provenance.REAL, note="50 % of it & more_"),
)
QUALITY = {"BR": 0.6, "BR-fair": 1.4, "M3LA": 1.2, "M3LA-Wco": 1.0, "M3LA-order": 0.9, "M3LA-repaired": 1.6}
FAILED = {("ml2000", "M3LA-order", 1): "failed", ("ml2000", "M3LA-repaired", 0): "timeout"}
JOBS = [
    *((d, m, seed) for seed in (0, 1, 2) for d in ("ml2000", "fcvid") for m in ("BR", "BR-fair", "M3LA")),
    *(("ml2000", m, seed) for seed in (0, 1, 2) for m in ("M3LA-Wco", "M3LA-order", "M3LA-repaired")),
    *(("my_data", "my_method", seed) for seed in (0,)),
]
STEPPING = ("M3LA", "M3LA-Wco", "M3LA-order", "M3LA-repaired")
READING = {"BR-fair": 1, "M3LA-order": 5, "my_method": 5}
"""Methods whose trace says what they read, and their readings per instance."""


def arrays_of(dataset: str, method: str, seed: int) -> dict[str, np.ndarray]:
    """Scores that know the labels as well as `QUALITY` says, better at every step."""
    rng = np.random.default_rng([len(dataset), len(method), seed])
    n, m, q = 40, 3, 5
    labels = (rng.random((n, q)) < 0.3).astype(np.uint8)
    noise = rng.random((n, m, q))
    strength = QUALITY.get(method, 1.0) * np.array([0.2, 0.3, 0.4])[:, None]
    step_scores = np.clip(0.6 * noise + strength * labels[:, None, :], 0, 1).astype(np.float32)
    arrays = {
        "scores": step_scores[:, -1],
        "labels": labels,
        "train_label_frequencies": np.full(q, 0.3),
        "holdout_scores": rng.random((20, q)).astype(np.float32),
        "train_phi": (phi := rng.random((q, q))) + phi.T,
    }
    if method in STEPPING:
        arrays["step_scores"] = step_scores
        orders = np.argsort(rng.random((n, m)), axis=1)
        arrays["orders"] = np.tile(np.arange(m), (n, 1)) if method == "M3LA-order" else orders
        if method != "M3LA-Wco":
            arrays["w_co"] = arrays["train_phi"] + 0.5 * rng.random((q, q))
    if method in READING:
        extracted = rng.random((n, m)) < 0.6
        extracted[:, 0] = True
        n_read = np.tile(extracted.sum(axis=1, keepdims=True), (1, READING[method])).astype(np.int32)
        arrays |= {
            "extracted": extracted,
            "n_read": n_read,
            "reading_cost": n_read * np.float32(0.5),
            "modality_costs": np.full(m, 0.5),
        }
    return arrays


def record_of(dataset: str, method: str, seed: int, **changed) -> Record:
    """Return what the harness would have written, in a `quick` run of what is above or of other things."""
    spec = {spec.id: spec for spec in METHODS}.get(method, MethodSpec(method, object))
    listed = {listed.id: listed for listed in DATASETS}.get(dataset)
    given = {
        "schema_version": 2,
        "config_hash": f"{dataset}-{method}-{seed}",
        "settings": {},
        "status": FAILED.get((dataset, method, seed), "done"),
        "profile": "quick",
        "preset": spec.preset,
        "scoring": spec.scoring,
        "threshold": spec.threshold,
        "provenance": listed.provenance if listed else Provenance.REAL,
        "data_hash": f"hash of {dataset}",
        "score_digest": f"digest {seed}",
        "seconds": {"load": 0.25, "fit": 10.0 * len(method) + seed},
        "processor_seconds": 0.0 if method == "BR-fair" else 5.0 * len(method) + seed,
        "peak_mib": 400.4 + 10 * seed,
        "environment": {"accelerator": "NVIDIA H200"} if dataset == "fcvid" else {"processor": "Intel 6"},
    }
    return Record(dataset=dataset, method=method, seed=seed, **{**given, **changed})


def join(entries, methods=METHODS, datasets=DATASETS, **more):
    """Return the results of (record, arrays)."""
    specs = {spec.id: spec for spec in methods}
    rows = [rows_of(record, arrays, specs[record.method]) for record, arrays in entries]
    return build_results(rows, methods=methods, datasets=datasets, **{"profile": "quick", **more})


def example_results(jobs=JOBS):
    return join(
        [(record_of(*job), arrays_of(*job)) for job in jobs],
        profile_note="at most 15 epochs, 1200 training and 400 test rows",
    )
