"""The peers. To add one: a line here, and a file `on_<name>.py` with a function for each work it can do.

Such a function gets everything ready and returns what is timed: a function without arguments that does the work once
and returns its result, nested lists or arrays of numbers in an order that all share. `HOW` says in a few words how it
does each work; `CANNOT` why it does not do one, where there is more to say than that nobody wrote it.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Peer(NamedTuple):
    """`module` is the file, `package` what must be installed (none for microgrid), or `command` what must be found."""

    name: str
    module: str
    package: str
    command: str = ""

    @property
    def missing(self) -> str:
        """Remark for the table where it is missing."""
        return f"missing: no command {self.command}" if self.command else f"missing: pip install {self.package}"


OURS: Final = Peer("recorded", "on_microgrid", "")
COMPILE: Final = Peer("`compile`", "on_compiled", "llvmlite")
"""Ratios are to its time, or to that of recorded scalars where it does not do the work."""

PEERS: Final = (
    COMPILE,
    OURS,
    Peer("micrograd", "on_micrograd", "micrograd"),
    Peer("PyTorch", "on_torch", "torch"),
    Peer("JAX", "on_jax", "jax"),
    Peer("autograd", "on_autograd", "autograd"),
    Peer("NumPy by hand", "on_numpy", "numpy"),
    Peer("CasADi", "on_casadi", "casadi"),
    Peer("heyoka", "on_heyoka", "heyoka"),
    Peer("numba by hand", "on_numba", "numba"),
    Peer("C by hand", "on_c", "", "cc"),
    Peer("Enzyme", "on_enzyme", "enzyme-ad"),
)
