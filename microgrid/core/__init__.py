"""Foundations: ops and their declaration, functions on floats, containers, scopes, files."""
