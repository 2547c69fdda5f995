"""XOR with 2 inputs, 4 and 1 sigmoid neurons, randn weights; binary cross-entropy, a cost line every 10 epochs.

Run it: `python tests/systems/xor.py`.
"""

from __future__ import annotations

from microgrid import datasets, fit, nn
from microgrid.training import History, Run

X, Y = datasets.xor()


def network(*, seed: int = 0) -> nn.MLP:
    """The network."""
    return nn.MLP(2, [4, 1], activation="sigmoid", output="sigmoid", init="normal", seed=seed)


def tell(run: Run) -> None:
    """Print a line every 10 epochs."""
    if run.epoch % 10 == 0:
        print(f"Epoch {run.epoch}/{run.epochs} Cost: {run.loss:.6f}")


def stop_when_right(run: Run) -> None:
    """End the run when all four answers are right."""
    if run.history["accuracy"][-1] == 1.0:
        run.stop("all four answers are right")


def train(model: nn.MLP, *, epochs: int = 1000, lr: float = 0.1) -> History:
    """The history of the training, up to the point where all four answers are right."""
    callbacks = [tell, stop_when_right]
    return fit(
        model,
        X,
        Y,
        loss="binary_cross_entropy",
        optimizer="sgd",
        lr=lr,
        epochs=epochs,
        metrics=["accuracy"],
        callbacks=callbacks,
    )


if __name__ == "__main__":
    model = network()
    print(train(model, epochs=20_000))
    for corner, answer in zip(X, Y, strict=True):
        print(corner, round(model(corner).data, 3), answer)
