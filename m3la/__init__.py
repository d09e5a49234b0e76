"""M3LA (Zhu and Zhang): `reference` holds the equations; `README.md` says which file answers what."""
