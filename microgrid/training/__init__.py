"""Networks and their training: `fit`, what it tells, what may be done after each epoch, and pictures of it."""

from microgrid.training.callbacks import Callback, EarlyStopping, Run
from microgrid.training.fit import fit
from microgrid.training.history import History
from microgrid.training.loop import TrainingError
from microgrid.training.plots import gradients_by_layer, plot_boundary, plot_curves, plot_gradients

__all__ = [
    "Callback",
    "EarlyStopping",
    "History",
    "Run",
    "TrainingError",
    "fit",
    "gradients_by_layer",
    "plot_boundary",
    "plot_curves",
    "plot_gradients",
]
