"""Material for figures, of made-up numbers: as many data sets, methods, seeds and labels as asked."""

from __future__ import annotations

import types

import numpy as np
import pandas as pd

from benchmark.contracts import MethodSpec, Provenance, Shape
from benchmark.paper.evidence import Evidence
from benchmark.paper.printed import read_paper
from benchmark.paper.verdicts import judge
from benchmark.report.gather import Material
from benchmark.score.acquisition import ACQUISITION
from benchmark.score.metrics import METRICS
from benchmark.tables.aggregate import PER_SEED_COLUMNS
from benchmark.tables.results import ListedDataset, Results
from benchmark.tables.traces import Traces

PAPER = read_paper()
LABELS, MODALITIES = 4, 3


class Specs:
    """Stand-ins for estimators."""

    class Stepwise: ...

    class Whole: ...

    class Sequential: ...


METHODS = (
    MethodSpec("M3LA", Specs.Stepwise),
    MethodSpec("M3LA-Wco", Specs.Stepwise),
    MethodSpec("BR", Specs.Whole, scoring="hard"),
    MethodSpec("BR-fair", Specs.Whole, preset="fair", in_paper=False),
    MethodSpec("CS3G", Specs.Whole, reconstructed=True),
    MethodSpec("DMP", Specs.Sequential),
)


def long(rng, dataset, provenance, method, seeds, metrics, mean, **more):
    """Return rows in the columns of every long frame, with random values around a mean."""
    common = dict.fromkeys(PER_SEED_COLUMNS, "") | {
        "dataset": dataset,
        "method": method,
        "provenance": provenance,
        "status": "done",
        "config_hash": method,
        "data_hash": dataset,
    }
    return [
        common | more | {"seed": seed, "metric": metric, "value": mean + 0.02 * rng.normal()}
        for seed in seeds
        for metric in metrics
    ]


def material(
    datasets=(("ml2000", "rebuilt"),),
    methods=METHODS,
    n_seeds=3,
    label_names=None,
    modality_names=("bow", "fv", "hog"),
    titles=types.MappingProxyType({}),
    limits=None,
):
    """Make material; `label_names` and `modality_names` are those of every data set."""
    label_names = tuple(label_names or (f"label{j}" for j in range(LABELS)))
    rng, seeds, ten = np.random.default_rng(0), range(n_seeds), [metric.id for metric in METRICS]
    rows, steps, acquisition, traces = [], [], [], {}
    for dataset, provenance in datasets:
        for spec in methods:
            of_row = (rng, dataset, provenance, spec.id, seeds)
            rows += long(*of_row, ten, 0.7 + 0.2 * rng.random())
            if spec.estimator is Specs.Stepwise:
                steps += long(*of_row, ["w_co_phi_spearman"], 0.5, step=0)
                for step in range(1, len(modality_names) + 1):
                    steps += long(*of_row, ten, 0.5 + 0.1 * step, step=step)
                traces[dataset, spec.id] = trace(rng, n_seeds, len(modality_names), len(label_names))
            if spec.estimator is Specs.Sequential:
                acquisition += long(*of_row, ACQUISITION, 1.5)
    frame = pd.DataFrame(rows, columns=list(PER_SEED_COLUMNS))
    evidence = Evidence(
        as_printed=frame,
        equal=frame,
        steps=None,
        methods=tuple(methods),
        seeds=tuple(seeds),
        source="made-up numbers",
        datasets=tuple(dataset for dataset, _ in datasets),
        limits=limits or {},
    )
    cells = PAPER.cells[PAPER.cells["dataset"].isin(evidence.datasets)]
    shape = Shape(100, len(label_names), (2,) * len(modality_names))
    results = Results(
        as_printed=frame,
        equal=frame,
        steps=pd.DataFrame(steps, columns=[*PER_SEED_COLUMNS, "step"]),
        datasets=tuple(
            ListedDataset(
                dataset, (titles or {}).get(dataset, dataset.upper()), shape, Provenance(provenance)
            )
            for dataset, provenance in datasets
        ),
        methods=tuple(methods),
        profile="made up",
        seeds=tuple(seeds),
        acquisition=pd.DataFrame(acquisition, columns=list(PER_SEED_COLUMNS)),
        traces=traces,
    )
    names = types.SimpleNamespace(label_names=label_names, modality_names=tuple(modality_names))
    labels = rng.random((50, len(label_names))) < np.linspace(0.2, 0.8, len(label_names))
    names.labels = labels.astype(np.uint8)
    unused = dict.fromkeys(
        (
            "totals",
            "claims",
            "statements",
            "audit",
            "choices",
            "settings",
            "beyond",
            "learned",
        )
    )
    return Material(
        **unused,
        reference=False,
        source="made-up numbers",
        results=results,
        evidence=evidence,
        paper=PAPER,
        verdicts=judge(cells, PAPER.margins, evidence) if len(cells) else pd.DataFrame(),
        significance=None,
        why_no_significance="",
        effects=pd.DataFrame(),
        ranking=pd.DataFrame(),
        datasets={dataset: names for dataset, _ in datasets},
        problems=(),
    )


def trace(rng, s, m, q):
    """Return what decoding might have looked like."""
    shares = lambda *shape: rng.dirichlet(np.ones(m), size=shape)  # noqa: E731
    return Traces(
        seeds=np.arange(s),
        reading=shares(m),
        reading_by_label=shares(q, m),
        attention=shares(m),
        attention_by_label=shares(q, m),
        w_co=rng.normal(size=(s, q, q)),
        phi=np.corrcoef(rng.normal(size=(q, 30))),
        loss=np.exp(-np.arange(20) / 5) + rng.random((s, 20)),
        epochs=np.arange(1, 21),
    )
