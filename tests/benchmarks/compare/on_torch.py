"""PyTorch on the processor, in 64 bits: tensors where the work has arrays, tensors of one number where it has none."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from compare.works import (
    AT,
    DECAY,
    FACTOR,
    INPUTS,
    LABELS,
    LARGE,
    LINKS,
    LONG,
    OPERATIONS,
    POINT,
    POINTS,
    RATE,
    START,
    SUMMED,
    layers,
)

HOW = {
    "pair_array": "tensors, eager",
    "long_array": "tensors, eager",
    "demo": "tensors, eager",
    "call": "tensors without axes",
    "chain": "scalar tensors, eager",
    "mixed": "scalar tensors, eager",
    "replay": "torch.compile",
    "hessian": "torch.func.hessian, eager",
}
CANNOT = {
    **dict.fromkeys(("lstm", "steps", "shift", "orders", "pendulum", *LARGE), "not written for it"),
    "pair_list": "its arguments are arrays",
    "pair_written": "backward makes arrays of its own",
    "long_list": "its arguments are arrays",
}


def demo() -> Callable[[], Any]:
    torch = _torch()
    x, y = torch.tensor(POINTS), torch.tensor(LABELS, dtype=torch.float64)
    matrices = [torch.tensor(matrix, requires_grad=True) for matrix in layers()]

    def step() -> Any:
        h = x
        for k, m in enumerate(matrices):
            h = h @ m[:, :-1].T + m[:, -1]
            if k < len(matrices) - 1:
                h = h.relu()
        loss = (1.0 - y * h[:, 0]).relu().mean() + DECAY * sum((m * m).sum() for m in matrices)
        for m in matrices:
            m.grad = None
        loss.backward()
        with torch.no_grad():
            for m in matrices:
                m -= RATE * m.grad
        return [loss.detach(), *(m.detach() for m in matrices)]

    return step


def call() -> Callable[[], Any]:
    torch = _torch()

    def both(a: float, b: float) -> list[Any]:
        x, y = (torch.tensor(number, dtype=torch.float64, requires_grad=True) for number in (a, b))
        z = x * y + x * x
        z.backward()
        return [z.detach(), x.grad, y.grad]

    return lambda: [both(x, y) for x, y in AT]


def _both(torch: Any, function: Callable[[Any], Any], numbers: Any) -> list[Any]:
    x = torch.from_numpy(numbers).requires_grad_()
    z = function(x)
    z.backward()
    return [z.detach(), x.grad]


def pair_array() -> Callable[[], Any]:
    torch = _torch()
    pairs = list(import_module("numpy").array(AT))
    return lambda: [_both(torch, lambda x: x[0] * x[1] + x[0] * x[0], pair) for pair in pairs]


def long_array() -> Callable[[], Any]:
    torch = _torch()
    numbers = import_module("numpy").array(LONG)
    return lambda: _both(torch, lambda x: (x[:-1] ** 2 * x[1:]).sum(), numbers)


def chain() -> Callable[[], Any]:
    torch = _torch()

    def run() -> Any:
        x = torch.tensor(START, requires_grad=True)
        y = x
        for _ in range(LINKS):
            y = FACTOR * y + x
        y.backward()
        return [y.detach(), x.grad]

    return run


def _graph(torch: Any, inputs: Any) -> Any:
    v = list(inputs)
    for k in range(OPERATIONS):
        kind = k % 4
        if kind == 0:
            v.append(torch.nn.functional.softplus(v[-10]))
        elif kind == 1:
            v.append(torch.stack([v[-i] for i in SUMMED]).sum())
        elif kind == 2:
            v.append(v[-20] * v[-10])
        else:
            v.extend(torch.stack(v[-4:]).softmax(0).unbind())
    return torch.stack(v).sum()


def mixed() -> Callable[[], Any]:
    torch = _torch()

    def run() -> Any:
        x = torch.tensor(INPUTS, requires_grad=True)
        result = _graph(torch, x.unbind())
        result.backward()
        return [result.detach(), x.grad]

    return run


def replay() -> Callable[[], Any]:
    torch = _torch()
    compiled = torch.compile(lambda x: _graph(torch, x.unbind()))

    def run() -> Any:
        x = torch.tensor(INPUTS, requires_grad=True)
        result = compiled(x)
        result.backward()
        return [result.detach(), x.grad]

    return run


def hessian() -> Callable[[], Any]:
    torch = _torch()
    second = torch.func.hessian(
        lambda x: (100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2).sum(),
    )
    x = torch.tensor(POINT)
    return lambda: second(x)


def _torch() -> Any:
    torch: Any = import_module("torch")
    torch.set_default_dtype(torch.float64)
    return torch
