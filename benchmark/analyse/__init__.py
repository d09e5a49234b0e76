"""Records to judgements: pure functions of frames."""
