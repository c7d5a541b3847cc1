"""Xtensa LX7 (ESP32-S3): nothing runs on it here."""

REASON = "no compiler or emulator of Xtensa comes by pip"
