"""Studies that name methods and data sets; the harness imports none of them."""
