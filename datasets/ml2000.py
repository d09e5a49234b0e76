"""ML2000: 2000 natural scenes, labels real, features rebuilt; it must not know how they were extracted."""

from pathlib import Path

from benchmark.contracts import Shape
from datasets.rebuilt import RebuiltFeatures

DATASET = RebuiltFeatures(
    id="ml2000",
    title="ML2000",
    expected=Shape(n=2000, q=5, dims=(500, 1040, 576)),
    modality_names=("bow", "fv", "hog"),
    citation=(
        "Z.-H. Zhou, M.-L. Zhang, Multi-instance multi-label learning with application to scene "
        "classification, NIPS 2006"
    ),
    label_names=("desert", "mountains", "sea", "sunset", "trees"),
    features_file=Path(__file__).with_name("ml2000_features.npz"),
    manifest_file=Path(__file__).with_name("ml2000_manifest.json"),
)
