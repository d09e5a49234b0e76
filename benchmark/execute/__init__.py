"""Plan to records on disk."""
