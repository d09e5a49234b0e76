"""Records of toy methods without a run: each trial in this process, written as a job would write it."""

from example_results import record_of

from benchmark.cli import main
from benchmark.registry import Registry
from benchmark.run.arrays_file import score_digest
from benchmark.run.bench import Bench
from benchmark.run.record_file import SCHEMA_VERSION
from benchmark.run.trial import run_trial


class Recorded:
    """A folder of results with a record for each of two seeds, and the command line on it."""

    def __init__(self, folder, capsys, toys: Registry):
        self.folder, self.toys, self._capsys = folder, toys, capsys
        self.bench = Bench.of(toys, profile="tiny", seeds="2", data_dir=folder, results_dir=folder)
        for slot in self.bench.inventory().slots:
            dataset = toys.datasets[slot.job.dataset].load(folder)
            trial = run_trial(
                slot.setup.method.estimator(**slot.setup.options),
                dataset,
                slot.job.seed,
                slot.setup.limits.max_train_rows,
                slot.setup.limits.max_test_rows,
            )
            record = record_of(
                dataset.id,
                slot.job.method,
                slot.job.seed,
                schema_version=SCHEMA_VERSION,
                profile="tiny",
                config_hash=slot.setup.config_hash,
                settings=slot.setup.settings,
                provenance=dataset.provenance,
                data_hash=dataset.data_hash,
                score_digest=score_digest(trial.arrays["scores"]),
            )
            self.bench.store.write(record, trial.arrays)

    def __call__(self, *arguments, toys=None):
        """Return exit code, output and errors."""
        places = (
            "--profile",
            "tiny",
            "--seeds",
            "2",
            "--results",
            str(self.folder),
            "--data",
            str(self.folder),
        )
        code = main([*arguments, *places], toys or self.toys)
        printed = self._capsys.readouterr()
        return code, printed.out, printed.err
