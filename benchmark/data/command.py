"""`run_all.py data`: makes a data set of a user's files, and checks one; it alone parses flags and prints.

Heavy imports wait for the call.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.exit_codes import FINDING, OK
from benchmark.run import flags
from benchmark.run.flags import Command

if TYPE_CHECKING:
    from benchmark.contracts import Dataset
    from benchmark.registry import Registry
    from datasets.formats.importing import Imported, Wish
    from datasets.formats.known import Known
    from datasets.formats.manifest import Manifest

COLUMNS = (
    "a table, or columns of one: names and globs as t_*, numbers from 0 as 64:72 (72 is not among them), "
    "last:6, of one of several tables as TABLE/64:72; comma-separated"
)


READING = ("modality", "labels", "label_names", "index", "min_positives", "format")
"""Arguments that say how sources are read, which a known data set says itself."""


def _import_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "sources",
        metavar="SOURCE",
        nargs="*",
        help="NPZ, NPY, MATLAB, ARFF, LIBSVM, CSV or Parquet; A+B: the rows of A, then those of B",
    )
    parser.add_argument(
        "--known",
        metavar="NAME",
        help="a public data set instead of sources: emotions, yeast, scene, corel5k or drugs",
    )
    parser.add_argument(
        "--files",
        metavar="DIR",
        type=Path,
        help="where the files of --known are looked for before they are downloaded; default: $M3LA_DATA",
    )
    parser.add_argument(
        "--out",
        metavar="DIR/ID",
        type=Path,
        help="folder to make; its name is the id; default of --known: where --data looks by default",
    )
    parser.add_argument("--dry-run", action="store_true", help="say what was understood, and stop")
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier data set of that name")
    what = parser.add_argument_group("what is what")
    what.add_argument(
        "--modality",
        metavar="NAME=COLUMNS",
        action="append",
        default=[],
        help=f"a modality, once for each, in order; COLUMNS: {COLUMNS}; default: each table",
    )
    what.add_argument(
        "--labels",
        metavar="COLUMNS",
        help="the labels, or an XML file of Mulan's that lists them; default: what the source says",
    )
    what.add_argument(
        "--label-names", metavar="NAMES", help="comma-separated, or a variable of the source that holds them"
    )
    what.add_argument(
        "--index", metavar="COLUMN", help="name or number of the column of ids that joins several tables"
    )
    what.add_argument(
        "--min-positives",
        metavar="N",
        type=flags.whole_number(0),
        default=0,
        help="leave out labels that fewer rows have",
    )
    what.add_argument(
        "--format",
        metavar="NAME",
        help="npy, npz, matlab, matlab73, arff, libsvm, csv or parquet; default: by content",
    )
    _statement_flags(parser)


def _statement_flags(parser: argparse.ArgumentParser) -> None:
    say = parser.add_argument_group("what tables say of it")
    say.add_argument("--title", help="default: the id")
    say.add_argument("--provenance", default="real", help="real (the default), rebuilt or look-alike")
    for name, meaning in (
        ("terms", "under which the data may be used"),
        ("citation", "of whoever made them"),
        ("note", "what captions must say"),
        ("split-id", "shared by data sets of the same rows; default: the id"),
        ("fit-on", "rows that unsupervised parts of features saw: all (the default) or train:SEED"),
    ):
        say.add_argument(f"--{name}", default="", metavar="TEXT", help=meaning)


def import_sources(args: argparse.Namespace, registry: Registry) -> int:
    """Make a data set of other files, and say what was understood; 0 fine, 2 what could not be understood."""
    from benchmark.data.text import describe_import
    from datasets.formats.importing import understand
    from datasets.formats.known import find_files, import_known
    from datasets.formats.manifest import check_free, check_statement, write_dataset

    known = _known(args)
    folder = args.out
    _check_id(folder, registry)
    check_free(folder, args.overwrite)
    imported = import_known(known, find_files(known, _files(args))) if known else understand(_wish(args))
    manifest = _manifest(args, imported)
    check_statement(manifest, folder)
    print(describe_import(folder.absolute().name, imported), flush=True)
    if args.dry_run:
        print(f"\nnot written (--dry-run): {folder}")
        return OK
    write_dataset(folder, manifest, tuple(imported.modalities.values()), imported.labels, args.overwrite)
    print(
        f"\nwritten: {folder}; to run it: python run_all.py --data {folder.parent} --datasets {folder.name}"
    )
    return OK


def _known(args: argparse.Namespace) -> Known | None:
    """Return the public data set that is asked for, whose statements fill what the flags leave out."""
    from benchmark.contracts import DataError, cache_directory
    from benchmark.registry import suggestion
    from datasets.formats.known import known_datasets

    if args.known is None:
        if not args.sources or args.out is None:
            raise DataError("data import needs SOURCE and --out DIR/ID, or --known NAME; see --help")
        return None
    chosen = {f"--{name.replace('_', '-')}": getattr(args, name) for name in READING}
    if given := [*(["SOURCE"] if args.sources else []), *(flag for flag, value in chosen.items() if value)]:
        raise DataError(f"--known {args.known} says itself what {given[0]} would; leave one of them out")
    known = known_datasets()
    if args.known not in known:
        there = f"{suggestion(args.known, tuple(known))} (there are: {', '.join(known)})"
        raise DataError(f"--known {args.known}: no such data set{there}")
    found = known[args.known]
    for name in ("title", "terms", "citation", "note"):
        setattr(args, name, getattr(args, name) or getattr(found, name))
    args.out = args.out or cache_directory() / "data" / found.name
    return found


def _files(args: argparse.Namespace) -> Path:
    """Return the folder where files of a known data set are looked for."""
    from benchmark.contracts import DataError
    from benchmark.run.features import given_directory

    if args.files is None:
        return given_directory()[0]
    if not args.files.is_dir():
        raise DataError(f"--files {args.files}: no such folder; correct it, or leave it out")
    return args.files


def _wish(args: argparse.Namespace) -> Wish:
    from datasets.formats.importing import Wish

    return Wish(
        sources=tuple(args.sources),
        modalities=_modalities(args.modality),
        labels=args.labels,
        label_names=args.label_names,
        index=args.index,
        min_positives=args.min_positives,
        format=args.format,
    )


def _check_id(folder: Path, registry: Registry) -> None:
    from benchmark.contracts import DataError
    from datasets.formats.manifest import check_name

    id = check_name(folder.absolute().name, "--out")
    if taken := [known for known in registry.datasets if known.lower() == id.lower()]:
        raise DataError(f"--out {folder}: {taken[0]} is a data set of this project; choose another id")


def _modalities(given: list[str]) -> dict[str, str]:
    from benchmark.contracts import DataError
    from datasets.formats.manifest import check_name

    chosen: dict[str, str] = {}
    for text in given:
        name, equals, columns = text.partition("=")
        if not equals or not columns:
            raise DataError(f"--modality {text!r}; write NAME=COLUMNS, such as rhythm=64:72")
        if check_name(name, "--modality").lower() in (*(known.lower() for known in chosen), "labels"):
            raise DataError(f"--modality {text!r}: the name {name} is taken; choose another")
        chosen[name] = columns
    return chosen


def _manifest(args: argparse.Namespace, imported: Imported) -> Manifest:
    from datasets.formats.manifest import Manifest, as_provenance

    return Manifest(
        title=args.title or args.out.absolute().name,
        provenance=as_provenance(args.provenance, "--provenance"),
        modalities={name: f"{name}.npy" for name in imported.modalities},
        label_names=imported.label_names,
        terms=args.terms,
        citation=args.citation,
        note=args.note,
        split_id=args.split_id,
        fit_on=args.fit_on or "all",
    )


def _check_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dataset", metavar="DIR/ID", help="folder of a data set, or the id of one")
    parser.add_argument(
        "--files",
        metavar="PLACE",
        type=Path,
        help="what the rows were made of: a folder of one file for each row, in the order of their names, or "
        "a CSV of measures with one line for each",
    )
    flags.add_data(parser)
    flags.add_json(parser)


def check_dataset(args: argparse.Namespace, registry: Registry) -> int:
    """Say what may be wrong with a data set; 0 nothing, 1 something, 2 what cannot be read."""
    from benchmark.data.check import check
    from benchmark.data.check_text import check_to_json, render_check
    from benchmark.data.source_files import read_files

    dataset = _loaded(args, registry)
    files = read_files(args.files, len(dataset.labels)) if args.files else None
    findings = check(dataset, files)
    if args.json:
        print(json.dumps(check_to_json(dataset, findings, files), indent=1))
    else:
        print(render_check(dataset, findings, files))
    return FINDING if findings else OK


def _loaded(args: argparse.Namespace, registry: Registry) -> Dataset:
    """Load the data set of a folder, or that of an id."""
    from benchmark.registry import SelectionError
    from benchmark.run.features import data_directory
    from datasets.formats.manifest import MANIFEST, load_folder

    folder = Path(args.dataset)
    known = {id.lower(): spec for id, spec in registry.datasets.items()}
    spec = known.get(args.dataset.lower())
    if (folder / MANIFEST).exists() or (spec is None and folder.is_dir()):
        return load_folder(folder)
    if spec is None:
        there = ", ".join(registry.datasets)
        raise SelectionError(f"{args.dataset}: no folder with {MANIFEST}, and no id (there are: {there})")
    return spec.load(data_directory(args.data, [spec], {spec.id}))


SUBCOMMANDS = {
    "import": Command("make a data set of files in other formats", _import_flags, import_sources),
    "check": Command("say what of a data set may mislead its numbers", _check_flags, check_dataset),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the sub-commands with their flags."""
    commands = parser.add_subparsers(dest="subcommand", required=True, metavar="COMMAND")
    for name, command in SUBCOMMANDS.items():
        sub = commands.add_parser(name, help=command.summary, description=command.summary, allow_abbrev=False)
        sub.set_defaults(parser=sub)
        command.add_flags(sub)


def run(args: argparse.Namespace, registry: Registry) -> int:
    """Run a sub-command."""
    return SUBCOMMANDS[args.subcommand].run(args, registry)


COMMANDS = {"data": Command("make a data set of your own files, or check one", add_arguments, run)}
