"""Which folders hold the user's data and what the project makes itself; it knows no data set."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

from benchmark.contracts import DataError

APPLICATION = "m3la-reproducibility"


def cache_directory() -> Path:
    """Return the folder for what the project makes itself: $M3LA_CACHE, else the user's cache folder."""
    override = os.environ.get("M3LA_CACHE")
    return Path(override).expanduser() if override else platformdirs.user_cache_path(APPLICATION)


def data_directory(flag: str | Path | None = None) -> Path:
    """Return the folder that holds `<data set>/<modality>.npy`.

    Parameters
    ----------
    flag : str or Path, optional
        The value of `--data`. Without it $M3LA_DATA is taken, else `data/` in `cache_directory()`.

    Raises
    ------
    DataError
        If `flag` or $M3LA_DATA names a folder that is not there: going on would quietly give
        look-alikes to somebody who has the real features.
    """
    for given, name in ((flag, "--data"), (os.environ.get("M3LA_DATA"), "$M3LA_DATA")):
        if given:
            folder = Path(given).expanduser()
            if not folder.is_dir():
                raise DataError(
                    f"{folder}: expected the folder that {name} names, found no such folder; correct {name}"
                )
            return folder
    return cache_directory() / "data"
