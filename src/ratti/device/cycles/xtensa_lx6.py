"""Xtensa LX6 (ESP32): nothing runs on it here."""

REASON = "no compiler or emulator of Xtensa comes by pip"
