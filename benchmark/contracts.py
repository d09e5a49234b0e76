"""What harness, methods and data sets promise each other; it knows no method and no data set by name.

Methods (`m3la/`, `baselines/`) and data sets (`datasets/`) import this module and nothing else of
`benchmark`. Symbols as in the paper: n instances, m modalities of d_1..d_m features, q labels.
"""

from __future__ import annotations

import itertools
import os
import secrets
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from numbers import Integral
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

import numpy as np
import platformdirs
from numpy.typing import NDArray

from benchmark import inputs
from benchmark.files import temporary_folder
from benchmark.inputs import quoted

Array = NDArray[Any]
Modalities = Sequence[Array]
"""m arrays of shape (n, d_k), in the data set's order of modalities."""

Scoring = Literal["soft", "hard"]


class DataError(ValueError):
    """Input data that cannot be used; the message names the file, what was expected and what was found."""


class Provenance(StrEnum):
    """Where a data set's numbers come from; it follows every number into every table."""

    REAL = "real"
    REBUILT = "rebuilt"
    """Real instances and labels, features re-extracted by this project."""
    LOOK_ALIKE = "look-alike"
    """Synthetic, with the published shape: enters no claim, rank or verdict."""
    LEAKED = "leaked"
    """Real or rebuilt, but unsupervised parts of the features were fitted on rows that some seeds test on."""


PURPOSES: Mapping[str, int] = {
    "split": 1,
    "holdout": 2,
    "initialisation": 3,
    "shuffling": 4,
    "dropout": 5,
    "choices": 6,
    "data": 7,
}


@dataclass(frozen=True)
class Streams:
    """Named streams of randomness, a function of (data set, seed, purpose) alone.

    The method's name does not enter, so that a method and its ablations share every number they can.
    """

    dataset: str
    seed: int

    def sequence(self, purpose: str) -> np.random.SeedSequence:
        """Return the seed sequence of one of `PURPOSES`."""
        if purpose not in PURPOSES:
            known = ", ".join(PURPOSES)
            raise ValueError(f"unknown purpose {purpose!r} of randomness; choose one of {known}")
        return np.random.SeedSequence([PURPOSES[purpose], zlib.crc32(self.dataset.encode()), self.seed])

    def generator(self, purpose: str) -> np.random.Generator:
        """Return a fresh numpy generator for `purpose`."""
        return np.random.default_rng(self.sequence(purpose))

    def integer(self, purpose: str) -> int:
        """Return a non-negative 63-bit seed for `purpose`, for libraries that take an integer."""
        return int(self.sequence(purpose).generate_state(1, np.uint64)[0] >> np.uint64(1))

    @classmethod
    def of(cls, random_state: RandomState) -> Streams:
        """Turn a scikit-learn style `random_state` into streams.

        Parameters
        ----------
        random_state
            Streams, which are returned; an integer from 0 up; None, for streams that nobody can repeat; or a
            numpy `RandomState` or `Generator`, from which one number is drawn, so that the next call gives
            other streams.

        Raises
        ------
        ValueError
            For anything else.
        """
        match random_state:
            case Streams():
                return random_state
            case None:
                return cls("", secrets.randbits(63))
            case np.random.RandomState():
                return cls("", int(random_state.randint(2**31 - 1)))
            case np.random.Generator():
                return cls("", int(random_state.integers(2**63)))
            case Integral() if not isinstance(random_state, bool) and 0 <= random_state < 2**64:
                return cls("", int(random_state))
        raise ValueError(
            f"random_state={quoted(random_state)}; give an integer from 0 up, None or a numpy RandomState "
            "or Generator"
        )


RandomState = int | Streams | np.random.RandomState | np.random.Generator | None
"""What a method's parameter `random_state` may be."""


@dataclass(frozen=True)
class Factor:
    """One choice that a paper leaves open, declared beside the `__init__` that takes it."""

    name: str
    """The estimator's parameter; its default there is the answer that this project gives."""
    levels: tuple[Any, ...]
    """Levels worth trying; the default is among them."""
    source: str
    """The sentence or equation that leaves it open, and why this default."""


@dataclass(frozen=True)
class Holdout:
    """Training rows set aside for choices (early stopping, calibration, a regulariser); never test rows."""

    modalities: tuple[Array, ...]
    labels: Array


@runtime_checkable
class MultiModalClassifier(Protocol):
    """A method: a scikit-learn `BaseEstimator` over several modalities and several labels.

    Optional members, used where they exist:

    - parameter `random_state` (`RandomState`): the harness passes the job's streams;
    - parameter `device` (torch device name): the harness passes the leased device; no other part of
      the method may create a tensor elsewhere;
    - parameter `epochs`: a profile may cap it;
    - method `fit_scores`, as `fit`: the harness takes it instead, where `fit` does more than scores need;
    - property `needs_holdout` (bool): the harness then passes `holdout` to `fit`, and
      the fitted `holdout_scores_` (n_holdout, q) holds scores of its rows by a model not fitted on them;
    - method `trace(modalities) -> dict[str, array]`: what the record keeps beside the scores; from a method
      that reads modalities one by one the arrays that `benchmark.score.acquisition` describes.
    """

    FACTORS: ClassVar[tuple[Factor, ...]]

    def fit(
        self, modalities: Modalities, labels: Array, holdout: Holdout | None = None
    ) -> MultiModalClassifier: ...

    def predict_scores(self, modalities: Modalities) -> Array:
        """Return soft scores in [0, 1] of shape (n, q)."""
        ...


@dataclass(frozen=True)
class Shape:
    """Table I's row: N instances, q labels, d_1..d_m features."""

    n: int
    q: int
    dims: tuple[int, ...]

    @property
    def m(self) -> int:
        return len(self.dims)


Problem = tuple[Modalities, Array, Holdout | None]
"""What `fit` takes."""


class CannotTrainTogetherError(ValueError):
    """Estimators that cannot train together, for options or for rows; each can alone."""


FitTogether = Callable[..., Sequence[Exception | None]]
"""(unfitted estimators that differ in `random_state` alone, as many training sets of the same shapes) -> for
each estimator None once it is fitted as its own `fit` would have done, up to rounding, or why it is not.

It raises `CannotTrainTogetherError` where it cannot. One whose bits depend on how many it has room for may
take `width`, which is given where a device's memory was too small: side by side at most so many, with no room
for more."""


@dataclass(frozen=True)
class MethodSpec:
    """One row of the tables: an estimator with options, and how its scores are read.

    A module of `baselines/` or `m3la/rows.py` lists its specs in `METHODS`.
    """

    id: str
    estimator: type
    options: Mapping[str, Any] = field(default_factory=dict)
    """Constructor parameters that differ from the defaults."""
    preset: str = "default"
    """Named set of answers to the paper's silences: literal, repaired, paper-like, fair, ..."""
    scoring: Scoring = "soft"
    """`hard`: scores are replaced by 0/1 predictions before any metric sees them."""
    threshold: str = "fixed"
    """The method's own rule, one of `benchmark.score.thresholds.RULES`."""
    in_paper: bool = True
    """False: a row of ours, printed below a rule and never bold."""
    reconstructed: bool = False
    """True: the method's paper could not be found. Its row prints with a dagger and is never bold."""
    datasets: tuple[str, ...] | None = None
    """Data sets it runs on when not asked for by name; None means all."""
    fit_together: FitTogether | None = None
    """A module's function that fits estimators with other random states side by side, if there is one."""
    note: str = ""

    @property
    def factors(self) -> tuple[Factor, ...]:
        """What the estimator declares to be left open."""
        return tuple(self.estimator.FACTORS)  # type: ignore[attr-defined]  # a plain type; checks see to it


@dataclass(frozen=True)
class Dataset:
    """A loaded data set, whoever made it. Arrays are read-only; labels are uint8 in {0, 1}.

    Modalities are float32, or float64 where their digits need it. `DataError` if they or the labels are not
    finite matrices of the same rows, or are not as many as their names.
    """

    id: str
    modalities: tuple[Array, ...]
    labels: Array
    modality_names: tuple[str, ...]
    label_names: tuple[str, ...]
    provenance: Provenance
    data_hash: str
    """SHA-256 over shapes, dtypes and bytes of modalities and labels."""
    note: str = ""
    """What a caption must say of it (for example that PCA saw all images)."""
    citation: str = ""
    terms: str = ""
    """Under which its data may be used."""
    fit_seed: int | None = None
    """The only seed whose test rows the features' unsupervised parts have not seen, where it is but one."""
    split_id: str = ""
    """What splits, hold-outs and randomness are drawn by, where data sets of the same rows share them."""

    def __post_init__(self) -> None:
        what = f"data set {self.id}: "
        names = [f"{what}modality {name}" for name in self.modality_names]
        if len(set(names)) != len(self.modalities) or len(names) != len(self.modalities) or not names:
            named = ", ".join(self.modality_names)
            raise DataError(f"{what}{len(self.modalities)} modalities, named {named}; give each its own name")
        try:
            given = dict(zip(names, map(inputs.as_features, self.modalities, names), strict=True))
            labels = inputs.as_labels(self.labels, f"{what}labels")
            inputs.check_same_rows({**given, f"{what}labels": labels})
        except ValueError as error:
            raise DataError(str(error)) from error
        if len(self.label_names) != labels.shape[1]:
            raise DataError(
                f"{what}{labels.shape[1]} columns of labels, {len(self.label_names)} names; give one for each"
            )
        pairs = zip(self.modalities, given.values(), strict=True)
        object.__setattr__(self, "modalities", tuple(itertools.starmap(_read_only, pairs)))
        object.__setattr__(self, "labels", _read_only(self.labels, labels))

    @property
    def rows_id(self) -> str:
        """Whose rows these are, for splits and streams of randomness: `split_id`, or the own id."""
        return self.split_id or self.id

    @property
    def shape(self) -> Shape:
        return Shape(len(self.labels), self.labels.shape[1], tuple(x.shape[1] for x in self.modalities))


def _read_only(given: Array, checked: Array) -> Array:
    """Return a view that cannot be written to: of what is given, where that needs no conversion."""
    plain = type(given) in (np.ndarray, np.memmap) and given.dtype == checked.dtype
    view = (given if plain else checked).view()
    view.setflags(write=False)
    return view


def cache_directory() -> Path:
    """Return the folder for what the project makes itself: $M3LA_CACHE, else the user's cache folder.

    A user without a home, as in a container, gets one among the temporary files.
    """
    name = "m3la-reproducibility"
    if override := os.environ.get("M3LA_CACHE"):
        return _expanded(override)
    try:
        folder = platformdirs.user_cache_path(name)
    except RuntimeError:
        return temporary_folder(name)
    return folder if folder.is_absolute() else temporary_folder(name)  # older versions keep the ~


def _expanded(path: str | Path) -> Path:
    try:
        return Path(path).expanduser()
    except RuntimeError:  # nobody's home; that such a folder is not there is said where it is looked for
        return Path(path)


@runtime_checkable
class DatasetSpec(Protocol):
    """A data set that can be loaded. A module of `datasets/` names its own in `DATASET`.

    One that takes the user's features also has `user_folder(data_dir) -> Path | None`: where they are, None
    if there are none. A module may also name in `FIND_DATASETS` a function from a folder to the specs of the
    data sets that lie in it.
    """

    id: str
    """Lower case, in paths, on the command line and in CSV."""
    title: str
    """As the paper prints it."""
    expected: Shape
    """Table I."""
    modality_names: tuple[str, ...]
    in_paper: bool
    """False: it has a table of its own, and is run where it is chosen by name or pattern."""

    def load(self, data_dir: Path) -> Dataset:
        """Load the user's features below `data_dir/<id>`, else what the project itself can offer."""
        ...

    def provenance(self, data_dir: Path) -> Provenance:
        """Say what `load` would give, without loading it."""
        ...


def users_folder(spec: DatasetSpec, data_dir: Path) -> Path | None:
    """Return the folder of the user's features, or None if there are none or the data set takes none."""
    find: Callable[[Path], Path | None] | None = getattr(spec, "user_folder", None)
    return find(data_dir) if find else None


@dataclass(frozen=True)
class Split:
    """Row indices of one repetition; disjoint, together all rows (unless a profile caps them)."""

    train: Array
    test: Array


@dataclass(frozen=True)
class Job:
    """One fit and one prediction: the unit that is planned, run, stored and resumed."""

    dataset: str
    method: str
    seed: int


Failure = Literal["failed", "timeout", "killed", "out-of-memory"]
"""How a job ends that is not done: by an exception, at its time limit, by a signal, for its memory."""
RecordStatus = Literal["done", Failure]


@dataclass(frozen=True)
class Record:
    """What one job left behind: `record.json`, and `scores.npz` beside it (see `benchmark.run.store`).

    No metric is among it: metrics are computed from the stored scores, under whatever rule is asked for.
    """

    schema_version: int
    dataset: str
    method: str
    seed: int
    config_hash: str
    """Short SHA-256 of `settings`: everything that can change a number, and nothing else."""
    settings: Mapping[str, Any]
    status: RecordStatus
    profile: str
    preset: str
    scoring: Scoring
    """How this row was read by default when it was made; the stored scores are always soft."""
    threshold: str
    """The method's own rule then."""
    provenance: Provenance
    data_hash: str
    transductive: bool = False
    """Whether that rule looks at test scores (at no label of theirs)."""
    data_note: str = ""
    score_digest: str = ""
    """SHA-256 of the scores as little-endian float32 in C order."""
    seconds: Mapping[str, float] = field(default_factory=dict)
    """Wall-clock seconds per phase (load, fit, predict, trace), or the total of a job that did not finish."""
    processor_seconds: float = 0.0
    """Of the job's process, a group's by equal shares; 0 where unknown: in older records, and where a fit
    went on from what an earlier process had done."""
    peak_mib: float = 0.0
    device_mib: float = 0.0
    """The most memory that its process held on an accelerator, in MiB; for all seeds of a group."""
    environment: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""
    """Why a job is not done: its traceback, the limit that it passed, or the signal that ended it."""
    attempts: int = 1

    @property
    def job(self) -> Job:
        return Job(self.dataset, self.method, self.seed)
