"""MSRA: web images, seven sets of colour, texture and face features; it must not know who reads it."""

from benchmark.contracts import Shape
from datasets.lookalike import LookAlikeBacked

DATASET = LookAlikeBacked(
    id="msra",
    title="MSRA",
    expected=Shape(n=15000, q=50, dims=(256, 225, 64, 144, 75, 128, 7)),
    modality_names=(
        "rgb_histogram",
        "color_moments",
        "hsv_histogram",
        "correlogram",
        "distribution_histogram",
        "wavelet",
        "face",
    ),
    citation=(
        "The paper cites T. Liu et al., Learning to detect a salient object; features and dimensions "
        "are those of MSRA-MM"
    ),
    cardinality=2.62,
)
