"""`python -m microgrid`."""

import sys

from microgrid.commands.cli import main

sys.exit(main())
