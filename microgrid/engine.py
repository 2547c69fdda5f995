"""`Value`, the only node: recording operations into a graph and walking it backward.

What an operation computes and its derivatives are in `ops.py`. This file is plain Python; where there is a C compiler,
mypyc compiles it unchanged. Nothing here recurses over the depth of a graph.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias, final

from microgrid import ops
from microgrid.core._mypyc import COMPILING, i64, mypyc_attr
from microgrid.core.ported import refuse_notes, wants_backward
from microgrid.core.primitive import CALL, OPS, Op, as_float, given_op, has_rule, unlisted, without_rule
from microgrid.core.scope import (
    current_module,
    current_reader,
    current_watch,
    enter_module,
    extended_path,
    leave_module,
    reset_module,
    set_module,
)
from microgrid.core.value_arrays import apply_ufunc
from microgrid.functions.composed import COMPOSED

if TYPE_CHECKING and not COMPILING:
    # Return type of binary operators: a Value, as far as users see. It may be NotImplemented, which makes Python ask
    # the other operand; mypyc would refuse that as no Value.
    Recorded: TypeAlias = "Value"

    class _Methods:
        """Declare the methods named after ops for type checkers; at run time they are set from the table below."""

        def __getattr__(self, name: str) -> Callable[..., Value]: ...

else:
    Recorded: TypeAlias = Any
    _Methods = object

COMPILED: Final = not __file__.endswith(".py")


def _never(*_operands: Any) -> Any:
    raise AssertionError("constants and bundles compute nothing")


def _silent(name: str, piecewise: bool = False) -> Op:
    """An op outside the table, which computes nothing and shows nothing."""
    op = Op(name, _never, _never, 2, 0, (), "", CALL, "", piecewise=piecewise)
    unlisted[name] = op
    return op


CONSTANT: Final = _silent("constant")
"""Op of a number that entered the graph through an operator: the 2 of `2 * x`."""

# A node has room for two operands. The second operand of a node with more is a hidden one that bundles the rest.
_BUNDLE: Final = _silent("bundle")
_PIECEWISE_BUNDLE: Final = _silent("piecewise_bundle", piecewise=True)

_ADD: Final = ops.add
_MUL: Final = ops.mul
_UNLABELLED: Final = ""
_ZERO: Final[Any] = as_float(0)  # one object: a literal would be boxed anew for each node
_current_module: Final = current_module
_extended_path: Final = extended_path
_current_reader: Final = current_reader


# --- the node ------------------------------------------------------------------------------------------------------


class _Counter:
    """Number of nodes made, and of backward passes.

    The statement that counts nodes contains no call, so no other thread can come between its parts.
    """

    __slots__ = ("made", "passes")

    def __init__(self) -> None:
        self.made: i64 = 0
        self.passes: i64 = 0


_counter: Final = _Counter()


@final
@mypyc_attr(acyclic=True)
class Value(_Methods):
    """A scalar that remembers how it was computed.

    `Value(x, label="x")` is a leaf. Arithmetic on it, with numbers on either side, records nodes: each keeps its `op`,
    its `operands` and its local derivatives (`partials`). `backward()` fills `grad`. Every built-in op is also a
    method: `x.tanh()`; one of your own is called as a function. Raises TypeError when x is not a real number.

    `Value(data, children, local_grads)` is a result whose derivatives by its operands are those numbers. It has no
    rule, so no second derivative, and cannot be traced or compiled; an op declared with `primitive` has and can.

    A Value has no room for attributes of your own: keep notes in a dict, `notes = {v: 0}`, since Values are hashable.

    >>> x, y = Value(3.0), Value(-2.0)
    >>> z = x * y + x
    >>> z.backward()
    >>> z, x.grad, y.grad
    (Value(data=-3.0, grad=1.0), -1.0, 3.0)
    """

    # A node points to nodes, ops and strings, nothing else: it cannot be part of a cycle, and where it is compiled the
    # cycle collector does not see it (`acyclic`).
    __slots__ = ("_a", "_b", "_da", "_data", "_db", "_grad", "_label", "module", "number", "op", "passed")

    _data: float
    _grad: float
    op: Op | None
    number: i64
    passed: i64  # the backward pass that reached this node last
    _label: str
    module: str
    _a: Value | None
    _b: Value | None
    _da: float
    _db: float

    # The operands and derivatives come as *given, since a keyword costs 100 ns for each optional argument before it.
    def __init__(self, data: Any, *given: Any, label: str = "") -> None:
        self._data = data if type(data) is float else as_float(data)
        self._grad = 0.0
        self.op = None
        self.number = _counter.made = _counter.made + 1
        self.passed = 0
        self._label = label if label is _UNLABELLED or type(label) is str else _as_label(label)
        self.module = ""
        self._a = None
        self._b = None
        self._da = 0.0
        self._db = 0.0
        if given:
            _give(self, given)

    def __init_subclass__(cls) -> None:
        raise TypeError("Value cannot be subclassed: declare an operation with primitive(...), or compose a function")

    # The contents of a node.

    @property
    def data(self) -> float:
        """The number. Assigning changes the leaf for later operations, never a derivative already recorded."""
        read_out(self)
        return self._data

    @data.setter
    def data(self, data: Any) -> None:
        self._data = data if type(data) is float else as_float(data)

    @property
    def grad(self) -> float:
        """Derivative of the value that `backward()` was called on with respect to this one; 0.0 before."""
        reader = _current_reader()
        if reader is not None:
            reader("grad", self, None, self._grad)
        return self._grad

    @grad.setter
    def grad(self, grad: Any) -> None:
        self._grad = grad if type(grad) is float else as_float(grad)

    @property
    def label(self) -> str:
        """A name, shown in pictures and messages."""
        return self._label

    @label.setter
    def label(self, label: Any) -> None:
        self._label = _as_label(label)

    @property
    def operands(self) -> tuple[Value, ...]:
        """Values that this one was computed from, in order; () for a leaf."""
        return tuple([operand for operand, _ in edges_of(self)])

    @property
    def partials(self) -> tuple[float, ...]:
        """Derivative of this value by each operand, as it was when recorded; 0.0 for a static operand."""
        read_out(self)
        return tuple([partial for _, partial in edges_of(self)])

    def item(self) -> float:
        """Return the number."""
        return self.data

    def conjugate(self) -> Value:
        """Return the value itself, as for any real number: NumPy's variance calls it."""
        return self

    def detach(self) -> Value:
        """Return a new leaf with the same number."""
        return Value(self.data)

    # Backward.

    def backward(self, seed: Any = 1.0) -> None:
        """Set `grad` on everything that this value was computed from to seed times its derivative.

        Leaves accumulate until they are set to zero; the grads of results are set afresh. Nodes take their turn in
        reverse order of recording, so sums repeat to the bit. A node whose cotangent is exactly 0 passes nothing on.
        It writes `grad`, so threads must not run it at once on graphs that share values.
        """
        cotangent = as_float(seed)
        if _current_module() is None:
            watch = current_watch()
            if watch is not None:
                watch.backward(self, cotangent)
        agenda = _Agenda(self.number)
        try:
            agenda.receive(self, cotangent)
            while (node := agenda.youngest()) is not None:
                a = node._a
                if a is not None:
                    agenda.receive(a, pass_back(node._grad, node._da, node, 0))
                b = node._b
                if b is not None:
                    agenda.receive(b, pass_back(node._grad, node._db, node, 1))
            for leaf in agenda.leaves:
                leaf._grad += leaf._da
        except BaseException:  # an interruption: leaves keep what they had
            for leaf in agenda.leaves:
                leaf._grad = leaf._da
            raise

    # Operators. + and * make nearly all nodes of a network, so they are recorded without the detour through the table
    # that `record` takes: 5 against 12 ms for a loss of 65,818 nodes, compiled. A test holds them to the table's rules.

    def __add__(self, other: Any) -> Recorded:
        if not isinstance(other, Value):
            return _record_with_number(_ADD, self, other)
        module = _current_module()
        if module is None:
            return _apart(_ADD, [self, other])
        node = Value(_ZERO)
        node._data = self._data + other._data
        node.op = _ADD
        node.module = module
        node._a = self
        node._b = other
        node._da = 1.0
        node._db = 1.0
        return node

    def __mul__(self, other: Any) -> Recorded:
        if not isinstance(other, Value):
            return _record_with_number(_MUL, self, other)
        module = _current_module()
        if module is None:
            return _apart(_MUL, [self, other])
        node = Value(_ZERO)
        node._data = self._data * other._data
        node.op = _MUL
        node.module = module
        node._a = self
        node._b = other
        node._da = other._data
        node._db = self._data
        return node

    def __radd__(self, other: Any) -> Recorded:
        return _record_number_with(_ADD, other, self)

    def __rmul__(self, other: Any) -> Recorded:
        return _record_number_with(_MUL, other, self)

    def __sub__(self, other: Any) -> Recorded:
        return _record_with_number(ops.sub, self, other)

    def __rsub__(self, other: Any) -> Recorded:
        return _record_number_with(ops.sub, other, self)

    def __truediv__(self, other: Any) -> Recorded:
        return _record_with_number(ops.div, self, other)

    def __rtruediv__(self, other: Any) -> Recorded:
        return _record_number_with(ops.div, other, self)

    def __pow__(self, other: Any) -> Recorded:
        return _record_with_number(ops.power if isinstance(other, Value) else ops.constant_power, self, other)

    def __rpow__(self, other: Any) -> Recorded:
        return _record_number_with(ops.power, other, self)

    def __mod__(self, other: Any) -> Recorded:
        return _record_with_number(ops.mod, self, other)

    def __rmod__(self, other: Any) -> Recorded:
        return _record_number_with(ops.mod, other, self)

    def __floordiv__(self, other: Any) -> Recorded:
        return _record_with_number(ops.floor_divide, self, other)

    def __rfloordiv__(self, other: Any) -> Recorded:
        return _record_number_with(ops.floor_divide, other, self)

    def __neg__(self) -> Value:
        return record_unary(ops.neg, self)

    def __pos__(self) -> Value:
        return self

    def __abs__(self) -> Value:
        return record_unary(ops.abs, self)

    def __floor__(self) -> Value:
        return record_unary(ops.floor, self)

    def __ceil__(self) -> Value:
        return record_unary(ops.ceil, self)

    def __trunc__(self) -> Value:
        return record_unary(ops.trunc, self)

    def __round__(self, ndigits: Any = None) -> Value:
        if ndigits is not None:
            raise TypeError("a Value is rounded to a whole number; for n digits write round(v * 10**n) / 10**n")
        return record_unary(ops.round, self)

    # Comparisons look at the data.

    def __lt__(self, other: Any) -> bool:
        y = _comparable("<", other)
        return _seen("<", self, other, self._data < y)

    def __le__(self, other: Any) -> bool:
        y = _comparable("<=", other)
        return _seen("<=", self, other, self._data <= y)

    def __gt__(self, other: Any) -> bool:
        y = _comparable(">", other)
        return _seen(">", self, other, self._data > y)

    def __ge__(self, other: Any) -> bool:
        y = _comparable(">=", other)
        return _seen(">=", self, other, self._data >= y)

    def __bool__(self) -> bool:
        return _seen("!=", self, 0.0, self._data != 0.0)

    # Between two Values identity, so that sets, dicts and `in` work on nodes; beside a number, its comparison.
    def __eq__(self, other: object) -> Any:
        if self is other:
            return True
        if isinstance(other, Value):
            return False
        try:
            number = as_float(other)
        except (TypeError, OverflowError):
            return NotImplemented
        return _seen("==", self, other, self._data == number)

    def __hash__(self) -> int:
        return self.number

    def __float__(self) -> float:
        raise TypeError(
            "a Value does not turn into a float by itself, which would drop it from the graph: use v.data for its "
            "number; for a function write v.sin(), microgrid.sin(v) or numpy.sin(v), not math.sin(v); for an array "
            "leave dtype=float out, or fill numpy.zeros(n, dtype=object)"
        )

    def __int__(self) -> int:
        return int(self.__float__())

    def __format__(self, spec: str) -> str:
        return format(self.data, spec) if spec else repr(self)

    def __repr__(self) -> str:
        read_out(self)
        return f"Value(data={self._data}, grad={self._grad})"

    # The names that code written for micrograd and for microgpt uses.

    @property
    def _prev(self) -> tuple[Value, ...]:
        edges = edges_of(self)
        static = 0 if self.op is None else self.op.static
        return tuple([operand for operand, _ in edges[: len(edges) - static]])

    @property
    def _children(self) -> tuple[Value, ...]:
        return self._prev

    @property
    def _local_grads(self) -> tuple[float, ...]:
        return self.partials[: len(self._prev)]

    @property
    def _op(self) -> str:
        if self.op is ops.constant_power:
            exponent = self.operands[1]._data
            return f"**{int(exponent) if exponent.is_integer() else exponent}"
        return "" if self.op is None else self.op.symbol

    @property
    def _backward(self) -> Callable[[], None]:
        return self._push

    @_backward.setter
    def _backward(self, function: Any) -> None:
        raise AttributeError(
            "_backward cannot be assigned: declare the operation once with its derivatives, "
            "microgrid.core.primitive(name, forward, partials), and call it"
        )

    def _push(self) -> None:
        """Add grad times partial to each operand's grad: one step of backpropagation, by hand."""
        for i, (operand, partial) in enumerate(edges_of(self)):
            operand._grad += pass_back(self._grad, partial, self, i)

    # The protocol of ops.

    def _apply_op(self, op: Op, operands: Sequence[Any]) -> Any:
        for x in operands:
            if not isinstance(x, Value) and hasattr(x, "ndim") and x.ndim:
                return op.elementwise(operands)
        return record(op, operands)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        return apply_ufunc(ufunc, method, inputs, kwargs)

    # Copies and pickles.

    def __copy__(self) -> Value:
        from microgrid.graph.copying import copied

        return copied(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Value:
        from microgrid.graph.copying import copied_with_operands

        return copied_with_operands(self, memo)

    def __reduce__(self) -> tuple[Any, ...]:
        from microgrid.graph.copying import pickled

        return pickled(self)


def _as_label(label: Any) -> str:
    if not isinstance(label, str):
        raise TypeError(f"a label is a string, got {type(label).__name__} ({label!r})")
    return str(label)


def _comparable(symbol: str, other: Any) -> float:
    if isinstance(other, Value):
        return other._data
    try:
        return as_float(other)
    except TypeError as error:
        raise TypeError(f"'{symbol}' compares a Value with a number or a Value: {error}") from None


def _seen(how: str, value: Value, other: Any, answer: bool) -> bool:
    """Return the answer, after telling the reader of the trace that it depends on the value's number."""
    reader = _current_reader()
    if reader is not None:
        given = reader(how, value, other, answer)
        if given is not None:
            return bool(given)
    return answer


def read_out(value: Value) -> None:
    """Tell the reader of the trace that the value's number leaves the graph."""
    reader = _current_reader()
    if reader is not None:
        reader("data", value, None, value._data)


# The numbers of many Values at once: a property costs a call for each.


def data_of(values: list[Value]) -> list[float]:
    """Return the numbers of Values."""
    if _current_reader() is not None:
        for value in values:
            read_out(value)
    return [value._data for value in values]


def give_data(values: list[Value], numbers: list[Any]) -> None:
    """Assign to each Value's `data`. Raises ValueError, and changes nothing, when there are more or fewer numbers."""
    if len(values) != len(numbers):
        raise ValueError(f"{len(numbers)} number(s) for {len(values)} value(s)")
    for value, x in zip(values, numbers):  # noqa: B905  # their lengths are equal
        value._data = x if type(x) is float else as_float(x)


def grads_of(values: list[Value]) -> list[float]:
    """Return the grads of Values."""
    if _current_reader() is not None:
        return [value.grad for value in values]
    return [value._grad for value in values]


def give_grads(values: list[Value], numbers: list[Any]) -> None:
    """Assign to each Value's `grad`. Raises ValueError, and changes nothing, when there are more or fewer numbers."""
    if len(values) != len(numbers):
        raise ValueError(f"{len(numbers)} number(s) for {len(values)} value(s)")
    for value, x in zip(values, numbers):  # noqa: B905  # their lengths are equal
        value._grad = x if type(x) is float else as_float(x)


def descend(values: list[Value], rate: float) -> None:
    """Subtract rate times `grad` from each Value's `data`."""
    if _current_reader() is not None:
        for value in values:
            value.data = value.data - rate * value.grad
        return
    for value in values:
        value._data -= rate * value._grad


def pass_back(cotangent: float, partial: float, node: Value, operand: int) -> float:
    """Return the contribution of a node to the cotangent of an operand.

    A cotangent of exactly 0 passes nothing, nor does a partial of exactly 0 of a piecewise op, beside inf and nan too.
    """
    contribution = cotangent * partial
    if contribution != contribution and (cotangent == 0.0 or (partial == 0.0 and is_piecewise(node, operand))):
        return 0.0
    return contribution


def is_piecewise(node: Value, operand: int) -> bool:
    """Return True if a partial of 0 means that nearby the node does not depend on the operand."""
    return node.op is not None and bool(node.op.piecewise[operand])


def edges_of(node: Value) -> list[tuple[Value, float]]:
    """Return the operands of a node with their partials, the bundled ones included."""
    edges: list[tuple[Value, float]] = []
    while True:
        a = node._a
        if a is not None:
            edges.append((a, node._da))
        b = node._b
        if b is None:
            return edges
        if not is_bundle(b):
            edges.append((b, node._db))
            return edges
        node = b


def topological(
    roots: Iterable[Value],
    *,
    inputs: Iterable[Value] = (),
    start: int = 0,
    older: dict[int, Value] | None = None,
    bundles: bool = False,
) -> list[Value]:
    """Return everything that the roots were computed from, and the roots, in the order of recording.

    So operands stand before their users. The walk stops before `inputs`, and at the nodes up to number `start` that are
    no constants, which are entered into `older`. The hidden nodes of third and further operands count with `bundles`.
    """
    stack = list(roots)
    # With a start, nodes made since have places in a window: a million are found in a fifth of the time of a dict.
    first: i64 = start
    newest: i64 = start
    for node in stack:
        if node.number > newest:
            newest = node.number
    if not start:
        first = newest
    window: list[Value | None] = [None] * (newest - first)
    found: dict[int, Value] = {}
    place: i64
    for node in inputs:
        place = node.number - first - 1
        if place < 0:
            found[node.number] = _END
        elif place < len(window):
            window[place] = _END
    while stack:
        node = stack.pop()
        place = node.number - first - 1
        if place >= 0:
            if window[place] is not None:
                continue
            window[place] = node
        else:
            number = node.number
            if number in found:
                continue
            if number <= start and node.op is not CONSTANT:
                if older is not None:
                    older[number] = node
                continue
            found[number] = node
        if node._a is not None:
            stack.append(node._a)
        if node._b is not None:
            stack.append(node._b)
    nodes = [found[number] for number in sorted(found)]
    for one in window:
        if one is not None:
            nodes.append(one)
    return [node for node in nodes if node is not _END and (bundles or not is_bundle(node))]


@final
class FlatCode:
    """Instructions in two lists: their ops, and the slots of the operands of all, one after the other."""

    __slots__ = ("operands", "ops")

    def __init__(self) -> None:
        self.ops: list[Op] = []
        self.operands: list[Any] = []

    def pairs(self) -> list[tuple[Op, tuple[int, ...]]]:
        """Return each op with the slots of its operands."""
        found: list[tuple[Op, tuple[int, ...]]] = []
        place: i64 = 0
        operands = self.operands
        for op in self.ops:
            end: i64 = place + op.arity
            found.append((op, tuple(operands[place:end])))
            place = end
        return found


def laid_out(
    given: Sequence[Value], nodes: list[Value], outputs: Sequence[Value]
) -> tuple[list[Value], list[Value], FlatCode, list[int]]:
    """Return the constants and the results among nodes, the instructions that compute these, and the slots of outputs.

    First come the slots of those that are given, then those of constants, among them leaves, then those of results,
    which stand behind their operands.
    """
    constants: list[Value] = []
    results: list[Value] = []
    for node in nodes:
        if node.op is None or node.op is CONSTANT:
            constants.append(node)
        else:
            results.append(node)
    slots = _Slots(nodes)
    slot = 0
    for part in (given, constants, results):
        for node in part:  # a given one may stand there twice
            slots.enter(node, slot)
            slot += 1
    found = FlatCode()
    for node in results:
        op, a, b = node.op, node._a, node._b
        assert op is not None
        found.ops.append(op)
        if a is not None and (b is None or not is_bundle(b)):
            found.operands.append(slots.of(a))
            if b is not None:
                found.operands.append(slots.of(b))
        else:
            for operand, _ in edges_of(node):
                found.operands.append(slots.of(operand))
    return constants, results, found, [slots.of(node) for node in outputs]


@final
class _Slots:
    """Slots of nodes: in a list where their numbers are near that of the last one, else looked up."""

    __slots__ = ("_early", "_first", "_late")

    def __init__(self, nodes: list[Value]) -> None:
        self._first: i64 = 0
        size: i64 = 0
        if nodes:
            size = min(nodes[-1].number - nodes[0].number + 1, 4 * len(nodes))
            self._first = nodes[-1].number + 1 - size
        self._late: list[Any] = [None] * size  # objects, which all that use them share
        self._early: dict[int, Any] = {}

    def enter(self, node: Value, slot: Any) -> None:
        """Enter the slot of a node."""
        place: i64 = node.number - self._first
        if 0 <= place < len(self._late):
            self._late[place] = slot
        else:
            self._early[node.number] = slot

    def of(self, node: Value) -> Any:
        """Return the slot of a node."""
        place: i64 = node.number - self._first
        if 0 <= place < len(self._late):
            return self._late[place]
        return self._early[node.number]


def modules_of(nodes: list[Value]) -> tuple[list[str], dict[int, str]]:
    """Return the module of each node, and the labels of those with one, by their places."""
    labels: dict[int, str] = {}
    for i, node in enumerate(nodes):
        if node._label:
            labels[i] = node._label
    return [node.module for node in nodes], labels


def demand_rules(nodes: list[Value]) -> None:
    """Raise TypeError for the first result whose op has no rule."""
    known: set[Op] = set()
    for node in nodes:
        op = node.op
        if op is not None and op not in known:
            if not has_rule(op):
                raise without_rule(node)
            known.add(op)


def is_bundle(node: Value) -> bool:
    """Return True if the node holds operands of another, and is no value."""
    return node.op is _BUNDLE or node.op is _PIECEWISE_BUNDLE


def newest() -> int:
    """Return the number of the node made last."""
    return _counter.made


def renumber(node: Value) -> None:
    """Renumber a node as if it were made now."""
    node.number = _counter.made = _counter.made + 1


# --- backward's agenda ---------------------------------------------------------------------------------------------

_BLOCK: Final = 4096


class _Agenda:
    """Nodes that a backward pass has reached and not yet handled, youngest first.

    A node's users are all younger than the node, so this is a reverse topological order, and needs no walk before it.
    Creation numbers are divided into blocks, counted down from the root's. The block at hand is a list with a place for
    each number, grown as needed; nodes of older blocks wait. So the list fits in the processor's cache.
    """

    __slots__ = (
        "_block",
        "_first",
        "_latest",
        "_latest_at",
        "_order",
        "_pass",
        "_place",
        "_root",
        "_waiting",
        "leaves",
    )

    def __init__(self, root: i64) -> None:
        self._pass: i64 = _counter.passes + 1
        _counter.passes = self._pass
        self.leaves: list[Value] = []
        self._root: i64 = root
        self._first: i64 = root  # the number that has place 0
        self._place: i64 = -1  # the last one looked at
        self._block: list[Value | None] = []
        self._waiting: dict[int, list[Value]] = {}
        self._order: list[int] = []  # heap of the indices of blocks that wait
        self._latest: list[Value] = []  # the waiting block that was entered last
        self._latest_at: i64 = -1

    def receive(self, node: Value, contribution: float) -> None:
        """Add to a node's cotangent; the first contribution takes it in."""
        if node.passed == self._pass:
            node._grad += contribution
            return
        node.passed = self._pass
        if node.op is None:  # the former grad is kept in place of a partial, and added at the end
            node._da = node._grad
            self.leaves.append(node)
        else:
            place: i64 = self._first - node.number
            block = self._block
            if self._place < place < len(block) and block[place] is None:
                block[place] = node
            else:
                self._admit(node, place)
        node._grad = contribution

    def youngest(self) -> Value | None:
        """Take out the youngest node; None when there is none."""
        while True:
            self._place += 1
            if self._place >= len(self._block) and not self._another_block():
                return None
            node = self._block[self._place]
            if node is not None:
                self._block[self._place] = None
                return node

    def _another_block(self) -> bool:
        """Begin the youngest of the blocks that wait; False when there is none."""
        if not self._order:
            return False
        index = heapq.heappop(self._order)
        self._first = self._root - index * _BLOCK
        self._place = -1
        for node in self._waiting.pop(index):
            self._admit(node, self._first - node.number)
        self._place = 0
        return True

    def _admit(self, node: Value, place: i64) -> None:
        """Take in a node of an older block, or at a place that the block at hand does not have yet."""
        if place >= _BLOCK:
            index: i64 = (self._root - node.number) // _BLOCK
            if index != self._latest_at:
                if index not in self._waiting:
                    self._waiting[index] = []
                    heapq.heappush(self._order, index)
                self._latest = self._waiting[index]
                self._latest_at = index
            self._latest.append(node)
            return
        size = len(self._block)
        if place >= size:
            self._block.extend([None] * (min(max(place + 1, 2 * size), _BLOCK) - size))
        if place <= self._place or self._block[place] is not None:
            raise RuntimeError(
                f"two nodes carry the creation number {node.number}, or it is younger than its user: "
                "threads made them at once"
            )
        self._block[place] = node


# --- recording -----------------------------------------------------------------------------------------------------


def record_unary(op: Op, a: Value) -> Value:
    """Record an op of one operand."""
    return _unary(op, a, _current_module())


def _unary(op: Op, a: Value, module: str | None) -> Value:
    if module is None:
        return _apart(op, [a])
    x = a._data
    node = Value(op.float_forward(x))
    partials = op.float_partials(node._data, x)
    if type(partials) is not tuple or len(partials) != 1:
        raise op.wrong_partials(partials)
    da = partials[0]
    node.op = op
    node.module = module
    node._a = a
    node._da = da if type(da) is float else as_float(da)
    return node


def record_binary(op: Op, a: Value, b: Value) -> Value:
    """Record an op of two operands."""
    module = _current_module()
    if module is None:
        return _apart(op, [a, b])
    x = a._data
    y = b._data
    node = Value(op.float_forward(x, y))
    partials = op.float_partials(node._data, x, y)
    if type(partials) is not tuple or len(partials) != 2 - op.static:
        raise op.wrong_partials(partials)
    da = partials[0] if partials else 0.0
    db = partials[1] if len(partials) == 2 else 0.0
    node.op = op
    node.module = module
    node._a = a
    node._b = b
    node._da = da if type(da) is float else as_float(da)
    node._db = db if type(db) is float else as_float(db)
    return node


def record(op: Op, operands: Sequence[Any]) -> Value:
    """Record an op of any number of operands, each a Value or a number; static ones must be numbers."""
    if len(operands) != op.arity:
        raise TypeError(f"{op.name} takes {op.arity} operand(s), got {len(operands)}")
    for x in operands[op.arity - op.static :]:
        if isinstance(x, Value) and x.op is not CONSTANT:
            raise TypeError(
                f"the last {op.static} operand(s) of {op.name} must be plain numbers, not Values: use v.data"
            )
    nodes = [x if isinstance(x, Value) else constant(x) for x in operands]
    if len(nodes) == 1:
        return record_unary(op, nodes[0])
    if len(nodes) == 2:
        return record_binary(op, nodes[0], nodes[1])
    module = _current_module()
    if module is None:
        return _apart(op, nodes)
    numbers = [node._data for node in nodes]
    node = Value(op.float_forward(*numbers))
    partials = op.float_partials(node._data, *numbers)
    if type(partials) is not tuple or len(partials) != len(nodes) - op.static:
        raise op.wrong_partials(partials)
    derivatives = [as_float(partial) for partial in partials] + [0.0] * op.static
    _attach(node, op, module, nodes, derivatives)
    return node


def _attach(node: Value, op: Op, module: str, nodes: list[Value], derivatives: list[float]) -> None:
    """Make the node the result of an op of these operands, which need not be two."""
    rest: Value | None = None
    rest_partial = 0.0
    if len(nodes) > 1:
        rest = nodes.pop()
        rest_partial = derivatives.pop()
    while len(nodes) > 1:
        bundle = Value(0.0)
        bundle.op = _PIECEWISE_BUNDLE if any(op.piecewise) else _BUNDLE
        bundle._a = nodes.pop()
        bundle._da = derivatives.pop()
        bundle._b = rest
        bundle._db = rest_partial
        rest = bundle
        rest_partial = 1.0
    node.number = _counter.made = _counter.made + 1  # after the bundles: users are younger
    node.op = op
    node.module = module
    node._a = nodes[0]
    node._da = derivatives[0]
    node._b = rest
    node._db = rest_partial


def _give(node: Value, given: tuple[Any, ...]) -> None:
    """Make a new node the result of others, with numbers for its derivatives by them; without any, it is a leaf."""
    if len(given) > 2:
        raise TypeError(f"Value takes data, children and local_grads, and label= by name; got {len(given) + 1} of them")
    children = given[0]
    local_grads = given[1] if len(given) == 2 else None
    if isinstance(children, str):
        raise TypeError(f"a label is passed by name: Value({node._data!r}, label={children!r})")
    nodes = [] if children is None else _listed("children", children)
    for i, child in enumerate(nodes):
        if not isinstance(child, Value):
            raise TypeError(f"children[{i}] must be a Value, got {type(child).__name__} ({child!r}): make it a Value")
    if isinstance(local_grads, str) or (local_grads is None and nodes):
        if nodes or local_grads:
            raise TypeError(wants_backward(local_grads or "", len(nodes)))
        return
    numbers = [] if local_grads is None else _listed("local_grads", local_grads)
    if len(numbers) != len(nodes):
        raise ValueError(f"{len(nodes)} children and {len(numbers)} local_grads: give one number for each child")
    if not nodes:
        return
    derivatives: list[float] = []
    for i, number in enumerate(numbers):
        try:
            derivatives.append(as_float(number))
        except TypeError as error:
            raise TypeError(f"local_grads[{i}]: {error}") from None
    module = _current_module()
    watch = current_watch() if module is None else None
    if module is None and watch is None:  # nothing is recorded
        for child in nodes:
            read_out(child)
        return
    _attach(node, given_op(len(nodes)), watch.path if watch is not None else module or "", nodes, derivatives)
    if watch is not None:
        watch.node(node)


def _listed(name: str, items: Any) -> list[Any]:
    if isinstance(items, (Value, set, frozenset, dict)) or not hasattr(items, "__iter__"):
        raise TypeError(f"{name} must be a tuple, in order, got {type(items).__name__} ({items!r:.80})")
    return list(items)


def _apart(op: Op, nodes: list[Value]) -> Value:
    """Return the result where nodes are not simply recorded: in `no_grad` a leaf, under a watch a node that it looks
    at."""
    watch = current_watch()
    if watch is None:
        for operand in nodes:
            read_out(operand)
        return Value(op.float_forward(*[node._data for node in nodes]))
    token = set_module(watch.path)
    try:
        node = record(op, nodes)
    finally:
        reset_module(token)
    watch.node(node)
    return node


def neuron(weights: list[Value], inputs: Iterable[Any], bias: Value, activation: Op | None, name: str) -> Value:
    """Return activation(bias + w1 x1 + w2 x2 + ...), in the module of this name, recorded like a loop over the weights.

    Raises ValueError when there are not as many inputs as weights.
    """
    xs = inputs if type(inputs) is list else list(inputs)
    if len(weights) != len(xs):
        raise ValueError(f"expected {len(weights)} input(s), one for each weight, got {len(xs)}")
    module = _current_module()
    if module is None:
        return _neuron_apart(weights, xs, bias, activation, name)
    if name:
        module = _extended_path(module, name)
    total = bias
    for w, x in zip(weights, xs):  # noqa: B905  # checked above; mypyc makes a loop of a plain zip only
        x_node = x if isinstance(x, Value) else constant(x)
        product = Value(_ZERO)
        product._data = w._data * x_node._data
        node = Value(_ZERO)
        node._data = total._data + product._data
        product.op = _MUL
        product.module = module
        product._a = w
        product._b = x_node
        product._da = x_node._data
        product._db = w._data
        node.op = _ADD
        node.module = module
        node._a = total
        node._b = product
        node._da = 1.0
        node._db = 1.0
        total = node
    return total if activation is None else _unary(activation, total, module)


def dot(weights: list[Value], inputs: list[Value]) -> Value:
    """Return w1 x1 + w2 x2 + ..., recorded like a loop that adds products to the first one."""
    return neuron(weights[1:], inputs[1:], weights[0] * inputs[0], None, "")


def _neuron_apart(weights: list[Value], xs: list[Any], bias: Value, activation: Op | None, name: str) -> Value:
    if current_watch() is None and _current_reader() is None:
        sum_of_products = bias._data
        for w, x in zip(weights, xs):  # noqa: B905
            sum_of_products += w._data * (x._data if isinstance(x, Value) else as_float(x))
        return Value(sum_of_products if activation is None else activation.float_forward(sum_of_products))
    token = enter_module(name) if name else None
    try:
        total = bias
        for w, x in zip(weights, xs):  # noqa: B905
            total = _apart(_ADD, [total, _apart(_MUL, [w, x if isinstance(x, Value) else constant(x)])])
        return total if activation is None else _apart(activation, [total])
    finally:
        leave_module(token)


def constant(x: Any) -> Value:
    """Return the node of a number that enters the graph through an operator."""
    constant = Value(x)
    constant.op = CONSTANT
    return constant


def _record_with_number(op: Op, a: Value, x: Any) -> Recorded:
    """Record `a op x`; return NotImplemented when x is neither a Value nor a number, so that NumPy's arrays act."""
    if isinstance(x, Value):
        return record_binary(op, a, x)
    try:
        b = constant(x)
    except TypeError:
        return NotImplemented  # type: ignore[no-any-return]  # what Python's binary operators ask for
    return record_binary(op, a, b)


def _record_number_with(op: Op, x: Any, b: Value) -> Recorded:
    try:
        a = constant(x)
    except TypeError:
        return NotImplemented  # type: ignore[no-any-return]
    return record_binary(op, a, b)


_END: Final = Value(_ZERO)
"""Stands for nodes at which a walk ends. It is made first, so that no node made later has the number 1, nor a recording
the start 0, which stands for none."""

# --- every built-in op as a method ---------------------------------------------------------------------------------


def _method(op: Op) -> Callable[..., Value]:
    if op.arity == 1:
        return lambda self, *others: record(op, (self, *others)) if others else record_unary(op, self)
    return lambda self, *others: record(op, (self, *others))


for _op in OPS.values():
    _function = _method(_op)
    _function.__name__ = _op.name
    _function.__doc__ = f"The op {_op.name}, with this value as its first operand."
    for _name in (_op.name, *_op.aliases):
        setattr(Value, _name, _function)
for _name, _composed in COMPOSED.items():
    setattr(Value, _name, _composed)
if not COMPILED:
    refuse_notes(Value)
