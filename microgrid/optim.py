"""Optimisers: `SGD`, `Adagrad`, `RMSprop`, `Adam`, `AdamW`, gradient clipping, and schedules.

The updates, the names and the defaults are PyTorch's; a test compares them.

>>> from microgrid import Value
>>> p = Value(3.0)
>>> optimizer = SGD([p], lr=0.1)
>>> (p * p).backward()
>>> optimizer.step()
>>> p.data
2.4
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar

from microgrid.engine import Value, data_of, descend, give_data, give_grads, grads_of
from microgrid.nn.module import as_number
from microgrid.schedules import Schedule, cosine, exponential_decay, rate_at, step_decay, warm_up

__all__ = [
    "OPTIMIZERS",
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "Optimizer",
    "RMSprop",
    "clip_grad_norm",
    "clip_grad_value",
    "cosine",
    "exponential_decay",
    "step_decay",
    "warm_up",
]


def clip_grad_value(parameters: Iterable[Value], limit: float) -> None:
    """Clip each gradient to between -limit and limit. Raises ValueError when the limit is not positive.

    >>> p = Value(3.0)
    >>> (p * p).backward()
    >>> clip_grad_value([p], 1.0)
    >>> p.grad
    1.0
    """
    _positive(limit=limit)
    for p in parameters:
        p.grad = min(max(p.grad, -limit), limit)


def clip_grad_norm(parameters: Iterable[Value], limit: float) -> float:
    """Scale the gradient to the norm `limit` where it is longer; return the norm that it had.

    As in PyTorch, the factor is limit / (length + 1e-6), so that the new length is a little less than the limit. A
    parameter counts once, however often it is listed. Raises ValueError when the limit is not positive.

    >>> p, q = Value(3.0), Value(4.0)
    >>> ((p * p + q * q) / 2.0).backward()
    >>> clip_grad_norm([p, q], 1.0), round(p.grad, 4), round(q.grad, 4)
    (5.0, 0.6, 0.8)
    """
    _positive(limit=limit)
    parameters = _each_once(parameters)
    length = math.hypot(*[p.grad for p in parameters])
    factor = limit / (length + 1e-6)
    if factor < 1.0:
        for p in parameters:
            p.grad *= factor
    return length


Rule = Callable[..., tuple[Any, ...]]
"""A function (x, g, *state) -> (x, *state) of numbers or arrays."""


MANY = 64
"""Number of parameters from which a step is made on arrays, with the same bits, where NumPy is loaded."""


class Optimizer:
    """Update parameters by their gradients, one `step()` at a time. A subclass defines `rule` or `update`, and `slots`.

    `lr` is the learning rate, a number or a schedule: a function from the number of steps made to the rate.
    `weight_decay` adds this multiple of the parameter to its gradient; before that, `clip_value` and `clip_norm` clip
    the gradients. A parameter that is listed twice, since two networks share it, is one parameter.

    Raises ValueError for a rate, a decay or a limit that is negative or nan, where there is nothing to train, and for a
    value that was computed: a step would change it and not what it was computed from.

    >>> class SignDescent(Optimizer):
    ...     def update(self, data, gradients, rate):
    ...         return [x - math.copysign(rate, g) for x, g in zip(data, gradients)]
    >>> p = Value(3.0)
    >>> (p * p).backward()
    >>> SignDescent([p], lr=0.5).step()
    >>> p.data
    2.5
    """

    slots: ClassVar[tuple[str, ...]] = ()
    """Names of the state kept between steps: a number for each parameter, initially 0."""

    def __init__(
        self,
        parameters: Iterable[Value],
        lr: float | Schedule,
        *,
        weight_decay: float = 0.0,
        clip_value: float | None = None,
        clip_norm: float | None = None,
    ) -> None:
        parameters = list(parameters)
        if not parameters:
            raise ValueError("there is nothing to train: pass the parameters as a list, model.parameters()")
        for i, p in enumerate(parameters):
            _trainable(i, p)
        self.parameters = _each_once(parameters)
        for name, number in (("lr", 0.0 if callable(lr) else lr), ("weight_decay", weight_decay)):
            if isinstance(number, str) or not number >= 0.0:
                raise ValueError(f"{name} must be a number from 0 on, got {number!r}")
        _positive(clip_value=clip_value, clip_norm=clip_norm)
        self.lr = lr
        self.weight_decay = weight_decay
        self.clip_value = clip_value
        self.clip_norm = clip_norm
        self.steps = 0
        self.memory: dict[str, Any] = {slot: [0.0] * len(self.parameters) for slot in self.slots}

    @property
    def rate(self) -> float:
        """Return the learning rate of the next step."""
        return rate_at(self.lr, self.steps)

    def step(self) -> None:
        """Change the parameters by their gradients."""
        if self.clip_value is not None:
            clip_grad_value(self.parameters, self.clip_value)
        if self.clip_norm is not None:
            clip_grad_norm(self.parameters, self.clip_norm)
        rate = self.rate
        self.steps += 1
        self._move(rate)

    def _move(self, rate: float) -> None:
        data = data_of(self.parameters)
        give_data(self.parameters, self.update(data, self._gradients(data), rate))

    def _gradients(self, data: Sequence[float]) -> list[float]:
        if not self.weight_decay:
            return grads_of(self.parameters)
        return [self.decayed(p.grad, x) for p, x in zip(self.parameters, data, strict=True)]

    def decayed(self, g: Any, x: Any) -> Any:
        """Return a gradient, or an array of them, with the weight decay of the parameters x."""
        return g + self.weight_decay * x if self.weight_decay else g

    def update(self, data: list[float], gradients: list[float], rate: float) -> list[float]:
        """Return the parameters after step number `self.steps`, the first being 1; the state is in `self.memory`."""
        numpy = sys.modules.get("numpy") if len(data) >= MANY else None
        if numpy is not None:
            moved: list[float] = self._moved(numpy.array(data), numpy.array(gradients), rate, numpy).tolist()
            return moved
        columns = [self.memory[slot] for slot in self.slots]
        rule = self.rule(rate, math.sqrt)
        after, *state = map(
            list, zip(*[rule(*row) for row in zip(data, gradients, *columns, strict=True)], strict=True)
        )
        self.memory = dict(zip(self.slots, state, strict=True))
        return after

    def _moved(self, x: Any, g: Any, rate: float, numpy: Any) -> Any:
        state = [numpy.asarray(self.memory[slot], dtype=float) for slot in self.slots]
        with numpy.errstate(all="ignore"):
            after, *state = self.rule(rate, numpy.sqrt)(x, g, *state)
        self.memory = dict(zip(self.slots, state, strict=True))
        return after

    def rule(self, rate: float, sqrt: Callable[[Any], Any]) -> Rule:
        """Return the function of a parameter, its gradient and its state that gives all but the gradient after a step.

        It is written in arithmetic and `sqrt`, so that it works on arrays, too.
        """
        raise NotImplementedError(f"{type(self).__name__} defines no update, and no rule for it")

    @property
    def takes_arrays(self) -> bool:
        """True if `step_of` makes the very steps of `step`."""
        own = type(self)
        return own.update is Optimizer.update and own.step is Optimizer.step and own._gradients is Optimizer._gradients

    def step_of(self, x: Any, g: Any) -> tuple[Any, Any]:
        """Return arrays of parameters after a step, to the bits of `step`, and of the gradients, clipped if asked."""
        import numpy as np

        if self.clip_value is not None:
            g = np.minimum(np.maximum(g, -self.clip_value), self.clip_value)
        if self.clip_norm is not None:
            factor = self.clip_norm / (math.hypot(*g.tolist()) + 1e-6)
            g = g * factor if factor < 1.0 else g
        rate = self.rate
        self.steps += 1
        with np.errstate(all="ignore"):
            decayed = self.decayed(g, x)
        return self._moved(x, decayed, rate, np), g

    def zero_grad(self) -> None:
        """Set the grad of every parameter to 0."""
        give_grads(self.parameters, [0.0] * len(self.parameters))

    def state_dict(self) -> dict[str, Any]:
        """Return the number of steps made and the state."""
        memory = {slot: x.tolist() if hasattr(x, "tolist") else list(x) for slot, x in self.memory.items()}
        return {"kind": type(self).__name__, "steps": self.steps, "memory": memory}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up a state. Raises ValueError, and changes nothing, when it is no state, or another optimiser's."""
        if not isinstance(state, Mapping):
            raise ValueError(f"the state of an optimizer has kind, steps and memory, got {state!r:.80}")
        if state.get("kind") != type(self).__name__:
            raise ValueError(f"this is the state of {state.get('kind')}, not of {type(self).__name__}")
        steps, told = state.get("steps"), state.get("memory")
        if type(steps) is not int or not 0 <= steps < 2**53:
            raise ValueError(f"steps must be a whole number from 0 on, got {steps!r:.80}")
        if not isinstance(told, Mapping) or told.keys() != set(self.slots):
            raise ValueError(f"memory must have {', '.join(self.slots) or 'nothing'} in it, got {told!r:.80}")
        memory: dict[str, list[float]] = {}
        for slot, numbers in told.items():
            if not isinstance(numbers, Sequence) or isinstance(numbers, str):
                raise ValueError(f"{slot} must be a list of numbers, got {numbers!r:.80}")
            if len(numbers) != len(self.parameters):
                raise ValueError(f"{slot}: {len(numbers)} number(s) for {len(self.parameters)} parameter(s)")
            memory[slot] = [as_number(slot, x) for x in numbers]
            if slot == "squares" and any(x < 0.0 for x in memory[slot]):
                raise ValueError(f"squares: {min(memory[slot])} is no sum of squares")
        self.memory = memory
        self.steps = steps

    def hyperparameters(self) -> dict[str, Any]:
        """Return the numbers and words among its attributes that it was made with, except the rate."""
        held = {name: x for name, x in vars(self).items() if name not in ("lr", "steps")}
        return {
            name: list(x) if isinstance(x, tuple) else x
            for name, x in held.items()
            if isinstance(x, (int, float, str, tuple, type(None)))
        }

    def rates(self) -> list[tuple[int, float]]:
        """Return some of the steps made, the last among them, with the learning rate of each; all if they are few."""
        made = sorted({*range(0, self.steps, 1 + self.steps // 256), self.steps - 1} - {-1})
        return [(step, rate_at(self.lr, step)) for step in made]

    def __repr__(self) -> str:
        lr = getattr(self.lr, "__qualname__", "schedule").split(".")[0] if callable(self.lr) else self.lr
        return f"{type(self).__name__}(lr={lr}, {len(self.parameters)} parameters, {self.steps} steps)"


class SGD(Optimizer):
    """Gradient descent: p - rate g; with momentum p - rate v, where v = momentum v + g, and v = g at first.

    `nesterov` looks ahead: p - rate (g + momentum v).

    >>> p = Value(3.0)
    >>> optimizer = SGD([p], lr=0.1, momentum=0.9)
    >>> (p * p).backward()
    >>> optimizer.step()
    >>> round(p.data, 4)
    2.4
    """

    slots = ("velocity",)

    def __init__(
        self,
        parameters: Iterable[Value],
        lr: float | Schedule = 1e-3,
        *,
        momentum: float = 0.0,
        nesterov: bool = False,
        **options: Any,
    ) -> None:
        if not momentum >= 0.0:
            raise ValueError(f"momentum must be a number from 0 on, got {momentum}")
        if nesterov and not momentum:
            raise ValueError("nesterov looks ahead along the momentum: give momentum, such as 0.9")
        super().__init__(parameters, lr, **options)
        self.momentum = momentum
        self.nesterov = nesterov

    def _move(self, rate: float) -> None:
        plain = not self.momentum and not self.weight_decay and type(rate) is float
        if plain and type(self).update is Optimizer.update and type(self).rule is SGD.rule:
            descend(self.parameters, rate)  # the same to the bit: compiled, 1 instead of 35 us for 325 parameters
        else:
            super()._move(rate)

    def rule(self, rate: float, sqrt: Callable[[Any], Any]) -> Rule:
        """Return the function that makes a step."""
        mu = self.momentum

        def moved(x: Any, g: Any, v: Any) -> tuple[Any, ...]:
            if not mu:
                return x - rate * g, v
            v = mu * v + g
            return x - rate * (g + mu * v if self.nesterov else v), v

        return moved


class Adagrad(Optimizer):
    """p - rate g / (sqrt(s) + eps), where s is the sum of the squares of g so far (Duchi et al. 2011).

    >>> p = Value(3.0)
    >>> optimizer = Adagrad([p], lr=0.1)
    >>> (p * p).backward()
    >>> optimizer.step()
    >>> round(p.data, 4)
    2.9
    """

    slots = ("squares",)

    def __init__(
        self, parameters: Iterable[Value], lr: float | Schedule = 1e-2, *, eps: float = 1e-10, **options: Any
    ) -> None:
        super().__init__(parameters, lr, **options)
        self.eps = _positive_eps(eps)

    def rule(self, rate: float, sqrt: Callable[[Any], Any]) -> Rule:
        """Return the function that makes a step."""

        def moved(x: Any, g: Any, s: Any) -> tuple[Any, ...]:
            s = s + g * g
            return x - rate * g / (sqrt(s) + self.eps), s

        return moved


class RMSprop(Optimizer):
    """p - rate g / (sqrt(s) + eps), where s = alpha s + (1 - alpha) g g (Tieleman and Hinton 2012).

    >>> p = Value(3.0)
    >>> optimizer = RMSprop([p], lr=0.1)
    >>> (p * p).backward()
    >>> optimizer.step()
    >>> round(p.data, 4)
    2.0
    """

    slots = ("squares",)

    def __init__(
        self,
        parameters: Iterable[Value],
        lr: float | Schedule = 1e-2,
        *,
        alpha: float = 0.99,
        eps: float = 1e-8,
        **options: Any,
    ) -> None:
        _below_one(alpha=alpha)
        super().__init__(parameters, lr, **options)
        self.alpha = alpha
        self.eps = _positive_eps(eps)

    def rule(self, rate: float, sqrt: Callable[[Any], Any]) -> Rule:
        """Return the function that makes a step."""
        alpha = self.alpha

        def moved(x: Any, g: Any, s: Any) -> tuple[Any, ...]:
            s = alpha * s + (1.0 - alpha) * g * g
            return x - rate * g / (sqrt(s) + self.eps), s

        return moved


class Adam(Optimizer):
    """p - rate m' / (sqrt(s') + eps), m' and s' the means of g and of g g over about 10 and 1,000 steps.

    m = b1 m + (1 - b1) g and s = b2 s + (1 - b2) g g start at 0; m' = m / (1 - b1^t) and s' = s / (1 - b2^t) make up
    for that (Kingma and Ba 2015, algorithm 1).

    >>> p = Value(3.0)
    >>> optimizer = Adam([p], lr=0.1)
    >>> (p * p).backward()
    >>> optimizer.step()
    >>> round(p.data, 4)
    2.9
    """

    slots = ("mean", "squares")

    def __init__(
        self,
        parameters: Iterable[Value],
        lr: float | Schedule = 1e-3,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        **options: Any,
    ) -> None:
        _below_one(beta1=betas[0], beta2=betas[1])
        super().__init__(parameters, lr, **options)
        self.betas = betas
        self.eps = _positive_eps(eps)

    def rule(self, rate: float, sqrt: Callable[[Any], Any]) -> Rule:
        """Return the function that makes a step."""
        b1, b2 = self.betas
        length = rate / (1.0 - b1**self.steps)
        root = math.sqrt(1.0 - b2**self.steps)

        def moved(x: Any, g: Any, m: Any, s: Any) -> tuple[Any, ...]:
            m = b1 * m + (1.0 - b1) * g
            s = b2 * s + (1.0 - b2) * g * g
            return x - length * m / (sqrt(s) / root + self.eps), m, s

        return moved


class AdamW(Adam):
    """Adam, whose weight decay shrinks p by rate times weight_decay, apart from g (Loshchilov and Hutter 2019).

    >>> p = Value(3.0)
    >>> optimizer = AdamW([p], lr=0.1)
    >>> (p * p).backward()
    >>> optimizer.step()
    >>> round(p.data, 4)
    2.897
    """

    def __init__(
        self, parameters: Iterable[Value], lr: float | Schedule = 1e-3, *, weight_decay: float = 1e-2, **options: Any
    ) -> None:
        super().__init__(parameters, lr, weight_decay=weight_decay, **options)

    def decayed(self, g: Any, x: Any) -> Any:
        """Return the gradients as they are: parameters decay by themselves."""
        return g

    def rule(self, rate: float, sqrt: Callable[[Any], Any]) -> Rule:
        """Return the function that makes a step."""
        moved, kept = super().rule(rate, sqrt), 1.0 - rate * self.weight_decay
        return lambda x, g, m, s: moved(x * kept, g, m, s)


OPTIMIZERS: dict[str, type[Any]] = {
    "sgd": SGD,
    "adagrad": Adagrad,
    "rmsprop": RMSprop,
    "adam": Adam,
    "adamw": AdamW,
}
"""Optimisers that `fit` takes by name."""


def _each_once(parameters: Iterable[Value]) -> list[Value]:
    return list({id(p): p for p in parameters}.values())


def _trainable(i: int, p: object) -> None:
    if not isinstance(p, Value):
        raise TypeError(f"parameter {i} is {p!r}, no Value: pass the parameters as a list, model.parameters()")
    if p.op is not None:
        raise ValueError(
            f"parameter {i}, {p!r}, is the result of {p.op.name}: a step would not move what it was computed from; "
            "pass that instead"
        )


def _positive(**limits: float | None) -> None:
    for name, limit in limits.items():
        if limit is not None and not limit > 0.0:
            raise ValueError(f"{name} must be positive, got {limit}")


def _below_one(**numbers: float) -> None:
    for name, number in numbers.items():
        if not 0.0 <= number < 1.0:
            raise ValueError(f"{name} must be from 0 to below 1, got {number}")


def _positive_eps(eps: float) -> float:
    if not eps > 0.0:
        raise ValueError(f"eps, which keeps 0 / 0 away, must be positive, got {eps}")
    return eps
