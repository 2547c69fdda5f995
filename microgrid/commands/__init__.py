"""The subcommands of `microgrid`, one file each; `cli.py` reads their options."""
