"""ML2000's images with seven kinds of features, those of MSRA; it must not know how they were extracted."""

from dataclasses import replace
from pathlib import Path

from datasets.ml2000 import DATASET as ML2000
from datasets.msra import DATASET as MSRA

DATASET = replace(
    ML2000,
    id="ml2000-msra",
    title="ML2000-msra",
    expected=replace(ML2000.expected, dims=MSRA.expected.dims),
    modality_names=MSRA.modality_names,
    features_file=Path(__file__).with_name("ml2000_msra_features.npz"),
    manifest_file=Path(__file__).with_name("ml2000_msra_manifest.json"),
    split_id="ml2000",
    in_paper=False,
)
