"""How ids are printed and in which order the paper prints them; no other module knows either."""

from __future__ import annotations

from collections.abc import Iterable

from benchmark.contracts import Provenance
from benchmark.score.metrics import DIRECTIONS

WCO = "$W_{co}$"
"""The one piece of mathematics in a name, as both Markdown and LaTeX take it."""
METHOD_TITLES = {"M3LA-Wco": f"M3LA-{WCO}"}
DATASET_TITLES = {"fcvid": "FCVID", "msra": "MSRA", "ml2000": "ML2000", "taobao": "TAOBAO"}
METRIC_TITLES = {
    "macro_auc": "macro AUC",
    "micro_auc": "micro AUC",
    "example_auc": "example AUC",
    "macro_f1": "macro F1",
    "micro_f1": "micro F1",
    "example_f1": "example F1",
    "ranking_loss": "RankingLoss",
    "hamming_loss": "HammingLoss",
    "coverage": "Coverage",
    "subset_accuracy": "SubAcc",
    "n_orders": "distinct orders",
    "order_entropy_bits": "entropy (bits)",
    "w_co_phi_spearman": f"Spearman({WCO}, phi)",
}
ARROWS = {"up": "↑", "down": "↓"}
RULE_TITLES = {
    "fixed": "0.5",
    "eq13": "eq. (13) on test scores (transductive)",
    "eq16a": "eq. (16), reading A, on test scores (transductive)",
    "eq16b": "eq. (16), reading B, on test scores (transductive)",
    "eq13@holdout": "eq. (13) on held-out training rows",
    "eq16a@holdout": "eq. (16), reading A, on held-out training rows",
    "eq16b@holdout": "eq. (16), reading B, on held-out training rows",
}
PROVENANCE_MARKS = {
    Provenance.REAL: "",
    Provenance.REBUILT: "†",
    Provenance.LOOK_ALIKE: "‡",
    Provenance.LEAKED: "¶",
}
RECONSTRUCTED_MARK = "§"
"""After the title of a row whose method's paper could not be found."""
PROVENANCE_TEXTS = {
    Provenance.REAL: "real data",
    Provenance.REBUILT: "real instances and labels, features re-extracted by this project",
    Provenance.LOOK_ALIKE: "look-alike, not the real data: numbers are printed grey (italic in Markdown), "
    "take no bold and support no claim",
    Provenance.LEAKED: "leaked: unsupervised parts of the features were fitted on rows that some seeds test "
    "on, which can make every number too good",
}

TABLE2_DATASETS = ("fcvid", "msra", "ml2000", "taobao")
TABLE2_METHODS = ("BR", "CC", "DMP", "CS3G", "MCC", "M3LA")
TABLE2_BLOCKS = (
    ("macro_auc", "macro_f1"),
    ("micro_auc", "micro_f1"),
    ("example_auc", "example_f1"),
    ("ranking_loss", "hamming_loss"),
    ("coverage", "subset_accuracy"),
)
TABLE3_DATASET = "ml2000"
TABLE3_METHODS = ("DMP", "CS3G", "MCC", "M3LA-order", "M3LA-Wco", "M3LA")
PAPER_METHODS = frozenset((*TABLE2_METHODS, *TABLE3_METHODS))


def method_title(method: str) -> str:
    """Print a method as the paper does; ids unknown to the paper stand for themselves."""
    return METHOD_TITLES.get(method, method)


def dataset_title(dataset: str) -> str:
    """Print a data set as the paper does; ids unknown to the paper stand for themselves."""
    return DATASET_TITLES.get(dataset, dataset)


def metric_heading(metric: str) -> str:
    """Print one of the ten metrics with an arrow to its better side."""
    return f"{METRIC_TITLES[metric]} {ARROWS[DIRECTIONS[metric]]}"


def rule_title(rule: str) -> str:
    """Say in words how a threshold rule works; a rule without words stands for itself."""
    return RULE_TITLES.get(rule, rule)


def in_paper_order(paper: Iterable[str], others: Iterable[str]) -> tuple[str, ...]:
    """Append to the paper's order what the paper does not have, in its own order and once each."""
    return tuple(dict.fromkeys((*paper, *others)))
