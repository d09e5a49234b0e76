"""What the parts found as Markdown; it measures nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmark.studies.speed.device_table import Device, DeviceTiming, render_device_speed
from benchmark.studies.speed.text import VERDICTS
from benchmark.tables.markdown import escape, grid

WAY_COLUMNS = ("method", "shape", "way", "first epoch s", "ms a step", "launches")


def render(found: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the report of all parts that there are, each with the device that it ran on."""
    devices = dict.fromkeys(part["device"]["name"] for part in found.values())
    parts = [f"# On an accelerator: {escape(', '.join(devices)) or 'nothing yet'}"]
    checks = [
        [name, escape(check["name"]), escape(check["found"]), escape(check["bar"]), VERDICTS[check["met"]]]
        for name, part in found.items()
        for check in part.get("checks", ())
    ]
    if checks:
        parts.append(grid(checks, ("part", "check", "found", "bar", "")))
    if ways := [way for part in found.values() for way in part.get("ways", ())]:
        parts.append("## Ways to run a step of ten networks")
        parts.append(grid([_way(way) for way in ways], WAY_COLUMNS))
    parts += _speed(found)
    failed = [
        f"- {name}: {escape(part['error'].strip().splitlines()[-1])}"
        for name, part in found.items()
        if "error" in part
    ]
    if failed:
        parts.append("Failed, and tried again by the next call:\n\n" + "\n".join(failed))
    if found:
        parts.append("Seconds: " + ", ".join(f"{name} {p['seconds']:g}" for name, p in found.items()) + ".")
    return "\n\n".join(parts) + "\n"


def _way(way: Mapping[str, Any]) -> list[str]:
    return [
        way["method"],
        way["dataset"],
        way["way"],
        f"{way['first_seconds']:.1f}",
        f"{way['ms']:.2f}",
        f"{way['launches']:.0f}",
    ]


def _speed(found: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the table of speed for each device that times are of."""
    by_device: dict[Device, list[DeviceTiming]] = {}
    names = DeviceTiming.__dataclass_fields__
    for part in found.values():
        for timing in part.get("timings", ()):
            own = DeviceTiming(**{name: timing[name] for name in names})
            by_device.setdefault(Device(**part["device"]), []).append(own)
    return [f"#{render_device_speed(timings, device).rstrip()}" for device, timings in by_device.items()]
