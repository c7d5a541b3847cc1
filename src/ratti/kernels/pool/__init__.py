"""Pools and means."""
