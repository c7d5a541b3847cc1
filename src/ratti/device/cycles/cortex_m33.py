"""Cortex-M33: its manual states no cycles for each instruction."""

REASON = "no official cycle table exists for the Cortex-M33; the instructions are exact"
