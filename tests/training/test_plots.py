"""Pictures of training: what they show, read back from the figure."""

from __future__ import annotations

import math
from typing import Any

import pytest

import microgrid as mg
from microgrid import nn
from microgrid.training import gradients_by_layer, plot_boundary, plot_curves, plot_gradients

pytest.importorskip("matplotlib")
POINTS, LABELS = mg.datasets.moons(30, seed=1)


def test_the_boundary_is_where_the_output_crosses_its_threshold() -> None:
    model = nn.Neuron(2, nonlin=False)
    for p, x in zip(model.parameters(), (1.0, 0.0, -0.3), strict=True):  # x - 0.3
        p.data = x
    axes = plot_boundary(model, POINTS, LABELS, title="a line").axes[0]
    (line,) = [path for lines in axes.collections[1:2] for path in lines.get_paths()]
    assert {round(float(x), 9) for x, _ in line.vertices} == {0.3}
    scatters = axes.collections[2:]
    assert sum(len(s.get_offsets()) for s in scatters) == 30
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["label -1", "label 1"]
    axes = plot_boundary(model, POINTS, LABELS, threshold=0.2).axes[0]
    assert {round(float(x), 9) for x, _ in axes.collections[1].get_paths()[0].vertices} == {0.5}


def test_a_boundary_between_classes_shows_a_region_for_each() -> None:
    points, labels = mg.datasets.blobs(30, centres=4)
    axes = plot_boundary(nn.MLP(2, [4], seed=0), points, labels).axes[0]
    assert len(axes.get_legend().get_texts()) == 4
    everywhere = plot_boundary(nn.Neuron(2, activation="sigmoid", seed=0), [[50.0, 50.0], [51.0, 50.0]], [0, 1])
    assert len(everywhere.axes[0].collections) == 3  # no line: the output crosses 1/2 nowhere near


def test_points_have_the_colour_of_their_class_though_others_are_missing() -> None:
    model = nn.Layer(2, 3, seed=0)
    points, labels = [[0.0, 0.0], [1.0, 1.0]], [1, 2]
    regions, first, second = plot_boundary(model, points, labels).axes[0].collections
    for label, scatter in zip(labels, (first, second), strict=True):
        assert tuple(scatter.get_facecolors()[0][:3]) == regions.cmap(label)[:3]


@pytest.mark.parametrize("points", [[1.0, 2.0], [[1.0, 2.0, 3.0]] * 2])
def test_points_outside_of_the_plane_are_an_error(points: Any) -> None:
    with pytest.raises(ValueError, match="drawn in the plane"):
        plot_boundary(nn.Neuron(2), points, [1, -1])


def test_gradients_are_grouped_by_layer_and_shown_on_a_logarithmic_scale() -> None:
    model = nn.MLP(2, [3, 3, 1], activation="sigmoid", seed=0)
    with pytest.raises(ValueError, match="all gradients are 0"):
        plot_gradients(model)
    model([0.5, 1.0]).backward()
    layers = gradients_by_layer(model)
    assert {name: len(numbers) for name, numbers in layers.items()} == {
        "layers[0]": 9,
        "layers[1]": 12,
        "layers[2]": 4,
    }
    assert [g for numbers in layers.values() for g in numbers] == [p.grad for p in model.parameters()]
    model.layers[1].neurons[0].w[0].grad = 0.0
    axes = plot_gradients(model, title="one step").axes[0]
    assert axes.get_yscale() == "log"
    labels = [text.get_text() for text in axes.get_xticklabels()]
    assert labels == ["layers[0]", "layers[1]\n1 of 12 are 0", "layers[2]"]
    medians = axes.lines[-1].get_ydata()
    assert medians[0] == sorted(abs(g) for g in layers["layers[0]"])[4]


def test_a_network_without_finite_outputs_has_no_boundary() -> None:
    neuron = nn.Neuron(2, nonlin=False)
    neuron.b.data = math.inf
    with pytest.raises(ValueError, match="from inf to inf: there is no height to draw"):
        plot_boundary(neuron, [[0.0, 0.0], [1.0, 1.0]], [0, 1])


def test_a_module_of_bare_parameters_is_a_layer_for_each() -> None:
    class Line(nn.Module):
        def __init__(self) -> None:
            self.a, self.b = mg.Value(1.0), mg.Value(2.0)

    assert list(gradients_by_layer(Line())) == ["a", "b"]


def test_curves_that_are_not_positive_get_a_plain_scale() -> None:
    axes = plot_curves([1.0, -1.0], {}).axes
    assert [axis.get_yscale() for axis in axes] == ["linear"]
    assert plot_curves([math.e], {}).axes[0].lines[0].get_marker() == "o"


def test_a_notebook_shows_a_figure_as_it_is() -> None:
    figure = plot_curves([2.0, 1.0], {})
    assert figure._repr_png_().startswith(b"\x89PNG")
