"""Settings of Sphinx for the pages; `build.py` gathers their sources and runs it."""

import re
from typing import Any

project = "microgrid"
copyright = "the microgrid developers, MIT licence"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx_copybutton"]
html_theme = "furo"
html_title = "microgrid"
html_static_path: list[str] = []
html_extra_path = ["static"]
html_theme_options = {"navigation_with_keys": False}  # arrow keys step through a backward pass
html_math_renderer = "mathml"
nb_execution_mode = "off"  # outputs are kept, and tests run the notebooks
nb_merge_streams = True
myst_enable_extensions = ["dollarmath", "linkify"]
myst_heading_anchors = 3
myst_update_mathjax = False
autosummary_generate = True
autodoc_typehints = "none"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "inherited-members": False}
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
nitpicky = False
suppress_warnings = ["mystnb.unknown_mime_type"]


def as_rst(text: str) -> str:
    """Return Markdown as reStructuredText: code in double backticks, apart from letters behind it; no other marks."""
    pieces = []
    for piece in re.split(r"(`[^`]+`)", text):
        if re.fullmatch(r"`[^`]+`", piece):
            pieces.append(f"`{' '.join(piece.split())}`\\ ")
        else:
            pieces.append(re.sub(r"([*|`_\\])", r"\\\1", piece))
    return "".join(pieces)


def docstring(app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Turn a docstring into reStructuredText, in place; a paragraph at a time, since code may go over a line's end."""
    if lines and lines[0].startswith("Alias for field number"):  # Python's words for a field that has none
        lines.clear()
    paragraphs = "\n".join(lines).split("\n\n")
    kept = [text if text.lstrip().startswith(">>>") else as_rst(text) for text in paragraphs]
    lines[:] = "\n\n".join(kept).split("\n")


def formula(page: Any, node: Any) -> None:
    """Write a formula as MathML, which browsers show without a script, and without a network."""
    from docutils import nodes
    from latex2mathml.converter import convert

    inline = isinstance(node, nodes.math)
    written = convert(node.astext(), display="inline" if inline else "block")
    written = re.sub(r"(<mi>[a-z]{2,}</mi>)(?=<m[insf])", r'\1<mspace width="0.17em"/>', written)  # sin x, not sinx
    page.body.append(
        written if inline else f'<div class="math" style="overflow-x: auto; padding: 0.4em 0">{written}</div>'
    )
    raise nodes.SkipNode


def setup(app: Any) -> None:
    """Have Sphinx call `docstring` and `formula`."""
    app.connect("autodoc-process-docstring", docstring)
    app.add_html_math_renderer("mathml", (formula, None), (formula, None))
