"""Small sets of numbers to judge, made as one likes them."""

import numpy as np
import pandas as pd

from benchmark.contracts import MethodSpec
from benchmark.paper.evidence import Evidence
from benchmark.tables.aggregate import PER_SEED_COLUMNS

SEEDS = tuple(range(10))


class Specs:
    """Stand-ins for estimators: one class per method."""

    class M3LA: ...

    class BR: ...

    class CC: ...

    class Mine: ...


METHODS = (
    MethodSpec("M3LA", Specs.M3LA, threshold="eq16a"),
    MethodSpec("M3LA-order", Specs.M3LA, threshold="eq16a"),
    MethodSpec("BR", Specs.BR, scoring="hard"),
    MethodSpec("BR-fair", Specs.BR, in_paper=False),
    MethodSpec("CC", Specs.CC, scoring="hard"),
    MethodSpec("CC-fair", Specs.CC, in_paper=False),
)


def exact(mean, std, n=10, seed=0):
    """Return n values with exactly this mean and sample deviation."""
    values = np.random.default_rng(seed).normal(size=n)
    return mean + std * (values - values.mean()) / values.std(ddof=1)


def cell(method, metric, values, dataset="ml2000", seeds=None, threshold=None, **changed):
    """Rows of one cell, in the long frame's columns."""
    spec = next((spec for spec in METHODS if spec.id == method), None)
    common = {
        "dataset": dataset,
        "method": method,
        "metric": metric,
        "provenance": "rebuilt",
        "profile": "paper",
        "preset": "literal",
        "threshold": threshold or (spec.threshold if spec else "fixed"),
        "scoring": spec.scoring if spec else "soft",
        "status": "done",
        "config_hash": f"hash of {method}",
        "data_hash": f"hash of {dataset}",
        "score_digest": "",
    }
    seeds = range(len(values)) if seeds is None else seeds
    rows = [{**common, "seed": s, "value": float(v), **changed} for s, v in zip(seeds, values, strict=True)]
    return pd.DataFrame(rows, columns=list(PER_SEED_COLUMNS))


def evidence(*cells, equal=(), steps=None, seeds=SEEDS, methods=METHODS, **known):
    """Put cells before the judge."""
    columns = list(PER_SEED_COLUMNS)
    empty = pd.DataFrame(columns=columns)
    return Evidence(
        as_printed=pd.concat(cells, ignore_index=True) if cells else empty,
        equal=pd.concat(equal, ignore_index=True) if equal else empty,
        steps=steps,
        methods=methods,
        seeds=seeds,
        source="an example",
        **known,
    )
