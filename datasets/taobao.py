"""TAOBAO: pictures of items on sale, four image feature sets; it must not know who reads it."""

from benchmark.contracts import Shape
from datasets.lookalike import LookAlikeBacked

DATASET = LookAlikeBacked(
    id="taobao",
    title="TAOBAO",
    expected=Shape(n=2079, q=30, dims=(500, 48, 81, 24)),
    modality_names=("bow", "gabor", "hog", "hsvhist"),
    citation=(
        "H.-J. Ye, D.-C. Zhan, X. Li, Z. Huang, Y. Jiang, College student scholarships and subsidies "
        "granting: a multi-modal multi-label approach, ICDM 2016"
    ),
    cardinality=1.09,
)
