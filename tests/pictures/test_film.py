"""The film: its frames are the run, and its page plays in a real Chromium."""

from __future__ import annotations

import base64
import itertools
import math
import re
import xml.etree.ElementTree as ET
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from microgrid import Film, Value, datasets, fit, nn
from microgrid.film import CELLS, SMALL
from microgrid.pictures.film_page import COLOURS, _scale, bars, svg
from microgrid.training import History

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")


def filmed(epochs: int = 20, frames: int = 60, kind: str = "moons") -> tuple[Film, History, nn.MLP]:
    pytest.importorskip("numpy")
    if kind == "moons":
        x, y = datasets.moons(40)
        model, loss = nn.MLP(2, [4, 1], activation="tanh", seed=0), "hinge"
    else:
        x, y = datasets.spirals(30)
        model, loss = nn.MLP(2, [4, 3], activation="tanh", seed=0), "cross_entropy"
    film = Film(x, y, frames=frames)
    history = fit(model, x, y, loss=loss, lr=0.1, epochs=epochs, callbacks=[film], progress=False)
    return film, history, model


@pytest.mark.parametrize(("epochs", "frames"), [(1, 2), (5, 60), (61, 60), (100, 7), (120, 60)])
def test_the_frames_are_spread_over_the_run_with_first_and_last(epochs: int, frames: int) -> None:
    film, history, _ = filmed(epochs, frames)
    shown = [frame.epoch for frame in film.frames]
    assert shown[0] == 1
    assert shown[-1] == epochs
    assert len(shown) <= frames + 1
    assert sorted(set(shown)) == shown
    assert [frame.loss for frame in film.frames] == [history.loss[epoch - 1] for epoch in shown]


@pytest.mark.parametrize("stopped", [1, 2, 13, 40])
def test_the_last_epoch_of_a_run_that_is_stopped_is_filmed(stopped: int) -> None:
    pytest.importorskip("numpy")
    x, y = datasets.xor()
    film = Film(x, y, frames=5)

    def stop(run: Any) -> None:
        if run.epoch == stopped:
            run.stop("enough")

    model = nn.MLP(2, [3, 1], seed=0)
    history = fit(model, x, y, loss="mse", epochs=100, callbacks=[film, stop], progress=False)
    assert film.frames[-1].epoch == stopped == len(history)
    assert list(film.frames[-1].weights) == [w.data for layer in model.layers for n in layer.neurons for w in n.w]


def test_a_second_run_is_a_second_film() -> None:
    x, y = datasets.xor()
    film = Film(x, y)
    for seed in (0, 1):
        model = nn.MLP(2, [3, 1], seed=seed)
        history = fit(model, x, y, loss="mse", epochs=3, callbacks=[film], progress=False)
        assert [frame.loss for frame in film.frames] == history.loss


@pytest.mark.parametrize("name", ["a\0", "\ud800", "A\\", "\uffff", "<b>", "a'b", "&lt;", "]]>", "\n"])
def test_a_layer_may_have_any_name(name: str, tmp_path: Path) -> None:
    class Holder(nn.Module):
        def __call__(self, x: Any) -> Any:
            return getattr(self, name)(x)

    model = Holder()
    setattr(model, name, nn.Layer(2, 1, seed=0))
    x, y = datasets.xor()
    film = Film(x, y, frames=2)
    fit(model, x, y, loss="mse", epochs=2, callbacks=[film], progress=False)
    film.save(tmp_path / "film.html")
    texts = [text.text for text in ET.fromstring(svg(film.contents())).iter("{http://www.w3.org/2000/svg}text")]
    assert re.sub("[\0\ud800\uffff]", "\N{REPLACEMENT CHARACTER}", name) in texts


@pytest.mark.parametrize("outputs", [1, 2, 3])
def test_the_picture_without_scripts_has_the_colours_of_the_regions(outputs: int) -> None:
    x, y = datasets.xor()
    film = Film(x, y)
    model = nn.MLP(2, [8, outputs], activation="tanh", seed=0)
    fit(model, x, y, loss="mse" if outputs == 1 else "cross_entropy", lr=0.1, epochs=60, callbacks=[film])
    (packed,) = re.findall(r"class='output'[^>]*href='data:image/png;base64,([^']*)'", svg(film.contents()))
    png = base64.b64decode(packed)
    start = png.index(b"IDAT") + 4
    pixels = zlib.decompressobj().decompress(png[start:])
    drawn = {pixels[row * (4 * CELLS + 1) + 4 * i + 1 :][:3].hex() for row in range(CELLS) for i in range(CELLS)}
    field = film.frames[-1].field
    kinds = set(field) if outputs > 1 else {int(byte > 128) for byte in field}
    assert len(kinds) > 1
    assert drawn == {COLOURS[kind][1:].lower() for kind in kinds}


@pytest.mark.parametrize(("layers", "told"), [(3, "layers[2]"), (10, "9")])
def test_the_names_of_many_layers_are_numbers_since_they_would_overlap(layers: int, told: str) -> None:
    x, y = datasets.xor()
    film = Film(x, y)
    fit(nn.MLP(2, [2] * (layers - 1) + [1], seed=0), x, y, loss="mse", epochs=1, callbacks=[film], progress=False)
    texts = re.findall(r"<text class='layer' x='(\d+)' y='\d+'>([^<]*)", svg(film.contents()))
    assert texts[-1][1] == told
    places = [int(x) for x, _ in texts]
    assert all(7 * len(told) <= b - a for a, b in itertools.pairwise(places))


@pytest.mark.parametrize("kind", ["moons", "spirals"])
def test_the_field_is_what_the_network_says(kind: str) -> None:
    film, _, model = filmed(kind=kind)
    field = film.frames[-1].field
    spans = []
    for axis in (0, 1):
        numbers = [point[axis] for point in film.points]
        margin = 0.15 * (max(numbers) - min(numbers))
        spans.append((min(numbers) - margin, max(numbers) + margin))
    for row, column in ((0, 0), (3, 17), (CELLS - 1, 5), (20, 20)):
        point = [low + (high - low) * k / (CELLS - 1) for (low, high), k in zip(spans, (column, row), strict=True)]
        answer = model(point)
        byte = field[row * CELLS + column]
        if kind == "moons":
            assert (byte > 128) == (answer.data > 0.0) or abs(answer.data) < 0.01
        else:
            values = [z.data for z in answer]
            assert byte == values.index(max(values))


def test_misuse_says_what_to_change() -> None:
    with pytest.raises(ValueError, match="3 coordinate"):
        Film([[1.0, 2.0, 3.0]], [1.0])
    with pytest.raises(ValueError, match="2 points and 1 labels"):
        Film([[1.0, 2.0], [3.0, 4.0]], [1.0])
    with pytest.raises(ValueError, match="at least 2 frames"):
        Film([[1.0, 2.0]], [1.0], frames=1)
    with pytest.raises(ValueError, match="nothing was filmed yet"):
        Film([[1.0, 2.0]], [1.0]).html()
    assert "without frames" in repr(Film([[1.0, 2.0]], [1.0]))


def test_the_page_plays_and_shows_the_run(opened: Callable[..., Any], tmp_path: Path) -> None:
    from axe_playwright_python.sync_playwright import Axe

    film, history, _ = filmed()
    film.save(tmp_path / "film.html")
    page = opened(tmp_path / "film.html", "film")
    for k in (1, 7, 20):
        page.get_by_label("Frame", exact=True).fill(str(k))
        assert page.locator(".mg-count").inner_text() == f"frame {k} of 20"
        assert page.locator("svg .now").text_content() == f"{history.loss[k - 1]:.4g}"
        assert f"Epoch {k}: loss {history.loss[k - 1]:.4g}" in page.locator(".mg-said").inner_text()
    results = Axe().run(page)
    assert results.violations_count == 0, results.generate_report()
    page.get_by_role("button", name="Previous").click()
    page.keyboard.press("ArrowLeft")
    assert page.locator(".mg-count").inner_text() == "frame 18 of 20"
    page.get_by_role("button", name="Play").click()
    page.get_by_text("frame 20 of 20").wait_for(timeout=5000)
    page.get_by_role("button", name="Play").wait_for(timeout=2000)  # it stops at the end
    page.get_by_role("button", name="Play").click()
    page.get_by_role("button", name="Pause").click()


def test_without_scripts_there_is_the_last_frame(browser: Any, tmp_path: Path) -> None:
    film, _, _ = filmed(5)
    film.save(tmp_path / "film.html")
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((tmp_path / "film.html").as_uri())
    assert page.locator("img").get_attribute("alt").startswith("After epoch 5")
    assert page.locator("img").bounding_box()["height"] > 100
    context.close()


@pytest.mark.parametrize("activation", ["tanh", "relu", "sigmoid"])
def test_each_neuron_has_the_map_of_its_own_output(activation: str) -> None:
    x, y = datasets.moons(40)
    model = nn.MLP(2, [4, 3, 1], activation=activation, seed=0)
    film = Film(x, y)
    fit(model, x, y, loss="hinge", lr=0.1, epochs=3, callbacks=[film], progress=False)
    frame = film.frames[-1]
    neurons = [neuron for layer in model.layers for neuron in layer.neurons]
    assert list(frame.weights) == [w.data for neuron in neurons for w in neuron.w]
    (left, right), (low, high) = film.spans()
    for row, column in ((0, 0), (3, 11), (SMALL - 1, 5), (7, SMALL - 1)):
        point = [left + (right - left) * column / (SMALL - 1), low + (high - low) * row / (SMALL - 1)]
        outputs: list[Value] = []
        for layer in model.layers:
            point = layer(point)
            outputs += [point] if isinstance(point, Value) else point
        assert [one[row * SMALL + column] for one in frame.neurons] == pytest.approx([z.data for z in outputs])
    scene = film.contents().scenes[-1]
    for one, numbers in zip(scene.maps[2:], frame.neurons, strict=True):
        assert all(
            (byte > 128) <= (z > 0.0) and (byte < 128) <= (z < 0.0) for byte, z in zip(one, numbers, strict=True)
        )


def test_an_activation_with_branches_is_filmed_point_by_point() -> None:
    x, y = datasets.xor()
    films = []
    for activation in ("relu", lambda z: z if z.data > 0.0 else z * 0.0):
        film = Film(x, y)
        model = nn.MLP(2, [3, 1], activation=activation, seed=0)
        fit(model, x, y, loss="mse", epochs=2, callbacks=[film], progress=False)
        films.append(film.frames[-1])
    assert films[0].field == films[1].field
    assert [list(one) for one in films[1].neurons] == [pytest.approx(list(one)) for one in films[0].neurons]


@pytest.mark.parametrize("kind", ["moons", "spirals"])
def test_a_film_is_the_same_without_numpy(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("numpy")
    with_it, _, _ = filmed(3, kind=kind)

    def missing(*_: str) -> Any:
        raise ImportError

    monkeypatch.setattr("microgrid.film.library", missing)
    without, _, _ = filmed(3, kind=kind)
    for a, b in zip(with_it.frames, without.frames, strict=True):
        assert max(abs(x - y) for x, y in zip(a.field, b.field, strict=True)) <= (1 if kind == "moons" else 0)
        assert [pytest.approx(list(one)) for one in a.neurons] == [list(one) for one in b.neurons]


@pytest.mark.parametrize("sizes", [[25, 1], [2] * 7 + [1]])
def test_a_large_network_is_filmed_without_its_neurons(sizes: list[int]) -> None:
    x, y = datasets.xor()
    film = Film(x, y)
    fit(nn.MLP(2, sizes, seed=0), x, y, loss="mse", epochs=2, callbacks=[film], progress=False)
    assert film.contents().diagram is None
    assert "neurons" not in svg(film.contents())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["run.gif", "run.mp4"])
@pytest.mark.parametrize("kind", ["moons", "spirals"])
def test_an_animation_has_all_frames_and_they_differ(name: str, kind: str, tmp_path: Path) -> None:
    np = pytest.importorskip("numpy")
    pytest.importorskip("matplotlib")
    film, _, _ = filmed(4, kind=kind)
    if name.endswith(".gif"):
        film.save(tmp_path / name, fps=4.0)
        image = pytest.importorskip("PIL.Image")
        with image.open(tmp_path / name) as animation:
            assert animation.n_frames == 4
            assert animation.info["duration"] == 250
            pictures = [np.array(animation.convert("RGB")) for k in range(4) if animation.seek(k) is None]
    else:
        ffmpeg = pytest.importorskip("imageio_ffmpeg")
        film.save(tmp_path / name, fps=4.0)
        reader = ffmpeg.read_frames(str(tmp_path / name))
        width, height = next(reader)["size"]
        pictures = [np.frombuffer(data, np.uint8).reshape(height, width, 3) for data in reader]
        assert len(pictures) == 4
    assert all((a != b).any() for a, b in itertools.pairwise(pictures))


def test_what_an_animation_lacks_is_named(tmp_path: Path) -> None:
    film, _, _ = filmed(2)
    with pytest.raises(ValueError, match="fps=0"):
        film.save(tmp_path / "run.gif", fps=0.0)
    with pytest.raises(ValueError, match=r"\.html or \.htm or \.svg or \.gif or \.mp4"):
        film.save(tmp_path / "run.png")


@pytest.mark.parametrize("epochs", [1, 2, 30])
def test_an_animated_picture_shows_one_scene_at_a_time_and_rests_at_the_last(
    epochs: int, tmp_path: Path, browser: Any
) -> None:
    film, _, _ = filmed(epochs)
    film.save(tmp_path / "film.svg")
    picture = (tmp_path / "film.svg").read_text(encoding="utf-8")
    page = browser.new_page()
    page.set_content(picture)
    seen = """moment => {
        for (const a of document.getAnimations()) { a.pause(); a.currentTime = 6000 * moment; }
        const all = [...document.querySelectorAll("image.output")];
        return all.map((e, k) => [k, getComputedStyle(e.closest(".s") || e).opacity])
            .filter(([, o]) => o === "1").map(([k]) => k);
    }"""
    count = min(epochs, 12)
    shown = [page.evaluate(seen, (k + 0.5) / (count + 4)) for k in range(count + 4)]
    assert shown == [[min(k, count - 1)] for k in range(count + 4)]
    chosen = [round(k * (epochs - 1) / max(1, count - 1)) for k in range(count)]
    assert re.findall(r">epoch (\d+)<", picture) == [str(film.frames[i].epoch) for i in chosen]
    assert re.findall(r"class='end now'[^>]*>([^<]*)<", picture) == [f"{film.frames[i].loss:.4g}" for i in chosen]
    heights = bars([frame.gradients for frame in film.frames])
    assert re.findall(r"class='bar'[^>]* height='(\d+)'", picture) == [str(x) for i in chosen for x in heights[i]]
    images = re.findall(r"class='output'[^>]*href='([^']*)'", picture)
    assert images[-1] in svg(film.contents())
    page.emulate_media(reduced_motion="reduce")
    assert page.evaluate(seen, 0.0) == [count - 1]
    page.close()


@given(
    st.lists(
        st.floats(1e-300, 1e300) | st.floats(-1e6, 1e6, allow_subnormal=False) | st.just(math.inf),
        min_size=1,
        max_size=5,
    )
)
@example([5e-324])
@example([5e-324, 1.0])
def test_the_scale_of_the_loss_has_round_numbers_within_it(losses: list[float]) -> None:
    scale = _scale(losses)
    finite = [x for x in losses if math.isfinite(x)] or [0.0]
    ticks = scale.ticks()
    assert 1 <= len(ticks) <= 6
    assert ticks == sorted(set(ticks))
    room = 1e-9 * max(map(abs, finite))
    assert all(min(finite) - room <= tick <= max(finite) + room for tick in ticks)
    if len(ticks) > 1:
        assert all(
            float(f"{tick:.3g}") == pytest.approx(tick, rel=1e-3, abs=1e-9 * max(map(abs, finite))) for tick in ticks
        )


def test_a_click_on_a_neuron_shows_its_map_large(opened: Callable[..., Any], tmp_path: Path) -> None:
    film, _, _ = filmed()
    film.save(tmp_path / "film.html")
    page = opened(tmp_path / "film.html", "neurons")
    assert page.locator(".shown").text_content() == "output"
    pixels = page.locator(".output").get_attribute("href")
    neuron = page.get_by_role("button", name="layers[0].neurons[2]")
    neuron.click()
    assert page.locator(".shown").text_content() == "layers[0].neurons[2]"
    assert page.locator(".output").get_attribute("href") == neuron.locator("image").get_attribute("href") != pixels
    neuron.press("Enter")
    assert page.locator(".shown").text_content() == "output"
    assert page.locator(".output").get_attribute("href") == pixels
    page.get_by_label("Frame", exact=True).fill("20")
    weights = [float(w.get_attribute("stroke-width")) for w in page.locator(".weight").all()]
    largest = max(abs(w) for frame in film.frames for w in frame.weights)
    assert weights == pytest.approx([0.2 + 4.0 * abs(w) / largest for w in film.frames[-1].weights], abs=0.03)
    minus = ["minus" in (w.get_attribute("class") or "") for w in page.locator(".weight").all()]
    assert all(m == (w < 0.0) for m, w in zip(minus, film.frames[-1].weights, strict=True) if abs(w) > largest / 100)
