"""Makes `tests/` importable, so that all tests and their child processes can import `tiny_benchmark`."""
