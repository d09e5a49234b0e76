"""Current records against a committed reference."""
