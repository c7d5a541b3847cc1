"""Nuclei Bumblebee N205 (GD32VF103): two stages; the maker states no cycles for each instruction."""

REASON = "no public cycle table exists for the Bumblebee core; the instructions are exact"
