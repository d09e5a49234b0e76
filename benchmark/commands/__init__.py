"""One module per judging command: it reads, calls `analyse`, prints and writes; imported when called."""
