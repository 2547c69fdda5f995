"""PyTorch on the processor, in 64 bits: tensors where the work has arrays, tensors of one number where it has none."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from compare.data import (
    AT,
    DECAY,
    FACTOR,
    GENTLY,
    INPUTS,
    LABELS,
    LARGE,
    LINKS,
    LONG,
    MIDDLE,
    OPERATIONS,
    PACE,
    POINT,
    POINTS,
    RATE,
    START,
    STEPS,
    SUMMED,
    labelled,
    layers,
    samples_of,
    sequences,
    units,
)

HOW = {
    "pair_array": "tensors, eager",
    "long_array": "tensors, eager",
    "demo": "tensors, eager",
    "net64": "tensors, eager",
    "net784": "tensors, eager",
    "labels": "tensors, eager",
    "lstm16": "torch.nn.LSTM, eager",
    "lstm32": "torch.nn.LSTM, eager",
    "call": "tensors without axes",
    "chain": "scalar tensors, eager",
    "mixed": "scalar tensors, eager",
    "replay": "torch.compile",
    "hessian": "torch.func.hessian, eager",
}
CANNOT = {
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


def _network(sizes: Any) -> Callable[[], Any]:
    torch = _torch()
    x, y, arrays = samples_of(sizes)
    x, y = torch.tensor(x), torch.tensor(y)
    weights = _weights(torch, arrays)

    def step() -> Any:
        h = x
        for k, (w, b) in enumerate(weights):
            h = torch.addmm(b, h, w.T)
            if k < len(weights) - 1:
                h = h.relu()
        loss = ((h - y) ** 2).sum() / len(x)
        _descend(torch, loss, weights, GENTLY)
        return lambda: [loss.detach(), *_stacked(torch, weights)]

    return step


def _weights(torch: Any, arrays: Any) -> Any:
    return [[torch.tensor(part.copy(), requires_grad=True) for part in (m[:, :-1], m[:, -1])] for m in arrays]


def _stacked(torch: Any, weights: Any) -> Any:
    return [torch.column_stack([w, b]).detach() for w, b in weights]


def _descend(torch: Any, loss: Any, weights: Any, rate: float) -> None:
    parameters = [p for pair in weights for p in pair]
    for p in parameters:
        p.grad = None
    loss.backward()
    with torch.no_grad():
        for p in parameters:
            p.sub_(p.grad, alpha=rate)


def net64() -> Callable[[], Any]:
    return _network(MIDDLE)


def net784() -> Callable[[], Any]:
    return _network(LARGE)


def labels() -> Callable[[], Any]:
    torch = _torch()
    x, y, arrays = labelled()
    x, y = torch.tensor(x), torch.tensor(y)

    def run() -> Any:
        weights = _weights(torch, arrays)
        for _ in range(STEPS):
            h = x
            for w, b in weights:
                h = torch.addmm(b, h, w.T).sigmoid()
            _descend(torch, torch.nn.functional.binary_cross_entropy(h, y), weights, PACE)
        return lambda: _stacked(torch, weights)

    return run


def lstm16() -> Callable[[], Any]:
    return _lstms(16)


def lstm32() -> Callable[[], Any]:
    return _lstms(32)


def _lstms(cells: int) -> Callable[[], Any]:
    torch = _torch()
    x, y = map(torch.tensor, sequences())
    arrays, numbers = units(cells)
    model, out = torch.nn.LSTM(1, cells, batch_first=True), torch.tensor(numbers, requires_grad=True)
    parameters = list(model.parameters())
    with torch.no_grad():
        for p, array in zip(parameters, arrays, strict=True):
            p.copy_(torch.tensor(array))

    def run() -> Any:
        _, (h, _) = model(x[:, :, None])
        loss = ((h[0] @ out - y) ** 2).mean()
        for p in (*parameters, out):
            p.grad = None
        loss.backward()
        return [loss.detach(), *(p.grad for p in parameters), out.grad]

    return run


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
    torch.set_num_threads(1)
    return torch
