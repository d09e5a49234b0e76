"""ML2000's images with four kinds of features, those of TAOBAO; it must not know how they were extracted."""

from dataclasses import replace
from pathlib import Path

from datasets.ml2000 import DATASET as ML2000
from datasets.taobao import DATASET as TAOBAO

DATASET = replace(
    ML2000,
    id="ml2000-taobao",
    title="ML2000-taobao",
    expected=replace(ML2000.expected, dims=TAOBAO.expected.dims),
    modality_names=TAOBAO.modality_names,
    features_file=Path(__file__).with_name("ml2000_taobao_features.npz"),
    manifest_file=Path(__file__).with_name("ml2000_taobao_manifest.json"),
    split_id="ml2000",
    in_paper=False,
)
