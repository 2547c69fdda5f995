"""What everything stands on: ops and how one is declared, functions on floats, containers, scopes, files."""
