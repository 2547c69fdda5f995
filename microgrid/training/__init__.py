"""Training networks: `fit`, what it minimises, tells, and does after each epoch, and pictures of it."""

from microgrid.training.callbacks import Callback, Checkpoint, EarlyStopping, Run
from microgrid.training.fit import fit
from microgrid.training.history import History
from microgrid.training.loop import TrainingError
from microgrid.training.objective import Objective
from microgrid.training.plots import gradients_by_layer, plot_boundary, plot_curves, plot_gradients
from microgrid.training.spread import Spread

__all__ = [
    "Callback",
    "Checkpoint",
    "EarlyStopping",
    "History",
    "Objective",
    "Run",
    "Spread",
    "TrainingError",
    "fit",
    "gradients_by_layer",
    "plot_boundary",
    "plot_curves",
    "plot_gradients",
]
