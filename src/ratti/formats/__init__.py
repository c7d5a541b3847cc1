"""Doors in and out: TensorFlow Lite files, and PyTorch programs."""
