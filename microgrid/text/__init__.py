"""A program as text, and an expression read from one."""
