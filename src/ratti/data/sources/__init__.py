"""Kinds of sources, one a file: `FORMS`, `accepts(source)`, `load(source, options)`."""
