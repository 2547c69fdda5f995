"""Kinds of numbers that a program can be replayed on, and their function for each op."""
