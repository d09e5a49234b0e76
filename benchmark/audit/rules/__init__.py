"""What must hold between printed numbers, one family of rules in a module; a rule touches no file."""
