"""The commands that end in the page: run and report; heavy imports wait for the call."""

from __future__ import annotations

import argparse
import gc
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.exit_codes import FINDING, OK
from benchmark.run import flags
from benchmark.run.flags import Command
from benchmark.tables import command as tables

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmark.registry import Registry
    from benchmark.report.figures.drawn import Drawn
    from benchmark.run.bench import Bench

FOLDER, PAGE, FIGURES = "report", "index.html", "figures"


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
    parser.add_argument(
        "--overview", metavar="FILE", type=Path, help="also write which printed numbers reproduce, as one SVG"
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


def run(args: argparse.Namespace, registry: Registry) -> int:
    """Run what is missing, then write the tables and the page."""

    def write(bench: Bench) -> Path:
        page = bench.results_dir / FOLDER / PAGE
        write_report(bench, page, None, everything=True)  # figures for papers take as long again
        return page

    return tables.run(args, registry, write)


def report(args: argparse.Namespace, registry: Registry) -> int:
    """Write the page."""
    bench = flags.bench_of(args, registry)
    page = args.out or args.results / FOLDER / PAGE
    folder = args.figures or (None if args.out else page.parent / FIGURES)
    problems = write_report(
        bench,
        page,
        folder,
        overview=args.overview,
        reference=args.reference,
        images=args.images,
        copied=args.embed_images is not None,
    )
    print(f"wrote {page}" + (f", and its figures as SVG and PDF to {folder}" if folder else ""))
    for problem in problems:
        print(problem, file=sys.stderr)
    return FINDING if problems else OK


def write_report(
    bench: Bench,
    page: Path,
    folder: Path | None,
    *,
    overview: Path | None = None,
    reference: bool = False,
    everything: bool = False,
    images: Path | None = None,
    copied: bool = False,
) -> tuple[str, ...]:
    """Write the page, and its figures where a folder for them is given.

    Parameters
    ----------
    bench : Bench
    page : Path
    folder : Path or None
        For each figure as SVG and PDF.
    overview : Path, optional
        For the verdicts at a glance, of the first data set that has any.
    reference : bool
        Show the committed references of the profile instead of current records.
    everything : bool
        Show all of the paper's records, not only the chosen ones.
    images : Path, optional
        Folder of ML2000's images, for a gallery.
    copied : bool
        Whether the gallery's images become part of the page.

    Returns
    -------
    tuple of str
        What was there and could not be used.
    """
    from benchmark.files import write_bytes, write_text
    from benchmark.report.figures import figures_of
    from benchmark.report.figures.drawn import save
    from benchmark.report.gallery import gallery_of
    from benchmark.report.gather import gather
    from benchmark.report.page import render

    with _no_garbage():
        material = gather(bench, reference, everything=everything)
        figures = figures_of(material)
        gallery = None
        if images is not None:
            gallery = gallery_of(bench, images, page, dataset="ml2000", copied=copied)
        write_text(page, render(material, figures, gallery))
    if overview:
        write_bytes(overview, _overview(figures).svg)
    if folder:
        for drawn in figures:
            save(drawn, folder)
    return material.problems


@contextmanager
def _no_garbage() -> Iterator[None]:
    """Keep the collector from looking through records and figures again and again: all of them stay."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _overview(figures: Sequence[Drawn]) -> Drawn:
    from benchmark.run.config import ConfigError

    found = next((drawn for drawn in figures if drawn.name.startswith("verdicts-")), None)
    if found is None:
        raise ConfigError("--overview: no data set of the paper has numbers; choose one with --datasets")
    return found


COMMANDS = {
    "run": Command("run what is missing, write tables and page (the default)", tables.run_flags, run),
    "report": Command("write one page of verdicts, tables, claims and figures", _report_flags, report),
}
