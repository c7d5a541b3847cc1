"""Cortex-M7: Arm publishes no cycle table for this core, and its two pipelines pair instructions."""

REASON = "no official cycle table exists for the dual-issue Cortex-M7; the instructions are exact"
