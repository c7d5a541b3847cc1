"""ESP32-C3: Espressif publishes no cycle table for its core."""

REASON = "Espressif publishes no cycle table for the ESP32-C3's core; the instructions are exact"
