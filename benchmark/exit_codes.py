"""What every command returns to the shell."""

OK, FINDING, CANNOT, INTERRUPTED = 0, 1, 2, 130
"""Fine; a finding or failed jobs; cannot run or judge; interrupted."""
