"""A person's forward and backward pass, as classes have them, are checked as they are."""

from __future__ import annotations

from typing import Any

import pytest

import microgrid as mg
from microgrid.testing import GradientError, assert_gradient, check_gradient

np = pytest.importorskip("numpy")


class Affine:
    """A layer that remembers what it needs."""

    factor = 1.0

    def forward(self, x: Any, W: Any, b: Any) -> Any:
        self.cache = x, W
        return x @ W + b

    def backward(self, dout: Any) -> Any:
        x, W = self.cache
        return dout @ W.T, self.factor * x.T @ dout, dout.sum(axis=0)


class WrongAffine(Affine):
    factor = 2.0


class Tanh:
    """A class in PyTorch's style."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        y = np.tanh(x)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, grad_output: Any) -> Any:
        (y,) = ctx.saved_tensors
        return grad_output * (1 - y**2)


class WrongTanh(Tanh):
    @staticmethod
    def backward(ctx: Any, grad_output: Any) -> Any:
        (y,) = ctx.saved_tensors
        return grad_output * (1 - y)


class CustomVjp:
    """An object like JAX's custom_vjp."""

    def __init__(self, bwd: Any) -> None:
        self.bwd = bwd

    def fwd(self, x: Any, y: Any) -> Any:
        return mg.sin(x) * y, (x, y)

    def __call__(self, x: Any, y: Any) -> Any:
        return self.fwd(x, y)[0]


class WithCache:
    """Passes that hand the cache on, as in a well-known course."""

    @staticmethod
    def forward(x: Any, w: Any) -> Any:
        return (x * w).sum(), (x, w)

    @staticmethod
    def backward(dout: Any, cache: Any) -> Any:
        x, w = cache
        return dout * w, dout * x


X, W, B = np.array([[0.3, -0.2], [0.5, 1.1], [0.9, 0.1]]), np.array([[0.7, -1.1], [0.2, 0.4]]), np.array([0.1, -0.3])


def test_a_layer_with_memory_is_checked_by_all_its_arguments() -> None:
    for layer in (Affine, Affine()):
        report = check_gradient(layer, X, W, B)
        assert report.verdict == "PASS"
        assert len(report.checks) == 6 * 12
    report = check_gradient(WrongAffine, X, W, B)
    assert report.verdict == "FAIL"
    wrong = {check.name.split(" by ")[1] for check in report.checks if check.verdict == "FAIL"}
    assert wrong == {name for name in wrong if name.startswith("W")}
    assert report.cause == "W: counted twice" or "counted twice" in report.cause
    with pytest.raises(GradientError, match="Jacobian of WrongAffine"):
        assert_gradient(WrongAffine, X, W, B)


def test_a_class_in_the_style_of_pytorch_is_checked_with_a_context() -> None:
    assert check_gradient(Tanh, X).verdict == "PASS"
    assert check_gradient(Tanh, 0.3).verdict == "PASS"
    assert check_gradient(WrongTanh, X).verdict == "FAIL"


def test_a_function_with_fwd_and_bwd_is_checked() -> None:
    right = CustomVjp(lambda res, g: (g * mg.cos(res[0]) * res[1], g * mg.sin(res[0])))
    assert check_gradient(right, 0.3, 2.0).verdict == "PASS"
    wrong = CustomVjp(lambda res, g: (g * mg.cos(res[0]), g * mg.sin(res[0])))
    assert check_gradient(wrong, 0.3, 2.0).verdict == "FAIL"


def test_passes_that_hand_a_cache_on_are_checked() -> None:
    assert check_gradient(WithCache, B, B + 1.0).verdict == "PASS"


def test_the_backward_pass_sees_each_cotangent_alone() -> None:
    """It is right for a cotangent of ones only: the sum of the rows hides the mistake, the rows do not."""

    class Mixed(Tanh):
        @staticmethod
        def backward(ctx: Any, grad_output: Any) -> Any:
            (y,) = ctx.saved_tensors
            return grad_output.mean() * (1 - y**2)

    assert check_gradient(Mixed, X).verdict == "FAIL"


def test_gradients_that_do_not_fit_are_told() -> None:
    class Fewer(Affine):
        def backward(self, dout: Any) -> Any:
            return super().backward(dout)[:2]

    class Turned(Affine):
        def backward(self, dout: Any) -> Any:
            dx, dW, db = super().backward(dout)
            return dx.T, dW, db

    with pytest.raises(ValueError, match=r"Fewer\.backward gives 2 gradient\(s\) for 3 argument\(s\)"):
        check_gradient(Fewer, X, W, B)
    with pytest.raises(ValueError, match=r"Turned\.backward gives a gradient structured .* for its argument 0"):
        check_gradient(Turned, X, W, B)


def test_a_real_custom_vjp_or_autograd_function_has_the_names_that_are_looked_for() -> None:
    torch = pytest.importorskip("torch")

    class Cube(torch.autograd.Function):  # type: ignore[misc, name-defined]  # torch has no types here
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x * x * x

        @staticmethod
        def backward(ctx: Any, grad_output: Any) -> Any:
            (x,) = ctx.saved_tensors
            return 3.0 * x * x * grad_output

    assert check_gradient(Cube, 0.3).verdict == "PASS"
