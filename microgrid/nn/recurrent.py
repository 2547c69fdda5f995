"""Recurrent layers: `RNN`, `GRU`, `LSTM` over sequences, and their cells for one time step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from microgrid import ops
from microgrid.core.primitive import Op
from microgrid.core.scope import frame
from microgrid.engine import Value, constant, neuron
from microgrid.nn.initializers import Draw, Generator, Initializer, generator
from microgrid.nn.module import Module
from microgrid.nn.shapes import fitted, whole

State = Any
"""Numbers carried from one time step to the next: a list of `hidden_size`, of an LSTM a pair (h, c) of them."""


class _Cell(Module):
    """One time step: cell(x, state) gives the next state; without a state it begins with zeros.

    `weight_ih`, `weight_hh`, `bias_ih` and `bias_hh` have the rows of PyTorch's, gate after gate, all drawn by `fan_in`
    of `hidden_size`; with an initializer of your own for the weights, the biases are 0.
    """

    gates: ClassVar[int]

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        init: str | Initializer | None = None,
        seed: int | Generator | None = None,
    ) -> None:
        whole(type(self).__name__, input_size=input_size, hidden_size=hidden_size)
        self.input_size, self.hidden_size = input_size, hidden_size
        draw, rows = Draw(init, generator(seed), hidden_size, hidden_size), self.gates * hidden_size
        self.weight_ih = draw.weights(rows, input_size)
        self.weight_hh = draw.weights(rows, hidden_size)
        self.bias_ih = draw.biases(rows)
        self.bias_hh = draw.biases(rows)

    def __call__(self, x: Any, state: State = None) -> State:
        """Return the state after x of shape (input_size)."""
        return self.step(fitted(self, x, (self.input_size,)), self.begin(state))

    def begin(self, state: State) -> State:
        """Return a state as Values, zeros for None."""
        return self._hidden(state)

    def step(self, x: list[Value], state: State) -> State:
        """Return the next state."""
        raise NotImplementedError

    def output(self, state: State) -> list[Value]:
        """Return the part of a state that the next layer gets."""
        h: list[Value] = state
        return h

    def _hidden(self, h: Any, what: str = "state") -> list[Value]:
        if h is None:
            return [constant(0.0)] * self.hidden_size
        values: list[Value] = fitted(self, h, (self.hidden_size,), what)
        return values

    def _gate(self, k: int, name: str, x: list[Value], h: list[Value], activation: Op) -> list[Value]:
        """Return activation(W_ih x + b_ih + W_hh h + b_hh) for the rows of the k-th gate."""
        rows = range(k * self.hidden_size, (k + 1) * self.hidden_size)
        ih, hh, b, c = self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh
        with frame(name):
            return [neuron(hh[j], h, neuron(ih[j], x, b[j], None, "") + c[j], activation, "") for j in rows]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.input_size}, {self.hidden_size})"


class RNNCell(_Cell):
    """h' = tanh(W_ih x + b_ih + W_hh h + b_hh), or relu of it (Elman 1990).

    >>> len(RNNCell(2, 3)([1.0, 2.0]))
    3
    """

    gates = 1

    def __init__(self, input_size: int, hidden_size: int, *, nonlinearity: str = "tanh", **options: Any) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"nonlinearity is 'tanh' or 'relu', got {nonlinearity!r}")
        super().__init__(input_size, hidden_size, **options)
        self.nonlinearity = nonlinearity

    def __repr__(self) -> str:
        return f"RNNCell({self.input_size}, {self.hidden_size}, nonlinearity={self.nonlinearity!r})"

    def step(self, x: list[Value], state: State) -> State:
        """Return the next state."""
        return self._gate(0, "state", x, state, ops.tanh if self.nonlinearity == "tanh" else ops.relu)


class GRUCell(_Cell):
    """h' = (1 - z) n + z h, with n = tanh(W_in x + b_in + r (W_hn h + b_hn)) (Cho et al. 2014, in PyTorch's form).

    The gates are r, z and n, in the order of the rows.

    >>> len(GRUCell(2, 3)([1.0, 2.0]))
    3
    """

    gates = 3

    def step(self, x: list[Value], state: State) -> State:
        """Return the next state."""
        r = self._gate(0, "reset gate", x, state, ops.sigmoid)
        z = self._gate(1, "update gate", x, state, ops.sigmoid)
        ih, hh, b, c = self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh
        with frame("candidate"):
            rows = range(2 * self.hidden_size, 3 * self.hidden_size)
            sums = [(neuron(ih[j], x, b[j], None, ""), neuron(hh[j], state, c[j], None, "")) for j in rows]
            n = [ops.tanh(new + gate * old) for gate, (new, old) in zip(r, sums, strict=True)]
        with frame("state"):
            return [(1.0 - gate) * new + gate * old for gate, new, old in zip(z, n, state, strict=True)]


class LSTMCell(_Cell):
    """c' = f c + i g and h' = o tanh(c') (Hochreiter and Schmidhuber 1997; Gers et al. 2000).

    The gates are i, f, g and o, in the order of the rows. The state is the pair (h, c).

    >>> h, c = LSTMCell(2, 3)([1.0, 2.0])
    >>> len(h), len(c)
    (3, 3)
    """

    gates = 4

    def begin(self, state: State) -> State:
        """Return a state as Values, zeros for None."""
        if state is None:
            return self._hidden(None), self._hidden(None)
        if not isinstance(state, (tuple, list)) or len(state) != 2:
            raise ValueError("the state of an LSTM is a pair (h, c) of lists")
        return self._hidden(state[0], "h"), self._hidden(state[1], "c")

    def step(self, x: list[Value], state: State) -> State:
        """Return the next state."""
        h, c = state
        i = self._gate(0, "input gate", x, h, ops.sigmoid)
        f = self._gate(1, "forget gate", x, h, ops.sigmoid)
        g = self._gate(2, "candidate", x, h, ops.tanh)
        o = self._gate(3, "output gate", x, h, ops.sigmoid)
        with frame("memory"):
            c = [keep * old + enter * new for keep, old, enter, new in zip(f, c, i, g, strict=True)]
        with frame("state"):
            return [leave * ops.tanh(memory) for leave, memory in zip(o, c, strict=True)], c

    def output(self, state: State) -> list[Value]:
        """Return the part of a state that the next layer gets."""
        h: list[Value] = state[0]
        return h


def detached(state: State) -> State:
    """Return a state with the same numbers and no past, for the next block of steps of a long sequence.

    With it a loop of your own backpropagates through one block at a time (Williams and Peng 1990).

    >>> gru, state = GRU(1, 2), None
    >>> for block in ([[0.1], [0.2]], [[0.3], [0.4]]):
    ...     output, state = gru(block, detached(state))
    """
    return None if state is None else _mapped(lambda v: v.detach() if isinstance(v, Value) else v, state)


def _mapped(function: Callable[[Any], Any], state: State) -> State:
    if isinstance(state, (list, tuple)):
        return type(state)([_mapped(function, part) for part in state])
    return function(state)


class _Steps(Module):
    """A cell at each time step, from the first to the last, or from the last to the first."""

    def __init__(self, cell: _Cell, *, backwards: bool, truncate: int | None) -> None:
        self.cell = cell
        self._backwards = backwards
        self._truncate = truncate

    def __call__(self, xs: Sequence[list[Value]], state: State) -> tuple[list[list[Value]], State]:
        """Return the cell's outputs at each time step, in the order of xs, and its last state."""
        state, outputs = self.cell.begin(state), []
        times = range(len(xs))
        for k, t in enumerate(reversed(times) if self._backwards else times):
            with frame(f"t={t}"):
                if k and self._truncate is not None and k % self._truncate == 0:
                    state = _mapped(ops.stop_gradient, state)
                state = self.cell.step(xs[t], state)
            outputs.append(self.cell.output(state))
        return outputs[::-1] if self._backwards else outputs, state

    def __repr__(self) -> str:
        truncated = "" if self._truncate is None else f", truncate={self._truncate}"
        return f"{self.cell!r}{' backwards' if self._backwards else ''}{truncated}"


class _Recurrent(Module):
    """Layers of a cell over a sequence of shape (time, input_size).

    A call gives (output, state), as in PyTorch: the outputs of the last layer, of shape (time, hidden_size), and the
    last state of each layer, which a further call takes as its second argument. With `bidirectional=True` each layer
    also reads the sequence from its end; then output has 2 * hidden_size columns, those of the reader from the end
    last, and states come in pairs, layer after layer. With `truncate=k` gradients go back through time within blocks
    of k steps only. In a `Sequential`, `lambda result: result[0][-1]` hands on the last output.
    """

    _cell: ClassVar[type[_Cell]]
    _options: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        bidirectional: bool = False,
        truncate: int | None = None,
        init: str | Initializer | None = None,
        seed: int | Generator | None = None,
        **options: Any,
    ) -> None:
        for name in options.keys() - set(self._options):
            known = ", ".join(["num_layers", "bidirectional", "truncate", "init", "seed", *self._options])
            raise TypeError(f"{type(self).__name__} has no option {name!r}: it has {known}")
        whole(type(self).__name__, input_size=input_size, hidden_size=hidden_size, num_layers=num_layers)
        if truncate is not None:
            whole(type(self).__name__, truncate=truncate)
        self.input_size, self.hidden_size = input_size, hidden_size
        source, readers = generator(seed), 1 + bidirectional
        self.layers = [
            _Steps(
                self._cell(size, hidden_size, init=init, seed=source, **options), backwards=backwards, truncate=truncate
            )
            for size in [input_size, *[readers * hidden_size] * (num_layers - 1)]
            for backwards in (False, True)[:readers]
            for cell in [self._cell(size, hidden_size, init=init, seed=source, **options)]
        ]
        self.bidirectional = bidirectional

    def __call__(self, x: Any, state: Any = None) -> tuple[list[list[Value]], Any]:
        """Return the outputs at each time step, and the last state of each layer."""
        xs = fitted(self, x, ("time", self.input_size))
        states, readers, last = self._states(state), 1 + self.bidirectional, []
        for k in range(0, len(self.layers), readers):
            read = [self.layers[i](xs, states[i]) for i in range(k, k + readers)]
            xs = [[v for row in rows for v in row] for rows in zip(*[outputs for outputs, _ in read], strict=True)]
            last += [end for _, end in read]
        return xs, self._stacked(last)

    def _states(self, state: Any) -> Sequence[State]:
        if state is None:
            return [None] * len(self.layers)
        if len(state) != len(self.layers):
            raise ValueError(
                f"{type(self).__name__} takes a state for each of its {len(self.layers)} layer(s), as it returned "
                f"them, got {len(state)}"
            )
        states: Sequence[State] = state
        return states

    def _stacked(self, states: list[State]) -> Any:
        return states

    def __repr__(self) -> str:
        readers = 1 + self.bidirectional
        layers = f", num_layers={len(self.layers) // readers}" if len(self.layers) > readers else ""
        both = ", bidirectional=True" if self.bidirectional else ""
        return f"{type(self).__name__}({self.input_size}, {self.hidden_size}{layers}{both})"


class RNN(_Recurrent):
    """Layers of `RNNCell` over a sequence of shape (time, input_size); `nonlinearity` is "tanh" or "relu".

    >>> output, state = RNN(2, 3, num_layers=2)([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]])
    >>> len(output), len(output[-1]), len(state)
    (4, 3, 2)
    """

    _cell = RNNCell
    _options = ("nonlinearity",)


class GRU(_Recurrent):
    """Layers of `GRUCell` over a sequence of shape (time, input_size).

    >>> output, state = GRU(2, 3)([[1.0, 2.0], [3.0, 4.0]])
    >>> len(output), len(output[-1]), len(state)
    (2, 3, 1)
    """

    _cell = GRUCell


class LSTM(_Recurrent):
    """Layers of `LSTMCell` over a sequence of shape (time, input_size); its state is a pair (h, c), as in PyTorch.

    >>> output, (h, c) = LSTM(1, 3)([[0.1], [0.2]])
    >>> [v.data for v in output[-1]] == [v.data for v in h[0]]
    True
    """

    _cell = LSTMCell

    def _states(self, state: Any) -> Sequence[State]:
        if state is None:
            return super()._states(None)
        if not isinstance(state, (tuple, list)) or len(state) != 2:
            raise ValueError("the state of an LSTM is a pair (h, c), with a list in each for each layer")
        return super()._states(list(zip(*state, strict=True)))

    def _stacked(self, states: list[State]) -> Any:
        return [h for h, _ in states], [c for _, c in states]
