"""QingKe V4 (CH32V203, CH32V307): the maker publishes no table, and no measurements were read."""

REASON = "no public cycle table exists for the QingKe V4; the instructions are exact"
