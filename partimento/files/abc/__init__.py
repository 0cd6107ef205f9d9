"""ABC notation (2.1)."""
