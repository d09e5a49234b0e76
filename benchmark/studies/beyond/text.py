"""What was found over the data sets, in words and tables; it decides nothing."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import pandas as pd

from benchmark.inference import ALPHA
from benchmark.paper.beyond import counted
from benchmark.paper.significance_text import apart_text, ranks_text
from benchmark.paper.text import VERDICT_RULE
from benchmark.studies.beyond.gather import Gathered
from benchmark.studies.beyond.judge import Ranking
from benchmark.studies.beyond.rules import Rules
from benchmark.tables import markdown
from benchmark.tables.paper_tables import own_table

OPENING = """# M3LA on eight real data sets

Every method at the same protocol, on the same splits. Rules, data sets and rows: `rules.toml`, fixed before
the runs. Written by `python run_all.py beyond` of the records that are there and, for the other jobs, of
`jobs.csv` (hash, digest of scores and time of each), `per_seed.csv` and `steps.csv`, so that it needs neither
data nor runs. `metrics.csv`, `ranks.csv`, `pairs.csv` and `claims.csv` hold the numbers, `settings.json` what
each hash was made of.

Options of M3LA-repaired were chosen once, on validation rows of Emotions, Scene and Yeast that were training
rows of seed 0: on other seeds of these three some of the test rows were among them.

On Corel5k and drug side effects, methods that have epochs train at most 30 of them: M3LA 30 instead of 300,
M3LA-repaired instead of 150, DMP and MCC instead of 100. BR, CC, their fair rows and CS3G have none, and lose
nothing. M3LA's thresholds look at the scores of all test rows, as the paper has them; those of other rows do
not."""


def report(rules: Rules, gathered: Gathered, rankings: Sequence[Ranking], claims: pd.DataFrame) -> str:
    """Return the Markdown of everything."""
    profile = gathered.profile
    sections = [
        OPENING,
        _unfinished(gathered),
        f"Profile {profile.name}: {markdown.escape(profile.description)}.",
        "## Data sets",
        _datasets(gathered),
        "## The paper's claims, on each data set and over all",
        _claims(rules, claims, gathered.titles),
        "## Ranks over data sets",
        *_rankings(rankings),
        "## What it cost",
        cost(gathered.measured.jobs, gathered.titles),
        "## The ten metrics",
        *(_metrics(gathered, name) for name in gathered.whole),
    ]
    return "\n\n".join(section.rstrip() for section in sections if section) + "\n"


def _unfinished(gathered: Gathered) -> str:
    """Say so where jobs are missing; nothing of what is whole."""
    whole, n_wanted = gathered.whole, len(gathered.parts)
    if len(whole) == n_wanted:
        return ""
    return (
        f"**Unfinished: {len(whole)} of {n_wanted} data sets have all their jobs: "
        f"{', '.join(gathered.titles[name] for name in whole) or 'none'}. What is said over several data "
        "sets is said of these.**"
    )


def _datasets(gathered: Gathered) -> str:
    known = {listed.id: listed for listed in gathered.measured.listed()}
    rows: list[Sequence[object]] = []
    for part in gathered.parts:
        n_seeds = len(gathered.seeds[part.dataset])
        if part.dataset not in known:
            rows.append((gathered.titles[part.dataset], "", "", "", "", n_seeds, "not run"))
            continue
        listed = known[part.dataset]
        dims, done = ", ".join(map(str, listed.shape.dims)), f"{part.wanted - part.lacking} of {part.wanted}"
        rows.append((listed.title, listed.shape.n, listed.shape.q, dims, listed.provenance, n_seeds, done))
    headers = ("data set", "rows", "labels", "features by modality", "provenance", "seeds", "jobs done")
    return markdown.grid(rows, headers)


def _claims(rules: Rules, claims: pd.DataFrame, titles: Mapping[str, str]) -> str:
    """Return a table of verdicts, and what each claim is taken to mean."""
    scopes = [*rules.seeds, *rules.over]
    found = {(row["id"], row["over"]): row for row in claims.to_dict("records")}
    rows = []
    for name in rules.claims:
        cells = (found[name, over] for over in scopes)
        rows.append((name, *(_verdict(cell) for cell in cells)))
    headers = ("claim", *(titles.get(scope, scope) for scope in scopes))
    readings = claims.drop_duplicates("id")
    lines = [
        "- **{}**: “{}” {}".format(*(markdown.escape(row[key]) for key in ("id", "quote", "reading")))
        for row in readings.to_dict("records")
    ]
    intro = (
        "The verdict, the cells with the better mean of all (in claims of being best also a tie), and how "
        "many are significantly better (+) and worse (−): the corrected resampled t-test paired by split, at "
        f"{ALPHA} after Holm's correction over "
        "the cells of the claim in that column. A reading of Table II or of ML2000 is asked of the "
        "column's data sets instead. Reconstructed CS3G supports no claim; what else a column left out is in "
        "`claims.csv`."
    )
    return "\n\n".join(
        [
            f"{VERDICT_RULE} Not supported is not refuted.",
            intro,
            markdown.grid(rows, headers),
            "\n".join(lines),
        ]
    )


def _verdict(cell: Mapping[Hashable, Any]) -> str:
    verdict, *counts = counted(cell)
    return f"{verdict}: {', '.join(counts)}" if counts else verdict


def _rankings(rankings: Sequence[Ranking]) -> list[str]:
    sections = []
    for one in rankings:
        sections.append(f"### {one.rows[0].upper()}{one.rows[1:]}, {one.over}")
        if one.tests:
            sections += [ranks_text(one.tests), apart_text(one.tests)]
        if one.left_out:
            sections.append("Left out: " + markdown.escape("; ".join(one.left_out)) + ".")
    return sections


def cost(jobs: pd.DataFrame, titles: Mapping[str, str]) -> str:
    """Return processor hours by method and data set; of a record that lacks them, hours by the clock."""
    known = jobs["processor_seconds"] > 0
    spent = jobs.assign(hours=jobs["processor_seconds"].where(known, jobs["seconds"]) / 3600)
    hours = spent.pivot_table(index="method", columns="dataset", values="hours", aggfunc="sum", sort=False)
    hours = hours.assign(all=hours.sum(axis=1))
    rows = [
        (name, *(f"{x:.3f}" for x in values))
        for name, values in zip(hours.index, hours.to_numpy(), strict=True)
    ]
    most = jobs["peak_mib"].max()
    text = f"Processor hours: {hours['all'].sum():.1f}. Most memory of a job: {most:.0f} MiB."
    if not known.all():
        text += (
            f" Of {(~known).sum()} of the {len(jobs)} jobs only hours by the clock are known, which count "
            "what they waited for other programs."
        )
    headers = ("method", *(titles.get(name, name) for name in hours.columns))
    return f"{text}\n\n{markdown.grid(rows, headers)}"


def _metrics(gathered: Gathered, dataset: str) -> str:
    results = gathered.results(dataset)
    return markdown.render(own_table(results, results.as_printed, "as printed", dataset))
