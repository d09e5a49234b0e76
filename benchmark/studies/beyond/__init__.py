"""The paper's claims and methods over eight real data sets; the rules are in `results/beyond/rules.toml`."""
