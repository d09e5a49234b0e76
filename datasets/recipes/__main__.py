"""Starts `python -m datasets.recipes`."""

import sys

from datasets.recipes.command import main

if __name__ == "__main__":
    sys.exit(main())
