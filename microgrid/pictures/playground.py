"""The page of the playground, for a server on this machine or for a browser that runs Python itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import resources

PARTS = (
    ("program", "Program", "<pre id='program' tabindex='0'></pre>"),
    ("latex", "LaTeX", "<div id='latex'></div>"),
    ("hessian", "Second derivatives", "<div class='scroll' id='hessian' tabindex='0'></div>"),
    ("check", "Certified check", "<div class='scroll' id='check' tabindex='0'></div>"),
)
"""Parts of the answer that are computed when they are opened: name, title, content."""


def page(transport: str, examples: Mapping[str, str]) -> str:
    """Return the page.

    `transport` is JavaScript that defines `ask`, from a request to a promise of its answer, and `settings` of the page.
    """
    more = "".join(
        f"<details data-part='{name}'><summary>{title}</summary>{content}</details>" for name, title, content in PARTS
    )
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>microgrid playground</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<style>{_file("playground.css")}</style></head><body><main>
<header><h1>microgrid playground</h1><div role="tablist" aria-label="Playground">
<button role="tab" id="tab1" aria-selected="true" aria-controls="expression">Expression</button>
<button role="tab" id="tab2" aria-selected="false" aria-controls="network" tabindex="-1">Network</button>
<button role="tab" id="tab3" aria-selected="false" aria-controls="practice" tabindex="-1">Practice</button></div>
</header>
<section id="expression" role="tabpanel" aria-labelledby="tab1">
<div class="row"><label class="wide">Expression
<input id="text" spellcheck="false" autocomplete="off" autocapitalize="off" aria-describedby="message"></label>
<label>Examples <select id="examples"><option value="">choose …</option></select></label>
<button id="link" type="button">Copy link</button>
<button id="save" type="button">Save page</button></div>
<p class="message" id="message" role="status"></p>
<div class="board"><table><thead><tr><th scope="col">input</th><th scope="col">drag</th><th scope="col">value</th>
<th scope="col" class="number">gradient</th></tr></thead><tbody id="rows"></tbody></table>
<p>value <output class="value" id="value"></output></p></div>
<div id="steps"></div>{more}</section>
<section id="network" role="tabpanel" aria-labelledby="tab2" hidden>
<p>A network of scalars learns to tell two kinds of points apart.</p>
<div class="row"><label>Points <select id="data"><option value="moons">two moons</option>
<option value="circles">circles</option><option value="spirals">spirals</option><option value="xor">XOR</option>
<option value="points">my own</option></select></label>
<label>Hidden layers <input id="layers" value="8, 8" size="8"></label>
<label>Activation <select id="activation"><option>tanh</option><option>relu</option><option>sigmoid</option>
<option>silu</option></select></label>
<label>Epochs <input id="epochs" type="number" value="60" min="1" max="400"></label>
<label>Learning rate <input id="rate" type="number" value="0.1" step="0.01" min="0.001" max="10"></label>
<label>Seed <input id="seed" type="number" value="0" min="0" max="1000000"></label>
<button id="train" type="button">Train</button><button id="step" type="button">Step through one training step</button>
</div><div class="row" id="clicks" hidden><canvas id="points" width="240" height="240" role="img"
aria-label="The plane from −2 to 2: a click adds a point"></canvas>
<label>A click adds <select id="kind"><option value="-1">a red dot, −1</option><option value="1">a blue square, 1
</option></select></label><button id="clear" type="button">Clear</button></div>
<p class="message" id="training" role="status"></p><div id="film"></div><div id="trainsteps"></div></section>
<section id="practice" role="tabpanel" aria-labelledby="tab3" hidden>
<p>Small graphs to practise on. An exercise is the same for all who choose its difficulty and seed.</p>
<div class="row"><label>Difficulty <select id="difficulty"><option value="1">sums and products</option>
<option value="2">a value used twice</option><option value="3">with a function</option></select></label>
<label>Seed <input id="exercise" type="number" value="1" min="1" max="1000000"></label>
<button id="fresh" type="button">New exercise</button></div>
<p class="message" id="practising" role="status"></p><div id="drill"></div></section>
<noscript>The playground needs JavaScript.</noscript></main>
<script>{_file("copying.js")}{_file("playground.js")}
{transport}
playground(ask, {json.dumps(dict(examples))}, settings);</script></body></html>
"""


def _file(name: str) -> str:
    return resources.files("microgrid.pictures").joinpath(name).read_text(encoding="utf-8")
