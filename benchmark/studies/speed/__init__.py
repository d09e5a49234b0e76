"""Training steps against plain PyTorch programs and the machine's own rate."""
