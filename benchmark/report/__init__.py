"""One page that shows all of it: verdicts, tables, claims, figures and where each number comes from."""
