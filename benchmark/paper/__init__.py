"""The paper's printed numbers and claims against ours."""
