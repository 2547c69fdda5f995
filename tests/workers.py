"""Networks for tests of executors, in a module that worker processes can import."""

from __future__ import annotations

import os
from typing import Any

from microgrid import Value, nn


class Mortal(nn.Module):
    """A network whose process dies when its weight has grown to a certain size."""

    def __init__(self) -> None:
        self.w = Value(0.0)
        self.home = os.getpid()

    def __call__(self, x: Any) -> Value:
        if self.w.data > 0.65 and os.getpid() != self.home:
            os._exit(1)
        output: Value = x[0] * self.w
        return output


class Signed(nn.Module):
    """A network that tells which process it runs in."""

    def __call__(self, x: Any) -> list[Value]:
        return [x[0] * 2.0, Value(os.getpid())]
