"""Cortex-M55: vector instructions overlap by halves, and Arm publishes no table that prices code."""

REASON = "no official cycle table exists for the Cortex-M55; the instructions are exact"
