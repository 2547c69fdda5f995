"""Entry point of Hypothesis, called on its import: registers strategies for `Value`, `Program` and `MLP`."""

from __future__ import annotations

from typing import Any


def register() -> None:
    """Register the strategies with `st.from_type`. They are imported on first use: they import Hypothesis in turn."""
    from hypothesis import strategies as st

    from microgrid import nn
    from microgrid.engine import Value
    from microgrid.program import Program

    def strategy(kind: Any) -> st.SearchStrategy[Any]:
        from microgrid.testing import strategies

        drawn: dict[Any, Any] = {Value: strategies.values, Program: strategies.programs, nn.MLP: strategies.modules}
        made: st.SearchStrategy[Any] = drawn[kind]()
        return made

    for kind in (Value, Program, nn.MLP):
        st.register_type_strategy(kind, strategy)
