"""`Module`, the base of networks: its parameters and their names, saving and loading them, the path of its values."""

from __future__ import annotations

import contextlib
import functools
import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from typing import Any, Final, NamedTuple, Self

from microgrid.core.files import PathLike, read_json, write_json
from microgrid.core.primitive import as_float
from microgrid.core.scope import current_reader, enter_module, leave_module
from microgrid.engine import Value, give_grads

SETTINGS = ("letters", "num_heads", "causal", "kernel_size", "stride", "padding")
"""Attributes of layers that parameters of the same shapes do not tell."""


class Module:
    """A part of a network, with parameters. Subclass it and define `__call__`.

    Its parameters are the leaves in its attributes, those of modules there, and those in lists, tuples, dicts and NumPy
    arrays of either; attributes whose names start with an underscore do not count. A class may override `parameters`.

    Values made while a module is called carry its path, such as `MLP.layers[0].neurons[3]`: a module knows its name
    from the attribute, or the list or dict in an attribute, of the module that holds it.

    >>> from microgrid import Value
    >>> class Scale(Module):
    ...     def __init__(self):
    ...         self.factor = Value(2.0)
    ...     def __call__(self, x):
    ...         return self.factor * x
    >>> Scale()(3.0).data, list(Scale().named_parameters())[0][0]
    (6.0, 'factor')
    """

    training = True
    """False after `eval()`: what draws at random or looks at other samples in training does not."""

    modal = False
    """True if results depend on the mode."""

    _name = ""
    _buffers: tuple[str, ...] = ()  # attributes whose Values are saved, and are no parameters
    _adds_path = True  # True if Neuron.__call__ still has to enter the module: a subclass enters it before

    def __init_subclass__(cls, *, scoped: bool = True) -> None:
        super().__init_subclass__()
        if scoped and "__call__" in cls.__dict__:
            cls._adds_path = False
            setattr(cls, "__call__", _in_scope(cls.__dict__["__call__"]))  # noqa: B010  # mypy forbids the assignment

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value)
        if isinstance(value, Module):
            value.__dict__["_name"] = name
        else:
            for inner, _, item in _items(value):
                if isinstance(item, Module):
                    item.__dict__["_name"] = name + inner

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the output; a subclass defines it."""
        raise NotImplementedError(f"{type(self).__name__} defines no __call__")

    def parameters(self) -> list[Value]:
        """Return the values to train, each once, always in the same order."""
        found: list[Value] = []
        with _visited(self) as known:
            for held in _held(self) if known else ():
                if not isinstance(held, Module):
                    found.append(held)
                elif id(held) not in known:
                    found += held.parameters()
        return list(dict.fromkeys(found))

    def named_parameters(self) -> list[tuple[str, Value]]:
        """Return the parameters with their names, such as layers[0].neurons[3].w[1], in the order of `parameters()`."""
        names: dict[int, str] = {}
        with _looked_through(self) as places:
            for place in places:
                if isinstance(place.held, Module):
                    for inner, value in place.held.named_parameters():
                        names.setdefault(id(value), f"{place.name}.{inner}")
                else:
                    names.setdefault(id(place.held), place.name)
        return [(names.get(id(p), f"parameters[{i}]"), p) for i, p in enumerate(self.parameters())]

    def modules(self) -> list[Module]:
        """Return the module and those inside, in private attributes, too, each once."""
        found: dict[int, Module] = {id(self): self}
        agenda: list[Module] = [self]
        while agenda:
            for held in _held(agenda.pop(), private=True):
                if isinstance(held, Module) and id(held) not in found:
                    found[id(held)] = held
                    agenda.append(held)
        return list(found.values())

    def train(self, mode: bool = True) -> Self:
        """Set the mode of the module and of those inside: training, or with False evaluation; return the module."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Self:
        """Set the mode of the module and of those inside to evaluation; return the module."""
        return self.train(False)

    def count_parameters(self) -> int:
        """Return the number of parameters."""
        return len(self.parameters())

    def zero_grad(self) -> None:
        """Set the grad of every parameter to 0."""
        parameters = self.parameters()
        give_grads(parameters, [0.0] * len(parameters))

    def named_buffers(self) -> list[tuple[str, Value]]:
        """Return what is saved and not trained, with its name: the running statistics of a `BatchNorm`."""
        named: list[tuple[str, Value]] = []
        with _looked_through(self) as places:
            for place in places:
                if isinstance(place.held, Module):
                    named += [(f"{place.name}.{inner}", value) for inner, value in place.held.named_buffers()]
        held = {name: getattr(self, name) for name in self._buffers}
        return named + [(name + inner, item) for name, x in held.items() for inner, _, item in _items(x)]

    def state_dict(self) -> dict[str, float]:
        """Return the number of each parameter and buffer, by its name."""
        return {name: value.data for name, value in [*self.named_parameters(), *self.named_buffers()]}

    def load_state_dict(self, state: Mapping[str, Any]) -> Self:
        """Set each parameter and buffer to its number; return the module.

        Raises ValueError, and changes nothing, when the names are not exactly those of `state_dict()`, or when one has
        no number.
        """
        named = [*self.named_parameters(), *self.named_buffers()]
        if not isinstance(state, Mapping):
            raise ValueError(f"the parameters must be a dict of numbers by their names, got {state!r:.80}")
        if state.keys() != {name for name, _ in named}:
            raise ValueError(f"these parameters do not fit {type(self).__name__}: {_misfit(named, state)}")
        numbers = [as_number(name, state[name]) for name, _ in named]
        for (_, parameter), number in zip(named, numbers, strict=True):
            parameter.data = number
        return self

    def save(self, path: PathLike) -> None:
        """Write the parameters to a JSON file, exact to the bit, and what else the outputs depend on: the activations,
        and settings such as the number of heads; the old file stays until the new one is complete."""
        content = {"module": type(self).__name__, "parameters": self.state_dict()}
        write_json(path, "parameters", content | {"activations": self._activations(), "settings": self._settings()})

    def load(self, path: PathLike) -> Self:
        """Read the parameters that `save` wrote; return the module.

        Raises ValueError, and changes nothing, when the file holds no parameters or those of another network, or of one
        with other activations or settings.
        """
        content = read_json(path, "parameters")
        state = content.get("parameters")
        if not isinstance(state, dict):
            raise ValueError(f"{path} holds no parameters")
        if state.keys() == self.state_dict().keys():
            for what, own in (("activations", self._activations()), ("settings", self._settings())):
                saved = content.get(what, own)  # which older files do not have
                if saved != own:
                    raise ValueError(
                        f"{path}: the network that was saved has other {what}: {saved!s:.200}, not {own:.200}"
                    )
        try:
            return self.load_state_dict(state)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None

    def _activations(self) -> str:
        """Return the names of the activations in the order of `modules`, with the number of equal ones in a row."""
        kinds = ("activation", "nonlinearity")
        chosen = [getattr(module, kind) for module in self.modules() for kind in kinds if hasattr(module, kind)]
        names = ["identity" if x is None else x if isinstance(x, str) else _name_of(x) for x in chosen]
        return _counted(names)

    def _settings(self) -> str:
        """Return the settings of modules whose parameters have the same shapes with others, as `_activations` does."""
        found = [
            f"{type(module).__name__}({', '.join(own)})"
            for module in self.modules()
            if (
                own := [
                    f"{k}={x!r}" for k, x in vars(module).items() if k in SETTINGS and isinstance(x, int | str | tuple)
                ]
            )
        ]
        return _counted(found)

    def summary(self) -> str:
        """Return a line for each module directly inside: its name, its kind, its parameters; and their sum."""
        with _looked_through(self) as places:
            inside = [(place.name, place.held) for place in places if isinstance(place.held, Module)]
            rows = [(name, type(module).__name__, f"{module.count_parameters():,}") for name, module in inside]
        rows.append(("", type(self).__name__, f"{self.count_parameters():,}"))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join(f"{a:{widths[0]}}  {b:{widths[1]}}  {c:>{widths[2]}}" for a, b, c in rows)

    def __repr__(self) -> str:
        return f"{type(self).__name__} of {self.count_parameters()} parameters"


def _counted(names: Iterable[str]) -> str:
    """Return names with the number of equal ones in a row."""
    return ", ".join(f"{len([*run])} {name}" for name, run in itertools.groupby(names))


def _name_of(function: Any) -> str:
    return str(getattr(function, "name", None) or getattr(function, "__name__", None) or type(function).__name__)


def _in_scope(call: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(call)
    def scoped_call(self: Module, *args: Any, **kwargs: Any) -> Any:
        if type(self).__call__ is not scoped_call:  # reached through super(): the path has the name already
            return call(self, *args, **kwargs)
        token = enter_module(self._name or type(self).__name__)
        try:
            return call(self, *args, **kwargs)
        finally:
            leave_module(token)

    return scoped_call


@contextlib.contextmanager
def evaluating(model: Module) -> Iterator[None]:
    """Set a model to evaluation within a context."""
    changed = [module for module in model.modules() if module.training]
    own = [vars(module).pop("training", None) for module in changed]
    for module in changed:
        vars(module)["training"] = False
    try:
        yield
    finally:
        for module, mode in zip(changed, own, strict=True):
            del vars(module)["training"]
            if mode is not None:
                module.training = mode


def drawing(model: Module) -> list[Any]:
    """Return the modules inside that draw factors at random in training, as `Dropout` does."""
    return [module for module in model.modules() if hasattr(module, "factor")]


def tell_once(x: Value, what: str) -> None:
    """Tell the reader of a trace that something was done to x that a trace would not repeat."""
    reader = current_reader()
    if reader is not None:
        reader("once", x, what, None)


# --- what the attributes hold --------------------------------------------------------------------------------------


class _Place(NamedTuple):
    """The place of a parameter or a module: container[key], and its name for users."""

    name: str
    held: Any
    container: Any
    key: Any


def _places(module: Module, *, private: bool = False) -> Iterator[_Place]:
    """Return the parameters and modules of a module itself, in private attributes if asked, not in its modules."""

    def walk(name: str, held: Any, container: Any, key: Any) -> Iterator[_Place]:
        if isinstance(held, Module) or (isinstance(held, Value) and held.op is None):
            yield _Place(name, held, container, key)
        else:
            for inner, key_within, item in _items(held):
                yield from walk(name + inner, item, held, key_within)

    for name, held in _attributes(module, private):
        yield from walk(name, held, vars(module), name)


def _held(module: Module, *, private: bool = False) -> list[Value | Module]:
    """Return what is at the places of a module, in their order: without names, in a quarter of the time."""
    found: list[Value | Module] = []

    def look(items: Iterable[Any]) -> None:
        for item in items:
            if isinstance(item, Value):
                if item.op is None:
                    found.append(item)
            elif isinstance(item, Module):
                found.append(item)
            else:
                look(item if type(item) is list else [inner for _, _, inner in _items(item)])

    look([held for _, held in _attributes(module, private)])
    return found


def _attributes(module: Module, private: bool) -> list[tuple[str, Any]]:
    """Return the attributes that may hold parameters and modules, and what they hold."""
    attributes = vars(module).items()
    return [item for item in attributes if private or not (item[0].startswith("_") or item[0] in module._buffers)]


def _items(held: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield what a dict, a list, a tuple or a NumPy array of objects holds: the key as text, the key, and the item."""
    if isinstance(held, dict):
        for key, item in held.items():
            yield f"[{key!r}]", key, item
    elif isinstance(held, (list, tuple)):
        for i, item in enumerate(held):
            yield f"[{i}]", i, item
    elif getattr(getattr(held, "dtype", None), "kind", "") == "O":
        for index in itertools.product(*map(range, held.shape)):
            yield "".join([f"[{i}]" for i in index]), index, held[index]


_under_way: Final[ContextVar[frozenset[int]]] = ContextVar("microgrid_modules_under_way", default=frozenset())


@contextlib.contextmanager
def _visited(module: Module) -> Iterator[frozenset[int]]:
    """Return the modules visited further out, to which this one may refer back, and itself; none if it is one."""
    outer = _under_way.get()
    known = outer | {id(module)}
    token = _under_way.set(known)
    try:
        yield frozenset() if id(module) in outer else known
    finally:
        _under_way.reset(token)


@contextlib.contextmanager
def _looked_through(module: Module) -> Iterator[list[_Place]]:
    """Return the contents of a module, except modules already visited further out."""
    with _visited(module) as known:
        yield [place for place in _places(module) if id(place.held) not in known] if known else []


def functional_call(module: Module, parameters: Iterable[Any], *args: Any) -> Any:
    """Return the output of the module with its parameters replaced by these values, or numbers, in their order.

    This makes a network a function of its parameters, for `grad`, `hessian`, `trace` or `check_gradient`. Raises
    ValueError when their number differs, or when a parameter is not in an attribute of a module, nor in a list or dict
    there, and cannot be replaced. Meanwhile, other threads must leave the module alone.

    >>> from microgrid import grad, nn
    >>> neuron = nn.Neuron(1, nonlin=False)
    >>> grad(lambda w, b: functional_call(neuron, [w, b], [3.0]), (0, 1))(2.0, 1.0)
    (3.0, 1.0)
    """
    own = module.parameters()
    given = [x if isinstance(x, Value) else Value(x) for x in parameters]
    if len(given) != len(own):
        raise ValueError(f"the module has {len(own)} parameter(s), got {len(given)} value(s)")
    instead = {id(before): after for before, after in zip(own, given, strict=True)}
    changed: list[_Place] = []
    try:
        for holder in module.modules():
            for place in list(_places(holder, private=True)):
                if id(place.held) in instead:
                    if isinstance(place.container, tuple):
                        raise TypeError(f"{place.name} is in a tuple, where nothing can take its place: use a list")
                    if not getattr(getattr(place.container, "flags", None), "writeable", True):
                        raise TypeError(
                            f"{place.name} is in a read-only array, where nothing can take its place: copy it"
                        )
                    changed.append(place)
                    place.container[place.key] = instead[id(place.held)]
        found = {id(place.held) for place in changed}
        for i, parameter in enumerate(own):
            if id(parameter) not in found:
                raise ValueError(
                    f"parameters()[{i}] is in no attribute of {type(module).__name__} or of a module there, nor in a "
                    "list, dict or array in one, so nothing can take its place: keep it there"
                )
        return module(*args)
    finally:
        for place in changed:
            place.container[place.key] = place.held


# --- what does not fit ---------------------------------------------------------------------------------------------


def _misfit(named: list[tuple[str, Value]], state: Mapping[str, Any]) -> str:
    """Return the first difference in size, or else in names."""
    here, there = (Counter(re.sub(r"\[\d+\]$", "", name) for name in names) for names in (dict(named), state))
    for name, size in here.items():
        if there[name] not in (0, size):
            return f"{name} has {there[name]} number(s) there and {size} in the network"
    for name, _ in named:
        if name not in state:
            return f"{name} is missing there"
    own = dict(named)
    return f"the network has no {next(name for name in state if name not in own)}"


def as_number(name: str, x: Any) -> float:
    """Return a number as `write_json` has it in a file. Raises ValueError with the name when it is none."""
    if isinstance(x, str) and x in ("inf", "-inf", "nan"):
        return float(x)
    try:
        if not isinstance(x, bool):
            return as_float(x)
        raise TypeError(f"expected a number, got {x}")
    except (TypeError, OverflowError) as error:
        raise ValueError(f"{name}: {error}") from None
