"""The command report: reads flags, writes the page and its figures; heavy imports wait for the call."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.exit_codes import FINDING, OK
from benchmark.run import flags
from benchmark.run.flags import Command

if TYPE_CHECKING:
    from benchmark.registry import Registry
    from benchmark.run.bench import Bench

FOLDER, PAGE = "report", "index.html"


def _report_flags(parser: argparse.ArgumentParser) -> None:
    flags.add_choice(parser)
    flags.add_places(parser)
    parser.add_argument(
        "--reference",
        action="store_true",
        help="show results/reference/<profile>/ instead of current records",
    )
    parser.add_argument(
        "--out", metavar="FILE", type=Path, help="the page; default: results/report/index.html"
    )
    parser.add_argument(
        "--figures",
        metavar="DIR",
        type=Path,
        help="also write each figure as SVG and PDF; default: beside the page, not with --out",
    )
    gallery = parser.add_argument_group("single images")
    gallery.add_argument(
        "--images", metavar="DIR", type=Path, help="folder with ML2000's 1.jpg to 2000.jpg: adds a gallery"
    )
    gallery.add_argument(
        "--embed-images",
        choices=["academic-use-only"],
        help="copy the gallery's images into the page; ML2000's terms: academic use only, with its citation",
    )


def report(args: argparse.Namespace, registry: Registry) -> int:
    """Write the page."""
    bench = flags.bench_of(args, registry)
    page = args.out or args.results / FOLDER / PAGE
    folder = args.figures or (None if args.out else page.parent / "figures")
    copied = args.embed_images is not None
    return write_report(bench, page, folder, args.reference, args.images, copied)


def write_report(
    bench: Bench,
    page: Path,
    folder: Path | None,
    reference: bool,
    images: Path | None = None,
    copied: bool = False,
) -> int:
    """Write the page, and its figures where a folder for them is given; say where they are."""
    from benchmark.files import write_text
    from benchmark.report.figures import figures_of
    from benchmark.report.figures.drawn import save
    from benchmark.report.gallery import gallery_of
    from benchmark.report.gather import gather
    from benchmark.report.page import render

    material = gather(bench, reference)
    figures = figures_of(material)
    gallery = None if images is None else gallery_of(bench, images, page, dataset="ml2000", copied=copied)
    write_text(page, render(material, figures, gallery))
    if folder:
        for drawn in figures:
            save(drawn, folder)
    print(f"wrote {page}" + (f", and its figures as SVG and PDF to {folder}" if folder else ""))
    for problem in material.problems:
        print(problem, file=sys.stderr)
    return FINDING if material.problems else OK


COMMANDS = {
    "report": Command("write one page that shows verdicts, tables, claims and figures", _report_flags, report)
}
