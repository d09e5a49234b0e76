"""How features and labels that others made are read and checked."""
