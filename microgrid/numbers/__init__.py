"""Kinds of numbers that a program can be replayed on, and what each computes an op by."""
