"""Maps in another size."""
