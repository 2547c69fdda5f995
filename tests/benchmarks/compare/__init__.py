"""Microgrid and its peers on the same work, measured in one run and in turn.

`works.py` says what the work is, `peers.py` who takes part, each `on_*.py` how one of them does it, and `race.py` who
runs when. Every number that is printed was measured in that run.
"""
