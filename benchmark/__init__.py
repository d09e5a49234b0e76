"""The harness; it knows methods and data sets only through contracts.py."""
