"""Networks that distinguish real from generated."""
