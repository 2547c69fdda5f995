"""Training networks: `fit`, what it minimises, tells, and does after each epoch, and pictures of it."""

from typing import TYPE_CHECKING, Any

from microgrid.training.callbacks import Callback, Checkpoint, EarlyStopping, Run
from microgrid.training.fit import fit
from microgrid.training.history import History
from microgrid.training.loop import TrainingError
from microgrid.training.objective import Objective
from microgrid.training.plots import gradients_by_layer, plot_boundary, plot_curves, plot_gradients
from microgrid.training.spread import Spread

if TYPE_CHECKING:
    from microgrid.training.scores import confusion_matrix

__all__ = [
    "Callback",
    "Checkpoint",
    "EarlyStopping",
    "History",
    "Objective",
    "Run",
    "Spread",
    "TrainingError",
    "confusion_matrix",
    "fit",
    "gradients_by_layer",
    "plot_boundary",
    "plot_curves",
    "plot_gradients",
]


def __getattr__(name: str) -> Any:
    if name != "confusion_matrix":  # few programs take it
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from microgrid.training.scores import confusion_matrix

    return confusion_matrix
