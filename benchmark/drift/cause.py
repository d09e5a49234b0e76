"""What could explain that two sides differ: data, code, settings, environment or metrics; it never judges."""

from __future__ import annotations

from benchmark.drift.pair import PairSides

NOTHING_RECORDED = "nothing recorded differs: something unrecorded, or a method that ignores its seed"


def recorded_changes(pair: PairSides, settings: str, bits: str) -> str:
    """Return what is on record as different between a pair's sides; empty text if nothing is.

    Parameters
    ----------
    pair
        Both sides, each of one version.
    settings
        What is known to differ between their settings; empty text where that was not kept.
    bits
        Why bits may differ between their environments.
    """
    found = []
    data, version = pair.hashes("data_hash"), pair.hashes("config_hash")
    if data[0] != data[1]:
        found.append(f"data (hash {data[0][:12]} -> {data[1][:12]})")
    if pair.same_seeds and pair.same_scores.all():
        # Whatever made the scores made the same ones.
        return "; ".join([*found, "metrics, thresholds or hardening: the scores are the same"])
    if settings:
        found.append(settings)
    elif version[0] != version[1]:
        perhaps = "perhaps " if found else ""
        found.append(f"{perhaps}code, options or limits (version {version[0]} -> {version[1]})")
    if bits:
        found.append(f"environment: {bits}")
    return "; ".join(found)
