"""What M3LA's results depend on where the paper leaves the choice open."""
