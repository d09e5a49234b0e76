"""Data sets of users: made from files of other formats, and checked."""
