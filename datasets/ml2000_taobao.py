"""ML2000's images with four kinds of features, those of TAOBAO; it must not know how they were extracted."""

from dataclasses import replace
from pathlib import Path

from benchmark.contracts import Shape
from datasets.ml2000 import DATASET as ML2000

DATASET = replace(
    ML2000,
    id="ml2000-taobao",
    title="ML2000-taobao",
    expected=Shape(n=2000, q=5, dims=(500, 48, 81, 24)),
    modality_names=("bow", "gabor", "hog", "hsvhist"),
    features_file=Path(__file__).with_name("ml2000_taobao_features.npz"),
    manifest_file=Path(__file__).with_name("ml2000_taobao_manifest.json"),
    split_id="ml2000",
    in_paper=False,
)
