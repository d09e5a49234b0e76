"""How the page names things: anchors, titles, commands; it knows no number's meaning."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

from markupsafe import Markup, escape

from benchmark.registry import seeds_flag
from benchmark.tables import names
from benchmark.words import one_line


def anchor(*parts: str) -> str:
    """Return an id that is the same for the same parts, safe in HTML, addresses and CSS."""
    return ".".join(re.sub(r"[^A-Za-z0-9_-]", lambda found: f"~{ord(found[0]):x}", part) for part in parts)


def title(text: object) -> Markup:
    """Escape a title; `names.WCO` alone is mathematics."""
    return Markup("W<sub>co</sub>").join(map(escape, one_line(text).split(names.WCO)))


def command(name: str, *arguments: str) -> str:
    """Write a command of this project as it is pasted into a shell."""
    return shlex.join(("python", "run_all.py", *filter(None, (name, *arguments))))


def rerun(dataset: str, method: str, seeds: Sequence[int], profile: str) -> str:
    """Write the command that makes a row's numbers again."""
    choice = ("--datasets", dataset, "--methods", method, "--seeds", seeds_flag(seeds))
    return command("", *choice, "--profile", profile)
