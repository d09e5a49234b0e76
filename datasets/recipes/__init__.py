"""How features are computed from raw images."""
