"""What every method must keep, one check for each promise of `contracts`; it knows no method by name.

Anybody may call it: `run_all.py check-method FILE` prints the checks of the methods that a file declares.
"""

from __future__ import annotations

import importlib.util
import pickle
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from sklearn.base import clone

from benchmark.contracts import (
    Array,
    Dataset,
    Holdout,
    MethodSpec,
    MultiModalClassifier,
    Provenance,
    Streams,
)
from benchmark.registry import Registry, RegistryError, discover, suggestion
from benchmark.run.fingerprint import canonical, code_digest, code_roots
from benchmark.run.trial import PASSED_BY_HARNESS, build_estimator, run_trial
from benchmark.score.acquisition import read_acquisition
from benchmark.score.metrics import METRICS
from benchmark.score.reading import read_scores, read_steps
from benchmark.score.thresholds import RULES
from benchmark.words import one_line

SMALL: Mapping[str, int] = {"epochs": 1, "hidden": 4, "batch_size": 16}
"""What a fit on toy data takes of these options, where a method has them."""


class PromiseBrokenError(Exception):
    """A method does not keep a promise; the message names what it does instead, and the remedy."""


def toy_data(dims: Sequence[int] = (3, 2), q: int = 3, constant: bool = False) -> Dataset:
    """Return 40 drawn instances in arrays that cannot be written to.

    Parameters
    ----------
    dims, q
        Features of each modality, and labels.
    constant
        Whether no instance has the first label and each has the second.
    """
    generator = np.random.default_rng(0)
    modalities = tuple(generator.normal(size=(40, d)).astype(np.float32) for d in dims)
    labels = (modalities[0][:, :1] + generator.normal(size=(40, q)) > 0).astype(np.uint8)
    if constant:
        labels[:, 0], labels[:, 1] = 0, 1
    arrays: tuple[Array, ...] = (*modalities, labels)
    for array in arrays:
        array.setflags(write=False)
    names = tuple(f"modality{k}" for k in range(len(dims)))
    label_names = tuple(f"label{j}" for j in range(q))
    return Dataset("toy", modalities, labels, names, label_names, Provenance.LOOK_ALIKE, "toy")


@dataclass(frozen=True)
class Subject:
    """A method to be checked."""

    spec: MethodSpec
    datasets: Sequence[str]
    """The ids that there are."""

    def small_estimator(self, seed: int = 0) -> MultiModalClassifier:
        """Return the method, unfitted, as a job builds it but for a small fit."""
        taken = self.spec.estimator(**self.spec.options).get_params(deep=False)
        small = {name: value for name, value in SMALL.items() if name in taken}
        options = {**self.spec.options, **small}
        return build_estimator(self.spec.estimator, options, Streams("toy", seed), "cpu")

    def trial(self, data: Dataset, seed: int = 0) -> Mapping[str, Array]:
        """Return the arrays of a trial, made as a job makes them; warnings are errors."""
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)
            return run_trial(self.small_estimator(seed), data, seed).arrays

    @cached_property
    def on_toy_data(self) -> Mapping[str, Array]:
        """The arrays of a trial that several checks look at."""
        return self.trial(toy_data())


def factors_are_parameters(subject: Subject) -> None:
    params = subject.spec.estimator().get_params(deep=False)
    names = [factor.name for factor in subject.spec.factors]
    _demand(len(set(names)) == len(names), f"FACTORS names one twice ({', '.join(names)}); join the two")
    for factor in subject.spec.factors:
        name, levels = factor.name, factor.levels
        _demand(name in params, f"the factor {name!r} is no parameter of __init__; add it, or rename it")
        _demand(
            params[name] in levels, f"the default {name}={params[name]!r} is not among its levels {levels}"
        )
        _demand(len(levels) > 1, f"the factor {name!r} has one level, which leaves nothing open; add another")
        _demand(factor.source.strip(), f"the factor {name!r} has an empty source; say what leaves it open")


def is_a_classifier(subject: Subject) -> None:
    original = subject.spec.estimator()
    _demand(
        isinstance(original, MultiModalClassifier),
        f"{type(original).__name__} lacks FACTORS, fit or predict_scores; see MultiModalClassifier",
    )
    copied = clone(original)
    _demand(copied.get_params() == original.get_params(), "its clone has other parameters; set them as given")


def declaration_is_known(subject: Subject) -> None:
    spec = subject.spec
    for kind, value, known in (
        ("threshold", spec.threshold, tuple(RULES)),
        *(("datasets", dataset, tuple(subject.datasets)) for dataset in spec.datasets or ()),
    ):
        _demand(
            value in known,
            f"{kind} {value!r} is unknown{suggestion(value, known)} (known: {', '.join(known)})",
        )
    params = spec.estimator(**spec.options).get_params(deep=False)
    canonical({name: value for name, value in params.items() if name not in PASSED_BY_HARNESS})
    levels = {factor.name: factor.levels for factor in spec.factors}
    for name, value in spec.options.items():
        among = levels.get(name, (value,))
        declared = any(_same(value, level) for level in among)
        _demand(declared, f"the option {name}={value!r} is not among the declared levels {among}")


def _same(option: object, level: object) -> bool:
    """Compare by value; True is not 1, though Python has them equal."""
    return isinstance(option, bool) == isinstance(level, bool) and bool(option == level)


def can_be_a_job(subject: Subject) -> None:
    code_digest(*code_roots(subject.spec.estimator, subject.spec.options))
    pickle.dumps((subject.spec.estimator, dict(subject.spec.options), subject.spec.fit_together))


def scores_can_be_read(subject: Subject) -> None:
    arrays, spec = subject.on_toy_data, subject.spec
    found = read_scores(arrays, spec.scoring, spec.threshold).metrics
    _demand(set(found) == {metric.id for metric in METRICS}, f"only {', '.join(found)} can be computed")


def trace_can_be_read(subject: Subject) -> None:
    arrays, spec = subject.on_toy_data, subject.spec
    for name, array in arrays.items():
        _demand(not array.dtype.hasobject, f"trace gives objects in {name!r}; give arrays of numbers")
    read_steps(arrays, spec.scoring, spec.threshold)
    read_acquisition(arrays)


def one_modality_is_enough(subject: Subject) -> None:
    subject.trial(toy_data(dims=(4,)))


def one_label_is_scored_or_refused(subject: Subject) -> None:
    try:
        subject.trial(toy_data(q=1))
    except ValueError as error:
        if "one label" not in str(error) or "use " not in str(error):
            raise


def constant_labels_are_scored(subject: Subject) -> None:
    subject.trial(toy_data(constant=True))


def the_same_seed_gives_the_same_bits(subject: Subject) -> None:
    again = subject.trial(toy_data())["scores"]
    _demand(
        np.array_equal(subject.on_toy_data["scores"], again),
        "two fits with one random_state give other scores; draw from Streams.of(random_state) alone",
    )


def input_is_left_alone(subject: Subject) -> None:
    data, method = toy_data(), subject.small_estimator()
    given = (*data.modalities, data.labels)
    before = [array.copy() for array in given]
    holdout = None
    if getattr(method, "needs_holdout", False):
        holdout = Holdout(tuple(x[:6] for x in data.modalities), data.labels[:6])
    method.fit([x[6:] for x in data.modalities], data.labels[6:], holdout=holdout)
    method.predict_scores(data.modalities)
    same = all(np.array_equal(array, copy) for array, copy in zip(given, before, strict=True))
    _demand(same, "fit or predict_scores writes to the arrays that it is given; copy them first")


CHECKS: Mapping[str, Callable[[Subject], None]] = {
    "it is a classifier of the contract, and can be cloned": is_a_classifier,
    "its factors are parameters, whose default is one of several levels": factors_are_parameters,
    "its rule, data sets and options are known": declaration_is_known,
    "it can be sent to another process, and its code be found": can_be_a_job,
    "its scores are soft, of the right shape, and can be read": scores_can_be_read,
    "what it traces can be read": trace_can_be_read,
    "one modality is enough": one_modality_is_enough,
    "a single label is scored, or refused with a remedy": one_label_is_scored_or_refused,
    "labels that are constant in training are scored": constant_labels_are_scored,
    "the same seed gives the same bits": the_same_seed_gives_the_same_bits,
    "input arrays are left alone, even when read-only": input_is_left_alone,
}


def check_method(spec: MethodSpec, datasets: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Run every check, and yield its name with what is wrong, or with an empty text."""
    subject = Subject(spec, datasets)
    for name, check in CHECKS.items():
        try:
            check(subject)
        except PromiseBrokenError as error:
            yield name, str(error)
        except Exception as error:  # whatever a method raises is what is wrong with it
            place = traceback.extract_tb(error.__traceback__)[-1]
            text = one_line(f"{type(error).__name__}: {error}")
            yield name, f"{text} ({Path(place.filename).name}, line {place.lineno})"
        else:
            yield name, ""


def require_promises(specs: Sequence[MethodSpec], datasets: Sequence[str]) -> None:
    """Refuse methods that do not keep what a method promises.

    Raises
    ------
    RegistryError
        Naming the first broken promise.
    """
    for spec in specs:
        for name, problem in check_method(spec, datasets):
            if problem:
                raise RegistryError(
                    f"{spec.id} is not run, as it breaks a promise: {name}: {problem}; "
                    "run_all.py check-method FILE lists all"
                )


def declared_methods(source: str, registry: Registry) -> tuple[MethodSpec, ...]:
    """Return the methods that a file or a module declares.

    Parameters
    ----------
    source
        A Python file, or the dotted name of a module or a package.
    registry
        The methods that there are, of which none may have the id of another.

    Raises
    ------
    RegistryError
        If there is no such source, it cannot be imported, or it declares no or wrong methods.
    """
    module = _module_of(Path(source)) if source.endswith(".py") else source
    found = tuple(discover((module,), ()).methods.values())
    if not found:
        raise RegistryError(
            f"{source} declares no method; add METHODS = (MethodSpec(...),) (see benchmark/contracts.py)"
        )
    for spec in found:
        for twin in registry.methods.values():
            if twin.id.lower() == spec.id.lower() and twin is not spec:
                raise RegistryError(f"the id {spec.id!r} of {source} is taken by {twin.id!r}; choose another")
    return found


def _module_of(path: Path) -> str:
    """Return the name by which a file can be imported, here and in the processes of jobs."""
    path = path.resolve()
    if not path.is_file():
        raise RegistryError(f"{path}: no such file; name a Python file that declares METHODS")
    names, folder = [path.stem], path.parent
    while (folder / "__init__.py").is_file():
        names.insert(0, folder.name)
        folder = folder.parent
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
        importlib.invalidate_caches()
    module = ".".join(names)
    found = importlib.util.find_spec(module)
    if found is None or found.origin is None or Path(found.origin).resolve() != path:
        where = found.origin if found else "nothing"
        raise RegistryError(f"{path}: the name {module!r} stands for {where}; rename the file")
    return module


def _demand(holds: object, message: str) -> None:
    if not holds:
        raise PromiseBrokenError(message)
