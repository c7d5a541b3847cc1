"""Source code from a plan."""
