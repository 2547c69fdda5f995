"""The playground: its answers are those of the library, its server answers nobody else, its page works in Chromium."""

from __future__ import annotations

import functools
import http.client
import http.server
import json
import math
import re
import shutil
import subprocess
import sys
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microgrid import Value, exercise, grad, hessian
from microgrid.commands.answers import EXAMPLES, MOST_OPERATIONS, answer
from microgrid.commands.cli import main
from microgrid.commands.given import CommandError
from microgrid.commands.play import LARGEST, serve
from microgrid.engine import CONSTANT
from microgrid.pictures.walk import folded
from microgrid.pictures.web import number as n
from microgrid.steps import steps
from microgrid.text.expression import Expression, variables


def ask(**request: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(answer(json.dumps(request)))
    return found


def opened_example(name: str) -> tuple[str, dict[str, float]]:
    text, _, values = EXAMPLES[name].partition("#")
    return text, {key: float(x) for key, x in urllib.parse.parse_qsl(values)}


# --- answers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_has_the_numbers_of_the_library(name: str) -> None:
    text, values = opened_example(name)
    found = ask(kind="expression", text=text, values=values, parts=["stepper", "program", "latex", "hessian", "check"])
    assert found["names"] == variables(text) == list(values)
    function, at = Expression(text, found["names"]), list(values.values())
    everything = tuple(range(len(at)))
    assert found["value"] == function(*at)
    assert found["gradient"] == list(grad(function, everything)(*at))
    assert found["hessian"] == [list(row) for row in hessian(function, everything)(*at)]
    assert found["check"]["verdict"] == "PASS"
    assert "<script>" in found["stepper"]
    assert found["program"].startswith("def f(")
    assert [title for title, _ in found["latex"]] == ["formula", "derivation"]
    assert found["latex"][1][1].startswith("\\begin{aligned}")


@given(st.floats(), st.floats())
def test_numbers_of_all_kinds_come_back(x: float, y: float) -> None:
    found = ask(kind="expression", text="x * y + exp(x)", values={"x": x, "y": str(y)})
    for given_, back in zip((x, y), found["values"], strict=True):
        assert float(back) == given_ or math.isnan(given_)
    assert len(found["gradient"]) == 2


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        ({"kind": "expression", "text": "x +* 2"}, "this cannot be read"),
        ({"kind": "expression", "text": ""}, "the expression is empty"),
        ({"kind": "expression", "text": "x; import os"}, "; has no meaning here"),
        ({"kind": "expression", "text": "__import__('os').system('x')"}, ""),
        ({"kind": "expression", "text": "lambda_ + lambda"}, "this cannot be read"),
        ({"kind": "expression", "text": "ln(x)"}, "there is no function ln: write log"),
        ({"kind": "expression", "text": "x" * 10_001}, "more than 10,000 characters"),
        ({"kind": "expression", "text": "+".join(["x"] * 5_100)}, "more than 10,000 characters|operations"),
        ({"kind": "expression", "text": "x", "values": {"x": "much"}}, "x = 'much' is no number"),
        ({"kind": "expression", "text": "x", "values": [1]}, "values are numbers by name"),
        ({"kind": "expression", "text": "x", "parts": ["soul"]}, "there is no part 'soul'"),
        ({"kind": "expression"}, "the request has no 'text'"),
        ({"kind": "expression", "text": 3}, "an expression is text"),
        ({"kind": "other"}, "a request has a kind"),
        ([], "a request has a kind"),
        ({"kind": "train", "layers": [100]}, "1 to 16 neurons"),
        ({"kind": "train", "layers": [2.5]}, "1 to 16 neurons"),
        ({"kind": "train", "epochs": 10**9}, "epochs is a whole number from 1 to 400"),
        ({"kind": "train", "rate": "fast"}, "the learning rate is a number"),
        ({"kind": "train", "activation": "exec"}, "the activation is tanh"),
        ({"kind": "train", "data": "points", "points": [[0, 0, 1]]}, "click from 2 to 300 points"),
        ({"kind": "train", "data": "points", "points": [[0, 0, 1], [1, 1, 1]]}, "points of both kinds"),
    ],
)
def test_what_has_no_answer_says_why(request_: Any, error: str) -> None:
    found = json.loads(answer(json.dumps(request_)))
    assert re.search(error, found["error"]), found
    assert set(found) <= {"error", "column"}


def test_any_text_ends_in_an_answer_or_an_error() -> None:
    for text in (
        "9**9**9**9",
        "(" * 300 + "x" + ")" * 300,
        "-" * 5000 + "x",
        "x\0",
        "\ud800",
        "x**x**x",
        "0/0",
        "1e999*x",
    ):
        assert set(ask(kind="expression", text=text)) & {"error", "value"}
    assert "error" in json.loads(answer("no json"))


def test_a_long_sum_within_the_limit_is_shown() -> None:
    found = ask(kind="expression", text="+".join(["x"] * (MOST_OPERATIONS // 2)), parts=["stepper"])
    assert found["gradient"] == [MOST_OPERATIONS // 2]


@pytest.mark.parametrize("data", ["moons", "circles", "spirals", "xor", "points"])
def test_a_network_is_trained_and_stepped_through(data: str) -> None:
    points = [[0.1 * k, 0.2, 1 if k > 4 else -1] for k in range(10)]
    settings = {"data": data, "points": points, "layers": [3], "epochs": 3, "seed": 1}
    found = ask(kind="train", **settings)
    assert found["parameters"] == 13
    assert 0.0 <= found["accuracy"] <= 1.0
    assert "<script>" in found["film"]
    assert found == found | ask(kind="train", **settings) | {"film": found["film"]}  # the same seed, the same numbers
    assert "<script>" in ask(kind="step", **settings)["stepper"]


@pytest.mark.parametrize(("difficulty", "seed"), [(0, 1), (4, 1), (1, 0), ("hard", 1), (1, 1.5)])
def test_an_exercise_that_there_is_not_is_refused(difficulty: Any, seed: Any) -> None:
    assert "is a whole number from 1" in ask(kind="exercise", difficulty=difficulty, seed=seed)["error"]


# --- the server ----------------------------------------------------------------------------------------------------


@pytest.fixture
def server() -> Iterator[Any]:
    with serve() as made:
        thread = threading.Thread(target=made.serve_forever, daemon=True)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def sent(server: Any, method: str, path: str, body: str = "", **headers: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
    connection.request(method, path, body or None, {name.replace("_", "-"): text for name, text in headers.items()})
    response = connection.getresponse()
    found = response.status, response.read().decode()
    connection.close()
    return found


def test_only_who_has_the_token_and_names_this_machine_is_answered(server: Any) -> None:
    request = json.dumps({"kind": "expression", "text": "x**2", "values": {"x": 3}})
    status, text = sent(server, "POST", "/answer", request, X_Token=server.token)
    assert (status, json.loads(text)["gradient"]) == (200, [6.0])
    assert sent(server, "GET", f"/?token={server.token}")[0] == 200
    assert sent(server, "GET", "/")[0] == sent(server, "GET", "/?token=guess")[0] == 403
    assert sent(server, "POST", "/answer", request)[0] == 403
    assert sent(server, "POST", "/answer", request, X_Token="wrong")[0] == 403
    # another site's page whose name was made to lead here
    assert sent(server, "POST", "/answer", request, X_Token=server.token, Host="evil.example")[0] == 403
    assert sent(server, "GET", f"/?token={server.token}", Host="evil.example:80")[0] == 403
    assert sent(server, "GET", "/etc/passwd")[0] == 404
    assert sent(server, "POST", "/other", request, X_Token=server.token)[0] == 404
    assert server.server_address[0] == "127.0.0.1"


def test_requests_that_are_too_large_or_no_text_are_refused(server: Any) -> None:
    assert sent(server, "POST", "/answer", "x" * (LARGEST + 1), X_Token=server.token)[0] == 413
    status, text = sent(server, "POST", "/answer", "{", X_Token=server.token)
    assert (status, "error" in text) == (200, True)
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
    connection.request("POST", "/answer", b"\xff\xfe", {"X-Token": server.token})
    with connection.getresponse() as response:
        assert response.status == 400
    connection.close()


def test_many_ask_at_once(server: Any) -> None:
    found: list[float] = []

    def one(k: int) -> None:
        request = json.dumps({"kind": "expression", "text": "x**2", "values": {"x": k}})
        found.append(json.loads(sent(server, "POST", "/answer", request, X_Token=server.token)[1])["gradient"][0])

    threads = [threading.Thread(target=one, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [2.0 * k for k in range(8)]


def test_the_command_prints_the_address_with_the_expression(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import webbrowser

    from microgrid.commands import play

    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opened.append)

    def interrupted(self: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(play._Server, "serve_forever", interrupted)
    assert main(["play", "w * x", "w=2", "x=pi"]) == 0
    (address,) = opened
    assert address in capsys.readouterr().out
    assert address.startswith("http://127.0.0.1:")
    assert dict(urllib.parse.parse_qsl(address.partition("#")[2])) == {"e": "w * x", "w": "2.0", "x": str(math.pi)}
    assert main(["play", "--no-browser"]) == 0
    assert len(opened) == 1


def test_a_port_that_is_taken_is_told(server: Any) -> None:
    with pytest.raises(CommandError, match=f"port {server.server_port} cannot be used: .*; leave --port out"):
        serve(server.server_port)


# --- the page ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The address that the command prints, in a process of its own as a person has it."""
    command = [sys.executable, "-m", "microgrid", "play", "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        yield line.removeprefix("playground: ").strip()
        process.terminate()


def with_expression(address: str, text: str, values: dict[str, float]) -> str:
    return f"{address}#{urllib.parse.urlencode({'e': text, **values})}"


def test_the_page_computes_drags_and_keeps_its_address(address: str, visited: Callable[..., Any]) -> None:
    from axe_playwright_python.sync_playwright import Axe
    from playwright.sync_api import expect

    page = visited(with_expression(address, "tanh(w*x + b)", {"w": 0.5, "x": 1.0, "b": 0.2}), "playground")
    function = Expression("tanh(w*x + b)", ["w", "x", "b"])

    def expected(*at: float) -> list[str]:
        return [f"{float(f'{g:.5g}')!r}".replace("-", "\u2212") for g in grad(function, (0, 1, 2))(*at)]

    expect(page.locator("#rows td.number")).to_have_text(expected(0.5, 1.0, 0.2))
    page.get_by_role("slider", name="w", exact=True).first.fill("-1.5")
    expect(page).to_have_url(re.compile("w=-1.5"))
    expect(page.locator("#rows td.number")).to_have_text(expected(-1.5, 1.0, 0.2))
    assert "\u22121.5" in (page.locator("#steps svg").first.text_content() or "")  # the stepper has followed
    for part in ("Program", "LaTeX", "Second derivatives", "Certified check"):
        page.get_by_text(part, exact=True).click()
    page.get_by_text("PASS: the gradient of tanh").wait_for()
    results = Axe().run(page)
    assert results.violations_count == 0, results.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    again = page.url
    page.goto("about:blank")
    page.goto(again)
    expect(page.locator("#rows td.number")).to_have_text(expected(-1.5, 1.0, 0.2))


@pytest.mark.parametrize(
    ("text", "names"),
    [("tanh(a*b) + a", "ab"), ("gamma(a) * tanh(b)", "ab"), ("+".join(f"a*b**{k}" for k in range(2, 45)), "ab")],
)
def test_the_stepper_follows_what_is_dragged(address: str, visited: Callable[..., Any], text: str, names: str) -> None:
    """In the page, or made anew where it cannot compute: by special functions, or in a local view."""
    from playwright.sync_api import expect

    page = visited(with_expression(address, text, {"a": 0.5, "b": 1.25}))
    page.locator("#steps .track input").fill("3")
    for name, x in (("a", 1.5), ("b", -0.75)):
        page.get_by_role("textbox", name=f"{name}, number").fill(str(x))
        page.get_by_role("textbox", name=f"{name}, number").press("Enter")
    found = steps(Expression(text, list(names))(Value(1.5, label="a"), Value(-0.75, label="b")))
    rows = page.locator("#steps .rows > div")
    expect(rows).to_have_count(1)
    expect(rows.first).to_contain_text(re.compile(rf"=\s*{re.escape(n(found[2].data))}$"))
    short = folded(found)
    count = len(found) // 2 if short is None else sum(bool(item.operands) for item in short.items)
    assert page.locator("#steps .mg-count").inner_text() == f"forward 3 of {count}"


@pytest.mark.slow
def test_latex_and_the_address_are_copied_also_in_a_frame(address: str, visited: Callable[..., Any]) -> None:
    page = visited(with_expression(address, "x * y", {"x": 3.0, "y": 2.0}))
    page.get_by_text("LaTeX", exact=True).click()
    for button, expected in (("Copy the derivation", r"\begin{aligned}"), ("Copy the formula", r"x \cdot y")):
        page.get_by_role("button", name=button).click()
        page.get_by_text("Copied").wait_for()
        page.locator("#text").fill("")
        page.locator("#text").press("Control+V")
        assert page.locator("#text").input_value().startswith(expected)
        page.get_by_text("Copied").wait_for(state="detached")


def test_the_stepper_is_saved_as_a_page(address: str, visited: Callable[..., Any], tmp_path: Path) -> None:
    page = visited(with_expression(address, "x * y", {"x": 3.0, "y": 2.0}))
    with page.expect_download() as download:
        page.get_by_role("button", name="Save page").click()
    download.value.save_as(tmp_path / "steps.html")
    assert download.value.suggested_filename == "steps.html"
    page.goto(f"{(tmp_path / 'steps.html').as_uri()}#step=99")
    page.get_by_text("the answer", exact=True).wait_for()
    assert page.locator("[data-n='0'] .grad").text_content() == "✓ gradient 2"


def test_an_exercise_of_a_difficulty_and_seed_is_that_of_python(address: str, visited: Callable[..., Any]) -> None:
    from playwright.sync_api import expect

    page = visited(address)
    page.get_by_role("tab", name="Practice").click()
    for difficulty, seed in ((1, 1), (3, 7), (3, 8)):
        page.locator("#difficulty").select_option(str(difficulty))
        if seed == 8:
            page.get_by_role("button", name="New exercise").click()
        else:
            page.locator("#exercise").fill(str(seed))
            page.locator("#exercise").press("Enter")
        found = steps(exercise(difficulty, seed=seed))
        values = [n(v.data) for v in found.values if v.op is not CONSTANT]
        expect(page.locator("#drill .mg-count")).to_have_text(f"backward 1 of {len(found) // 2}")
        expect(page.locator("#drill [data-n] > .value")).to_have_text(values)
    page.get_by_role("button", name="Hint").first.wait_for()


def test_an_error_stands_below_its_place_and_goes_with_it(address: str, visited: Callable[..., Any]) -> None:
    from playwright.sync_api import expect

    page = visited(with_expression(address, "x**2", {"x": 3.0}))
    text = page.get_by_role("textbox", name="Expression")
    text.fill("x ^ 2")
    page.get_by_text("write ** for it").wait_for()
    assert text.get_attribute("aria-invalid") == "true"
    text.fill("x ** 3")
    expect(page.locator("#value")).to_have_text("27")
    assert text.get_attribute("aria-invalid") == "false"
    page.get_by_label("Examples").select_option(label="a dead relu")
    expect(text).to_have_value("(relu(w*x + b) - y)**2")
    expect(page.locator("#rows tr")).to_have_count(4)


@pytest.mark.slow
def test_a_network_is_trained_on_points_that_are_clicked(address: str, visited: Callable[..., Any]) -> None:
    page = visited(address)
    page.get_by_role("tab", name="Network").click()
    page.locator("#data").select_option("points")
    for kind, corner in (("-1", 40), ("1", 200)):
        page.locator("#kind").select_option(kind)
        for k in range(4):
            page.locator("#points").click(position={"x": corner + 5 * k, "y": corner})
    page.locator("#layers").fill("3")
    page.locator("#epochs").fill("5")
    page.get_by_role("button", name="Train", exact=True).click()
    page.locator("#film svg.panel").first.wait_for()
    page.get_by_text("13 parameters; loss").wait_for()
    page.get_by_role("button", name="Step through one training step").click()
    page.locator("#trainsteps svg").first.wait_for()
    page.locator("#layers").fill("1000")
    page.get_by_role("button", name="Train", exact=True).click()
    page.get_by_text("1 to 16 neurons").wait_for()


@pytest.mark.slow
def test_the_static_copy_answers_in_a_browser_alone(
    tmp_path: Path, visited: Callable[..., Any], request: pytest.FixtureRequest
) -> None:
    """Pyodide from npm, and the pure wheel: no server but for the files."""
    from playwright.sync_api import expect

    npm = shutil.which("npm")
    if npm is None or subprocess.run([npm, "ping"], capture_output=True, check=False).returncode:
        pytest.skip("npm's registry cannot be reached")
    if "desktop, light" not in request.node.name:
        pytest.skip("looks are those of the page that is served")
    build = Path(__file__).parents[2] / ".github" / "playground" / "build.py"
    subprocess.run([sys.executable, str(build), str(tmp_path)], check=True)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as files:
        threading.Thread(target=files.serve_forever, daemon=True).start()
        page = visited(f"http://127.0.0.1:{files.server_port}/?#e=x*y&x=3&y=-2", patient=True)
        expect(page.locator("#rows td.number")).to_have_text(["\u22122", "3"], timeout=120_000)
        page.get_by_text("Certified check", exact=True).click()
        page.get_by_text("PASS: the gradient of x*y").wait_for(timeout=60_000)
        page.get_by_role("tab", name="Network").click()
        page.locator("#epochs").fill("2")
        page.locator("#layers").fill("2")
        page.get_by_role("button", name="Train", exact=True).click()
        page.locator("#film svg.panel").first.wait_for(timeout=60_000)
        files.shutdown()
