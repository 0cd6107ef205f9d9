"""One published system, one folder named after it."""
