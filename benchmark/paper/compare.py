"""`compare`: a verdict for each printed cell and each claim, printed and written.

A verdict is a result, not a fault: the exit code says whether all that was run could be judged (0), something
could not (1), or nothing (2).
"""

from __future__ import annotations

import argparse
import json
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.exit_codes import CANNOT, FINDING, OK
from benchmark.paper.claims import check_claims, parse_claims
from benchmark.paper.margins import read_margins
from benchmark.paper.printed import read_cells
from benchmark.paper.sources import (
    Source,
    joined,
    read_records,
    source_of_records,
    sources_of_references,
)
from benchmark.paper.text import claims_text, verdicts_text
from benchmark.paper.verdicts import Totals, judge, totals
from benchmark.run.bench import Bench
from benchmark.run.config import ConfigError

PAPER = Path(__file__).resolve().parents[2] / "results" / "paper"


@dataclass(frozen=True)
class Judgement:
    """What was found of one source: its verdicts, and the claims over all sources."""

    source: Source
    verdicts: pd.DataFrame
    totals: Totals
    claims: pd.DataFrame

    @property
    def problems(self) -> tuple[str, ...]:
        """What was there to be judged and could not be."""
        cells = self.verdicts[~self.verdicts["repeats"]]
        broken = cells[cells["reason"].str.startswith("cannot judge")]
        counts = broken[["dataset", "method", "reason"]].value_counts(sort=False).reset_index(name="n")
        lines = (
            f"{d}/{m}: {reason} ({n} printed cells)" for d, m, reason, n in counts.itertuples(index=False)
        )
        return (*self.source.judged.messages, *lines)

    @property
    def exit_code(self) -> int:
        """0: all that was run was judged; 1: some could not be; 2: nothing could."""
        if not self.totals.tested:
            return CANNOT
        return FINDING if self.problems else OK


def run(args: argparse.Namespace, bench: Bench) -> int:
    """Judge current records, or the committed references of the profile."""
    if args.reference:
        sources = sources_of_references(bench)
    else:
        sources = [source_of_records(read_records(bench), bench)]
    judgements = judge_sources(sources)
    for judgement in judgements:
        write(judgement)
    if args.json:
        print(json.dumps([as_json(judgement) for judgement in judgements], indent=1))
    else:
        name = judgements[0].source.judged.source
        for judgement in judgements:
            print(verdicts_text(judgement.verdicts, judgement.totals, name))
        print(claims_text(judgements[0].claims, name))
        for judgement in judgements:
            print(f"wrote verdicts and claims to {judgement.source.folder}")
    for judgement in judgements:
        for problem in (*judgement.source.judged.warnings, *judgement.problems):
            print(problem, file=sys.stderr)
        if judgement.exit_code == CANNOT:
            print(
                f"cannot judge {judgement.source.judged.source}: no printed cell is comparable",
                file=sys.stderr,
            )
    codes = {judgement.exit_code for judgement in judgements}
    if len(codes) == 1:
        return codes.pop()
    return FINDING  # one reference was judged, and of another something or all could not be


def judge_sources(sources: Sequence[Source], paper: Path = PAPER) -> list[Judgement]:
    """Read the printed tables, the margins and the claims, and judge all sources as one.

    Holm's correction is over the cells of all of them, and a claim may be about several data sets.

    Returns
    -------
    list
        For each source the verdicts on its data sets, and all claims.

    Raises
    ------
    ConfigError
        If the paper has no table of any data set of a source.
    """
    printed = read_cells(paper)
    about = {source.folder: printed["dataset"].isin(source.datasets) for source in sources}
    for source in sources:
        if not about[source.folder].any():
            raise ConfigError(f"cannot judge: the paper prints nothing of {', '.join(source.datasets)}")
    judged = joined(sources)
    chosen = pd.concat(about.values(), axis=1).any(axis=1)
    verdicts = judge(printed[chosen], read_margins(paper / "margins.csv"), judged)
    claims = check_claims(parse_claims(read_claims(paper / "claims.toml")), printed, judged)
    parts = [verdicts[verdicts["dataset"].isin(source.datasets)] for source in sources]
    return [
        Judgement(source, part, totals(part), claims) for source, part in zip(sources, parts, strict=True)
    ]


def read_claims(path: Path) -> list[Mapping[str, Any]]:
    """Read the tables of a claims file.

    Raises
    ------
    ConfigError
        If it is not TOML, or holds no `[[claim]]`.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error
    if not isinstance(content.get("claim"), list):
        raise ConfigError(f"{path} holds no [[claim]]")
    return list(content["claim"])


def write(judgement: Judgement) -> None:
    """Write `verdicts` and `claims` as Markdown and CSV."""
    folder, name = judgement.source.folder, judgement.source.judged.source
    folder.mkdir(parents=True, exist_ok=True)
    texts = {
        "verdicts.md": verdicts_text(judgement.verdicts, judgement.totals, name),
        "claims.md": claims_text(judgement.claims, name),
        # Six significant digits: the last bits of a p-value differ between machines.
        "verdicts.csv": judgement.verdicts.to_csv(index=False, lineterminator="\n", float_format="%.6g"),
        "claims.csv": judgement.claims.to_csv(index=False, lineterminator="\n"),
    }
    for file, text in texts.items():
        (folder / file).write_text(text, encoding="utf-8", newline="\n")


def as_json(judgement: Judgement) -> dict[str, Any]:
    """Return what programs read; a number that does not exist is null."""
    sums = asdict(judgement.totals)
    return {
        "source": judgement.source.judged.source,
        "folder": str(judgement.source.folder),
        "exit_code": judgement.exit_code,
        "problems": list(judgement.problems),
        "totals": {key: None if value != value else value for key, value in sums.items()},
        "verdicts": records(judgement.verdicts),
        "claims": records(judgement.claims),
    }


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return rows as JSON's own types, nan as null."""
    return list(json.loads(frame.to_json(orient="records", double_precision=15)))
