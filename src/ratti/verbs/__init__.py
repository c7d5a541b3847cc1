"""What the command line and the Python API do: one module a verb, each with a function of its name."""
