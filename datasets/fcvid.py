"""FCVID: videos of one category each, five sets of 400 features; it must not know who reads it."""

from benchmark.contracts import Shape
from datasets.lookalike import LookAlikeBacked

DATASET = LookAlikeBacked(
    id="fcvid",
    title="FCVID",
    expected=Shape(n=4388, q=28, dims=(400, 400, 400, 400, 400)),
    modality_names=("hof", "hog", "cnn", "sift", "trajectory"),
    citation=(
        "Y.-G. Jiang, Z. Wu, J. Wang, X. Xue, S.-F. Chang, Exploiting feature and class relationships in "
        "video categorization with regularized deep neural networks, IEEE TPAMI 40(2), 2018"
    ),
    cardinality=1.00,
    exclusive=True,
)
