"""What may be wrong with a data set: each module takes arrays and returns findings, in numbers alone."""
