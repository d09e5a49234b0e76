"""Whether the paper was reproduced, in a few sentences made of verdicts and claims; it decides nothing."""

from __future__ import annotations

import pandas as pd

from benchmark.contracts import Provenance
from benchmark.paper.beyond import Beyond
from benchmark.paper.claims import CANNOT, SUPPORTED
from benchmark.paper.verdicts import BETTER, LEAKED, NOT_COMPARABLE, REBUILT, REPRODUCED, UNDECIDED, WORSE
from benchmark.tables import names

METHOD = "M3LA"
"""The method that the paper is about."""
BEST = "consistently-superior"
"""The claim that it has the best mean in every cell."""
_FEATURES: dict[str, str] = {Provenance.REBUILT: "our features", Provenance.LEAKED: "leaked features"}


def answer(verdicts: pd.DataFrame, claims: pd.DataFrame, beyond: Beyond | None = None) -> str:
    """Return what was found: of the printed numbers, of the claims, and beyond the paper's data sets.

    Parameters
    ----------
    verdicts : DataFrame
        As `benchmark.paper.verdicts.judge` returns it, or as it is read from a reference's `verdicts.csv`.
    claims : DataFrame
        As `benchmark.paper.claims.check_claims` returns it, or as it is read from `claims.csv`.
    beyond : Beyond, optional
        What was found over other real data sets.
    """
    distinct = verdicts[~verdicts["repeats"]] if verdicts["repeats"].any() else verdicts
    tested = distinct[distinct["verdict"] != NOT_COMPARABLE]
    judged = [name for name in names.TABLE2_DATASETS if name in set(tested["dataset"])]
    others = [names.dataset_title(name) for name in names.TABLE2_DATASETS if name not in judged]
    sentences = [_of_numbers(distinct[distinct["dataset"].isin(judged)], tested, judged), _of_claims(claims)]
    if judged and others:
        sentences.append(f"{_listed(others)} {'is' if len(others) == 1 else 'are'} not judged.")
    if beyond is not None:
        sentences.append(_of_others(beyond))
    return " ".join(filter(None, sentences))


def _of_numbers(cells: pd.DataFrame, tested: pd.DataFrame, judged: list[str]) -> str:
    if tested.empty:
        return "None of the paper's printed numbers can be compared with these."
    where = _listed([_with_features(name, tested) for name in judged])
    text = (
        f"On {where}, {len(tested)} of the paper's {len(cells)} printed numbers can be compared: "
        f"{_counts(tested)}"
    )
    own = tested[tested["method"] == METHOD]
    return f"{text}; of {METHOD}'s own {len(own)}, {_counts(own)}." if len(own) else f"{text}."


def _with_features(dataset: str, tested: pd.DataFrame) -> str:
    rows = tested[tested["dataset"] == dataset]
    remarks = [_FEATURES.get(rows["provenance"].iloc[0], ""), f"{rows['n_seeds'].max()} seeds"]
    return f"{names.dataset_title(dataset)} ({', '.join(filter(None, remarks))})"


def _counts(tested: pd.DataFrame) -> str:
    found = tested["verdict"].value_counts()
    kinds = (
        ((REPRODUCED, REBUILT, LEAKED), "reproduced"),
        ((BETTER,), "better than printed"),
        ((WORSE,), "worse"),
        ((UNDECIDED,), "undecided"),
    )
    return _listed([f"{sum(int(found.get(v, 0)) for v in verdicts)} {word}" for verdicts, word in kinds])


def _of_claims(claims: pd.DataFrame) -> str:
    ours = claims[(claims["side"] == "ours") & (claims["verdict"] != CANNOT)]
    if ours.empty:
        return ""
    supported, first = int((ours["verdict"] == SUPPORTED).sum()), ours.iloc[0]
    return (
        f"Of the paper's {claims['id'].nunique()} claims, {len(ours)} can be judged by these runs and "
        f"{supported} {'is' if supported == 1 else 'are'} supported; “{first['quote']}” is "
        f"{first['verdict']} ({first['better']} of {first['cells']} cells)."
    )


def _of_others(beyond: Beyond) -> str:
    """Say what the claims come to over the data sets that could be judged."""
    found, n_judged, wanted = beyond.over_all(), len(beyond.judged), len(beyond.wanted)
    judged = found[found["verdict"] != CANNOT]
    where = (
        f"{n_judged} real data sets"
        if n_judged == wanted
        else f"{n_judged} of {wanted} real data sets so far"
    )
    best = judged[judged["id"] == BEST]
    if best.empty:
        return ""
    supported, first = int((judged["verdict"] == SUPPORTED).sum()), best.iloc[0]
    return (
        f"On {where}, {supported} of {len(judged)} claims about data sets in general "
        f"{'is' if supported == 1 else 'are'} supported, and {METHOD} is best, alone or tied, in "
        f"{first['better']} of {first['cells']} cells."
    )


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
