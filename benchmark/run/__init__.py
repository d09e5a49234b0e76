"""A job becomes a record: what to run, how it runs, where it is kept; no number is judged here."""
