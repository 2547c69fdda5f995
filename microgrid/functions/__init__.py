"""Functions composed of ops."""
