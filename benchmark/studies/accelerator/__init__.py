"""What an accelerator gives: checks, times, and ML2000's ten seeds held against the reference."""
