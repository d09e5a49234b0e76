"""ML2000's images with seven kinds of features, those of MSRA; it must not know how they were extracted."""

from dataclasses import replace
from pathlib import Path

from benchmark.contracts import Shape
from datasets.ml2000 import DATASET as ML2000

DATASET = replace(
    ML2000,
    id="ml2000-msra",
    title="ML2000-msra",
    expected=Shape(n=2000, q=5, dims=(256, 225, 64, 144, 75, 128, 7)),
    modality_names=(
        "rgb_histogram",
        "color_moments",
        "hsv_histogram",
        "correlogram",
        "distribution_histogram",
        "wavelet",
        "face",
    ),
    features_file=Path(__file__).with_name("ml2000_msra_features.npz"),
    manifest_file=Path(__file__).with_name("ml2000_msra_manifest.json"),
    split_id="ml2000",
    in_paper=False,
)
