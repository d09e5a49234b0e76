"""The commands compare, significance and explain: reads flags, prints; heavy imports wait for the call."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

from benchmark.exit_codes import CANNOT, FINDING, OK
from benchmark.run import flags
from benchmark.run.flags import Command

if TYPE_CHECKING:
    from benchmark.paper.gather import Gathered
    from benchmark.registry import Registry
    from benchmark.run.bench import Bench

UNCUT = "the printed protocol on real data, two seeds at least: python run_all.py --datasets ml2000"


def _source_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--reference",
        action="store_true",
        help="judge results/reference/<profile>/<data set>/ instead of current records",
    )
    flags.add_json(parser)


def _judging_flags(parser: argparse.ArgumentParser) -> None:
    flags.add_choice(parser)
    flags.add_places(parser)
    _source_flags(parser)


def compare(args: argparse.Namespace, registry: Registry) -> int:
    """Give each printed cell and each claim a verdict."""
    import pandas as pd

    from benchmark.paper.answer import answer
    from benchmark.paper.beyond import beyond_beside
    from benchmark.paper.compare import as_json, exit_code_of, judge_all
    from benchmark.paper.printed import read_paper
    from benchmark.paper.text import claims_text, verdicts_text
    from benchmark.paper.write import write_judgement

    bench = flags.bench_of(args, registry)
    parts = _gathered(bench, args.reference)
    judgements = judge_all([part.evidence for part in parts], read_paper())
    judged = list(zip(judgements, (part.folder for part in parts), strict=True))
    not_written = _left_out(bench, args.reference)
    for judgement, folder in () if not_written else judged:
        write_judgement(judgement, folder)
    source = judgements[0].evidence.source
    remedy = f"run {UNCUT}"
    if not args.reference:
        remedy += ", or judge the committed numbers: python run_all.py compare --reference"
    if args.json:
        print(json.dumps([as_json(judgement, str(folder)) for judgement, folder in judged], indent=1))
    else:
        for judgement in judgements:
            print(verdicts_text(judgement.verdicts, judgement.totals, source))
        print(claims_text(judgements[0].claims, source))
        verdicts = pd.concat([judgement.verdicts for judgement in judgements])
        print(answer(verdicts, judgements[0].claims, beyond_beside(bench, args.reference)))
        print(not_written or "\n".join(f"wrote verdicts and claims to {folder}" for _, folder in judged))
    for judgement in judgements:
        for problem in (*judgement.evidence.warnings, *judgement.problems):
            print(problem, file=sys.stderr)
    code = exit_code_of(judgements)
    if code == CANNOT:
        print(f"cannot judge {source}: no printed cell is comparable; {remedy}", file=sys.stderr)
    return code


def _gathered(bench: Bench, reference: bool) -> list[Gathered]:
    """Gather what is judged; references of which nothing is chosen are an error."""
    from benchmark.paper.gather import gather
    from benchmark.tables.accepted import nothing_chosen

    parts = gather(bench, reference)
    if reference and all(part.evidence.as_printed.empty and not part.evidence.left_out for part in parts):
        raise nothing_chosen(bench)
    return parts


def _left_out(bench: Bench, reference: bool) -> str:
    """Say why nothing is written beside the references: they are not all that was judged; else nothing."""
    from benchmark.tables.accepted import left_out_of_references

    left_out = left_out_of_references(bench) if reference else ""
    return f"nothing is written: {left_out}" if left_out else ""


def significance(args: argparse.Namespace, registry: Registry) -> int:
    """Compare the methods with each other."""
    from benchmark.paper.evidence import as_one
    from benchmark.paper.significance import as_json, compare_methods
    from benchmark.paper.significance_text import significance_text
    from benchmark.paper.write import write_significance

    bench = flags.bench_of(args, registry)
    evidence = as_one([part.evidence for part in _gathered(bench, args.reference)])
    found = compare_methods(evidence, bench.methods)
    folder = bench.references_dir if args.reference else bench.tables_dir
    not_written = _left_out(bench, args.reference)
    written = () if not_written else write_significance(found, folder)
    if args.json:
        print(json.dumps(as_json(found), indent=1))
    else:
        print(significance_text(found))
        print(not_written or f"wrote {', '.join(written)} to {folder}")
    for problem in (*evidence.warnings, *evidence.messages, *found.problems):
        print(problem, file=sys.stderr)
    if found.exit_code == CANNOT:
        print(
            "cannot judge: no two methods could be compared on real or rebuilt data; run two at least there, "
            f"with two seeds at least: {bench.command('run')}",
            file=sys.stderr,
        )
    return max(found.exit_code, FINDING) if evidence.messages else found.exit_code


def _cell_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("methods", metavar="METHOD", help="id of a method, any case")
    parser.add_argument("datasets", metavar="DATASET", help="id of a data set, any case")
    parser.add_argument("metric", metavar="METRIC", help="id of a metric, any case, such as macro_auc")
    flags.add_seeds(parser)
    flags.add_places(parser)
    _source_flags(parser)


def explain(args: argparse.Namespace, registry: Registry) -> int:
    """Trace one number back."""
    from benchmark.paper.explain import explain as explain_cell
    from benchmark.paper.gather import gather, origin_of
    from benchmark.paper.printed import read_paper
    from benchmark.paper.text import explanation_text
    from benchmark.registry import select
    from benchmark.score.metrics import METRICS

    bench = flags.bench_of(args, registry)
    metric = _one(select(args.metric, tuple(m.id for m in METRICS), "metric").ids, "METRIC", args.metric)
    method = _one(bench.methods.ids, "METHOD", args.methods)
    dataset = _one(bench.datasets.ids, "DATASET", args.datasets)
    (gathered,) = gather(bench, args.reference)
    origin = origin_of(gathered, bench)
    found = explain_cell(gathered.evidence, dataset, method, metric, read_paper(), origin)
    print(json.dumps(found, indent=1, default=str) if args.json else explanation_text(found))
    unreadable = () if args.reference else gathered.evidence.messages
    for message in unreadable:
        print(message, file=sys.stderr)
    return FINDING if found["problem"] or unreadable else OK


def _one(ids: tuple[str, ...], what: str, text: str) -> str:
    """Return the only id that a text chose, or raise `ConfigError`."""
    from benchmark.run.config import ConfigError

    if len(ids) != 1:
        raise ConfigError(f"{what} {text!r} chooses {', '.join(ids)}; explain traces one cell, so name one")
    return ids[0]


COMMANDS = {
    "compare": Command(
        "say of each printed cell and claim whether it was reproduced",
        _judging_flags,
        compare,
    ),
    "significance": Command(
        "compare the methods with each other, by paired tests or ranks",
        _judging_flags,
        significance,
    ),
    "explain": Command(
        "trace one number back to what it was made of",
        _cell_flags,
        explain,
    ),
}
