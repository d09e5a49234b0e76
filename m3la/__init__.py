"""M3LA (Zhu and Zhang): `reference` holds the equations; `README.md` says which file answers what."""

from m3la.estimator import M3LA

__all__ = ["M3LA"]
