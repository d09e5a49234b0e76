"""Entry point of the suite: `python run_all.py --datasets all --seeds 10`; see `--help`."""

import sys

from benchmark.cli import main

if __name__ == "__main__":
    sys.exit(main())
