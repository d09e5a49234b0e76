"""`python -m benchmark.studies.findings`: what was learned, made of committed tables.

Into `docs/findings.md`, and for the page into `results/findings.csv`. No number is typed in, and a sentence
that the tables no longer bear out is refused, so that somebody writes a new one.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.drift.judge import TOLERANCE
from benchmark.exit_codes import FINDING, OK
from benchmark.files import write_text
from benchmark.paper.verdicts import BETTER, NOT_COMPARABLE, UNDECIDED, WORSE
from benchmark.run.flags import ROOT
from benchmark.score.metrics import METRICS
from benchmark.studies.kept_tables import OutdatedError, Sentence, Tables, borne_out

OPENING = """# What was learned

Made by `python -m benchmark.studies.findings` of the tables that each finding names; what nobody could have
guessed comes first. “Significantly” means by the corrected resampled t-test, paired by split, at 0.05 after
Holm's correction over all cells that are counted. M3LA is read as the paper says, with thresholds that look
at the scores of all test rows, other methods with 0.5. BR-fair and CC-fair are BR and CC with a logistic
regression and its probabilities; M3LA-repaired is M3LA with options chosen once, on validation rows of
Emotions, Scene and Yeast ([how](../results/repaired/choice.md)).

{sets} {capped}"""
BEYOND = ("results/beyond/claims.csv", "python run_all.py beyond")
MORE_SEEDS = {
    name: (f"results/more_seeds/{name}.csv", "python -m benchmark.studies.more_seeds")
    for name in ("order", "claims", "verdicts")
}
ML2000 = ("results/reference/paper/ml2000/claims.csv", "python run_all.py compare --reference")


_CLOSED = re.compile(r"closes (\d+)% of the gap")
METHOD = "M3LA"
CHOSEN_ON = ("emotions", "scene", "yeast")
"""Where `benchmark.studies.repaired` chose."""


def thresholds(tables: Tables) -> Sentence:
    """What eq. (16) chooses, and how that reads against eq. (13)."""
    claim = "threshold-per-label"
    title = "As printed, eq. (16), a threshold for each label, chooses nearly the same one for all labels."
    found = tables.read("thresholds/thresholds.csv")
    found = found[found["dataset"].isin(tables.sets)]

    def on_grid(rule: str, step: float) -> Any:
        return found[(found["rule"] == rule) & (found["step"] == step)].set_index("dataset")

    literal, fine = on_grid("eq16a", 0.01), on_grid("eq16a", 0.001)
    single, apart = on_grid("eq13", 0.001), on_grid("eq16b", 0.001)
    most = str(literal["n_labels"].idxmax())
    f1 = [frame.loc[most, "macro_f1"] for frame in (literal, fine, single)]
    n, worse = tables.counts(claim), tables.beyond.loc[claim]["significantly_worse"]
    borne_out(
        len(literal) == len(tables.sets)
        and literal["thresholds"].max() <= 2
        and apart["thresholds"].min() > literal["thresholds"].max()
        and n.significantly_better == 0
        and set(worse[worse > 0].index) <= {most}
        and f1[0] < 0.5 * f1[1],
        title,
    )
    labels = literal.loc[most, "n_labels"]
    better = [int((apart[metric] > single[metric]).sum()) for metric in ("macro_f1", "micro_f1")]
    return Sentence(
        title,
        "All labels share its term of the cardinality, and it has "
        f"{_range(literal['thresholds'])} different thresholds, means over seeds, for "
        f"{literal['n_labels'].min():.0f} to {labels:.0f} labels on {len(literal)} data sets. Read so that "
        f"only one label's threshold varies, on a grid of 0.001, it has {_range(apart['thresholds'])}, and "
        f"against eq. (13), one threshold for all on that grid, a better macro-F1 on {better[0]} and a "
        f"better micro-F1 on {better[1]} of {len(apart)}. As printed against eq. (13) as printed: "
        f"{tables.said(claim)}; {tables.on_ml2000(claim)}. The losses are of {tables.titles[most]}: a "
        f"softmax over {labels:.0f} labels scores {1 / labels:.3f} on average, for which the printed grid of "
        f"0.01 is too coarse (macro-F1 {f1[0]:.3f}; on that of 0.001 {f1[1]:.3f}, as eq. (13) {f1[2]:.3f}).",
        (
            ("results/thresholds/thresholds.csv", "python -m benchmark.studies.threshold_grids"),
            BEYOND,
            ML2000,
        ),
    )


def _range(values: pd.Series) -> str:
    return f"{values.min():.1f} to {values.max():.1f}"


def base_learner(tables: Tables) -> Sentence:
    """Why BR and CC are poor."""
    claim = "poor-for-want-of-modalities"
    title = "Most of what BR and CC lack is a logistic regression and its probabilities, not modalities."
    found = tables.beyond.loc[claim]
    closed = {
        name: [int(share) for share in _CLOSED.findall(str(found.loc[name, "numbers"]))]
        for name in tables.sets
    }
    counted = ["cells", "better", "significantly_better", "significantly_worse"]
    capped, full = (
        found.loc[[name for name in tables.sets if (name in tables.capped) == cut], counted].sum()
        for cut in (True, False)
    )
    borne_out(
        all(len(shares) == 2 and min(shares) > 66 for shares in closed.values())
        and full["significantly_worse"] == 0,
        title,
    )
    by_set = ", ".join(f"{tables.titles[name]} {shares[0]} %" for name, shares in closed.items())
    return Sentence(
        title,
        "Though it too sees all modalities as one, BR-fair closes this much of the gap from BR to M3LA, in "
        f"the median of the metrics in which there is one: {by_set}. With all its epochs M3LA is still "
        f"better than BR-fair and CC-fair in {full['better']} of {full['cells']} cells, significantly, by "
        f"each data set, in {full['significantly_better']} and worse in none; with "
        f"{tables.epochs(METHOD)[0]} of them in {capped['better']} of {capped['cells']}, significantly in "
        f"{capped['significantly_better']} and worse in {capped['significantly_worse']}.",
        (BEYOND,),
    )


def correlations(tables: Tables) -> Sentence:
    """What W_co does."""
    claim = "correlation-matrix"
    title = "Taking the label-correlation matrix out changes next to nothing."
    apart = max(
        abs(tables.means[name, "M3LA", metric.id] - tables.means[name, "M3LA-Wco", metric.id])
        for name in tables.sets
        for metric in METRICS
        if metric.id != "coverage"
    )
    n = tables.counts(claim)
    borne_out(apart < 0.02 and n.significantly_better <= 0.1 * n.cells, title)
    return Sentence(
        title,
        f"M3LA against M3LA-W_co: {tables.said(claim)}; no two means of a metric, coverage aside, are "
        f"further apart than {apart:.3f}; {tables.on_ml2000(claim)}; {tables.printed(claim)}.",
        (BEYOND, ("results/beyond/metrics.csv", BEYOND[1]), ML2000),
    )


def reading_order(tables: Tables) -> Sentence:
    """What the chosen order does, where it must and elsewhere."""
    claim = "modality-prediction"
    title = "The order of modalities is learned where it matters; on real data no gain from it shows."
    controls = tables.read("controls/controls.csv").query(
        "control == 'order_matters' and metric == 'macro_auc'"
    )
    planted = controls.groupby("method")["value"].mean()
    n = tables.counts(claim)
    borne_out(
        planted["M3LA"] > planted["M3LA-order"] + 0.05 and n.significantly_better <= 0.1 * n.cells, title
    )
    return Sentence(
        title,
        f"On synthetic data made so that the order decides, M3LA has a macro-AUC of {planted['M3LA']:.3f}, "
        f"with a fixed order {planted['M3LA-order']:.3f}, with a random one "
        f"{planted['M3LA-random-order']:.3f}. On real data, against a fixed order: {tables.said(claim)}; "
        f"{tables.on_ml2000(claim)}; {tables.printed(claim)}.",
        (("results/controls/controls.csv", "python -m benchmark.studies.controls"), BEYOND, ML2000),
    )


def steps(tables: Tables) -> Sentence:
    """Whether predictions are corrected from step to step."""
    claim = "constantly-corrected"
    title = "Nowhere does the last decoding step predict significantly better than the first."
    n = tables.counts(claim)
    borne_out(n.significantly_better == 0, title)
    worse = tables.beyond.loc[claim]["significantly_worse"]
    by_set = " and ".join(f"{tables.titles[str(name)]} in {n}" for name, n in worse[worse > 0].items())
    where = f" By itself it is significantly worse on {by_set} of {len(METRICS)} metrics." if by_set else ""
    said = f"{tables.said(claim).capitalize()}; {tables.on_ml2000(claim)}.{where}"
    return Sentence(title, said, (BEYOND, ML2000))


def repaired(tables: Tables) -> Sentence:
    """What other options make of M3LA."""
    title = "With other options the same network is among the best."
    rows: pd.DataFrame = tables.means.unstack("method")
    ups = {metric.id: metric.direction == "up" for metric in METRICS}
    signed = rows.mul([1 if ups[metric] else -1 for _, metric in rows.index], axis=0)
    wins = signed["M3LA-repaired"] > signed["M3LA"]
    where = wins.index.get_level_values("dataset")
    elsewhere, full = wins[~where.isin(CHOSEN_ON)], wins[~where.isin((*CHOSEN_ON, *tables.capped))]
    ranks = signed.rank(axis=1, ascending=False).mean().sort_values()
    borne_out(2 * elsewhere.sum() > len(elsewhere) and "M3LA-repaired" in ranks.index[:2], title)
    return Sentence(
        title,
        f"M3LA-repaired has a better mean than M3LA in {wins.sum()} of {len(wins)} cells of "
        f"{len(tables.sets)} data sets, {elsewhere.sum()} of {len(elsewhere)} where its options were not "
        f"chosen, of these {full.sum()} of {len(full)} with all epochs. Average ranks over all of them: "
        f"{', '.join(f'{name} {rank:.1f}' for name, rank in ranks.items())}.",
        (("results/beyond/metrics.csv", BEYOND[1]),),
    )


def undecided(tables: Tables) -> Sentence:
    """Why most printed numbers can be neither confirmed nor refuted."""
    title = "No further run of ours settles most of the printed numbers."
    verdicts = tables.read("reference/paper/ml2000/verdicts.csv")
    distinct = verdicts[~verdicts["repeats"]]
    tested = distinct[distinct["verdict"] != NOT_COMPARABLE]
    open_cells = tables.read("reference/paper/ml2000/undecided.csv")
    hopeless = int((open_cells["seeds_needed"] == "none").sum())
    spread = int((open_cells["obstacle"] == "spread").sum())
    by_others = tables.read("more_seeds/verdicts.csv").query("verdict_first == @UNDECIDED")
    still = int((by_others["verdict_more"] == UNDECIDED).sum())
    settled = by_others[by_others["verdict_more"] != UNDECIDED].merge(open_cells, on=["method", "metric"])
    moved = int((settled["seeds_needed"] == "none").sum())
    borne_out(
        len(open_cells) == len(by_others) == (tested["verdict"] == UNDECIDED).sum()
        and hopeless > 0.9 * len(open_cells)
        and still > 0.9 * len(open_cells),
        title,
    )
    return Sentence(
        title,
        f"{len(open_cells)} of {len(tested)} comparable numbers of ML2000 are undecided, and {hopeless} of "
        "them would stay so with any number of our seeds, were our means and deviations the same: in "
        f"{spread} the printed spread alone is too large for ten repetitions, in the others the shift lies "
        f"near the margin or beyond it. By twenty other seeds alone {still} of the {len(by_others)} are "
        f"undecided; of the {len(settled)} others {moved} were among the {hopeless}: their means moved.",
        (("results/reference/paper/ml2000/undecided.csv", ML2000[1]), MORE_SEEDS["verdicts"]),
    )


def more_seeds(tables: Tables) -> Sentence:
    """What twenty other seeds say."""
    title = "Twenty other seeds reverse no verdict, only the order of methods that lie close."
    orders, claims, verdicts = (tables.read(f"more_seeds/{name}.csv") for name in MORE_SEEDS)
    same = int((verdicts["verdict_first"] == verdicts["verdict_more"]).sum())
    turned = verdicts[[f"verdict_{seeds}" for seeds in ("first", "more")]].isin([BETTER, WORSE]).all(axis=1)
    same_claims = int((claims["verdict_first"] == claims["verdict_more"]).sum())
    borne_out(
        same > 0.9 * len(verdicts)
        and verdicts.loc[turned, "verdict_first"].equals(verdicts.loc[turned, "verdict_more"])
        and same_claims == len(claims)
        and orders["swapped_significant"].sum() == 0
        and orders["kendall_tau"].min() < 0.6,
        title,
    )
    undecided = (verdicts["verdict_first"] == UNDECIDED) & (verdicts["verdict_more"] == UNDECIDED)
    n_decided, agreed = int((~undecided).sum()), same - int(undecided.sum())
    best = int((orders["best_first"] == orders["best_more"]).sum())
    return Sentence(
        title,
        f"Seeds 10 to 29 of ML2000 give the verdict of seeds 0 to 9 on {same} of {len(verdicts)} comparable "
        f"printed numbers, {agreed} of the {n_decided} that either decide (no better one becomes worse or "
        f"the reverse), and on {same_claims} of {len(claims)} claims. By the mean, the same "
        f"method is best in {best} of {len(orders)} metrics, and Kendall's tau between the two orders is "
        f"{orders['kendall_tau'].min():.2f} to {orders['kendall_tau'].max():.2f}; "
        "no two methods that change places are told apart by the paired test in either seeds.",
        tuple(MORE_SEEDS.values()),
    )


def other_processor(tables: Tables) -> Sentence:
    """What the same seeds gave elsewhere, by later code, when they were last accepted."""
    title = "Another processor and rewritten inner loops change next to nothing."
    folder = "reference/paper/ml2000"
    accepted = (tables.results / folder / "accepted.md").read_text(encoding="utf-8").split("\n## ")[-1]
    rows = re.findall(r"^\| ml2000 +\| ([\w-]+) +\| (\w[\w ]*?) +\|(.*)$", accepted, re.MULTILINE)
    changes = [re.search(r"code \(.*environment: processor (.+?) -> (.+?);", rest) for _, _, rest in rows]
    borne_out(rows and all(changes) and {verdict for _, verdict, _ in rows} == {"within"}, title)
    ((before, now),) = {change.groups() for change in changes if change}
    numbers, changed = tables.read(f"{folder}/per_seed.csv"), " and ".join(name for name, *_ in rows)
    return Sentence(
        title,
        f"ML2000's {numbers['seed'].nunique()} seeds were run again, by later code, on {now} instead of "
        f"{before}: of {numbers['method'].nunique()} methods only {changed} have another number on any seed, "
        f"and no mean of theirs moved by more than {TOLERANCE} or than refits of one split explain.",
        ((f"results/{folder}/accepted.md", "python run_all.py drift --accept --reason TEXT"),),
    )


def impossible(tables: Tables) -> Sentence:
    """What the paper prints that cannot be."""
    heading = re.search(
        r"^## Findings: (\d+) impossible, (\d+) suspicious$",
        (tables.results / "paper" / "audit.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    title = "Some printed numbers cannot be true together."
    borne_out(heading, title)
    found = heading.groups() if heading else ()
    return Sentence(
        title,
        "The audit of Tables II and III finds {} numbers or pairs of them that no runs give, and {} that "
        "only a share of test rows without labels explains which other rows of the table rule out.".format(
            *found
        ),
        (("results/paper/audit.md", "python run_all.py audit"),),
    )


def image_size(tables: Tables) -> Sentence:
    """What else features of resized images tell."""
    title = "Features of images that were all resized still tell how large the originals were."
    sizes = tables.read("ml2000_features/recipes.csv").query("metric == 'size_auc'")
    means = sizes.groupby("recipe")["value"].mean()
    borne_out(means.min() > 0.95, title)
    return Sentence(
        title,
        "A logistic regression tells large originals of ML2000 from small ones with an AUC of at least "
        f"{means.min():.3f} under each of {len(means)} recipes.",
        (("results/ml2000_features/recipes.csv", "python -m benchmark.studies.ml2000_recipes --images DIR"),),
    )


SENTENCES: Sequence[Callable[[Tables], Sentence]] = (
    thresholds,
    base_learner,
    correlations,
    reading_order,
    steps,
    repaired,
    undecided,
    more_seeds,
    other_processor,
    impossible,
    image_size,
)


def learned(tables: Tables) -> list[Sentence]:
    """Return all sentences, what nobody could have guessed first.

    Raises
    ------
    OutdatedError
        If one is not so any more.
    """
    return [find(tables) for find in SENTENCES]


def page(tables: Tables, found: Sequence[Sentence]) -> str:
    """Return the Markdown."""
    n_all, titles = len(tables.rules.seeds), ", ".join(tables.titles[name] for name in tables.sets)
    whole = len(tables.sets) == n_all
    sets = f"“Data sets” are {'all' if whole else 'so far'} {len(tables.sets)} of {n_all}: {titles}."
    names = " and ".join(tables.titles[name] for name in tables.capped)
    fewest, most = tables.epochs(METHOD)
    capped = f"On {names}, methods that have epochs train at most {fewest} of them, M3LA {fewest} of {most}."
    points = [f"{k}. {sentence.markdown()}" for k, sentence in enumerate(found, 1)]
    return "\n\n".join([OPENING.format(sets=sets, capped=capped), *points]) + "\n"


def files(root: Path) -> dict[Path, str]:
    """Return the text of both files, of the tables below `root`."""
    tables = Tables(root / "results")
    found = learned(tables)
    rows = pd.DataFrame([(one.title, one.text) for one in found], columns=["title", "text"])
    return {
        root / "docs" / "findings.md": page(tables, found),
        root / "results" / "findings.csv": rows.to_csv(index=False, lineterminator="\n"),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Write both files, or say which sentence has to be written anew."""
    parser = argparse.ArgumentParser(prog="python -m benchmark.studies.findings", description=__doc__)
    parser.parse_args(arguments)
    try:
        found = files(ROOT)
    except OutdatedError as error:
        print(error, file=sys.stderr)
        return FINDING
    for path, content in found.items():
        write_text(path, content)
        print(f"wrote {path}")
    return OK


if __name__ == "__main__":
    raise SystemExit(main())
