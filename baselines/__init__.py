"""The methods that M3LA is compared with: a file or a package each, found by its `METHODS`."""
