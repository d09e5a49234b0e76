"""Plain PyTorch programs of the trained methods: what speed is measured against, and oracles of the tests."""
