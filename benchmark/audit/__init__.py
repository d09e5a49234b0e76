"""What the arithmetic of a printed table allows; it knows no data set and no method by name.

A table prints averages over runs with few digits. Each printed number stands for an interval, and the ten
metrics of one row bound each other. A finding is

- `impossible` if no labels, scores and predictions give these numbers (under the assumption it names),
- `suspicious` if that takes an inversion of averages over several runs, of numbers that are not linear in
  what is averaged (F1, products), or rests on what another row of the table says.

Every rule is evaluated as if the digits were rounded and as if they were truncated, and alarms only if it is
broken both ways. Conventions are those of `benchmark.score.metrics`.
"""
