"""What the subcommands of `microgrid` do, one file each; `cli.py` reads their options."""
