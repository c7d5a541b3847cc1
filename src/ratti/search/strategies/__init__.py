"""Search strategies: one file each, found by its name."""
