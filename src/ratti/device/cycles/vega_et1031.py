"""VEGA ET1031 (THEJAS32): C-DAC publishes no cycles for each instruction."""

REASON = "no public cycle table exists for the VEGA ET1031; the instructions are exact"
