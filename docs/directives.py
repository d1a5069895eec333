"""What the reference takes from the code itself when the site is built.

``{api}`` describes the names in its lines by their docstrings; ``mermaid`` is drawn.

``{keys} flow FlowFile`` is a table of the keys of a definition in a JSON schema,
``{options} run`` one of a command's options, ``{requests}`` one of what the service may
be asked over HTTP, ``{answers}`` one of its codes, ``{latencies} polardb`` one of how
long the operations of a fake take.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from hashlib import blake2b
from importlib import import_module
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from docutils import nodes
from sphinx.util.docutils import SphinxDirective

import wfsim
from wfsim.cli.main import app as commands
from wfsim.errors import ANSWERS

if TYPE_CHECKING:
    from sphinx.application import Sphinx

LEAST_SCALE = 0.6
"""A drawing is not made smaller than that, so that its letters can be read."""

FLOWS = Path(__file__).parents[1] / "flows"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    cells = (
        [cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in lines
    )
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)


def code(text: object) -> str:
    """Return *text* as code in Markdown, nothing for nothing."""
    return f"`{text}`" if text not in (None, "", {}, []) else ""


def tabular(make: Callable[..., str]) -> type[SphinxDirective]:
    """Return a directive that stands for the table in Markdown that *make* returns."""

    class Table(SphinxDirective):
        optional_arguments = 2

        def run(self) -> list[nodes.Node]:
            """Return the table, parsed like the page that it stands in."""
            text = make(*self.arguments)
            return self.parse_text_to_nodes(text, allow_section_headings=False)

    return Table


class Api(SphinxDirective):
    """What stands behind the names in its lines, as their docstrings say it."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Return a table of first lines, then name by name."""
        names = [line.strip() for line in self.content if line.strip()]
        short = "".join(f"   ~wfsim.{name}\n" for name in names)
        text = f".. autosummary::\n   :nosignatures:\n\n{short}\n"
        text += "\n".join(map(described, names))
        return self.parse_text_to_nodes(f"```{{eval-rst}}\n{text}\n```")


def described(name: str) -> str:
    """Return the directive that shows the docstring of *name*, in reStructuredText."""
    value = attrgetter(name)(wfsim)
    if not inspect.isclass(value):
        return f".. autofunction:: wfsim.{name}\n"
    if issubclass(value, (BaseException, wfsim.types.Fault, Enum)):
        return f".. autoclass:: wfsim.{name}\n"
    within = [each for each, member in vars(value).items() if inspect.isclass(member)]
    left_out = ", ".join(
        [*within, *getattr(value, "_fields", ())]
    )  # the class tells of them
    members = "   :members:\n" + f"   :exclude-members: {left_out}\n" * bool(left_out)
    return f".. autoclass:: wfsim.{name}\n{members}"


class Mermaid(SphinxDirective):
    """A diagram in Mermaid, drawn when the site is built: no page needs a network."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Return the drawing, with names of its own for its styles."""
        from mermaidx import render

        source = "\n".join(self.content)
        name = f"mermaid-{blake2b(source.encode(), digest_size=4).hexdigest()}"
        svg = render(source).svg().replace("my-svg", name)
        width = float(re.search(r'viewBox="[\d.-]+ [\d.-]+ ([\d.]+)', svg)[1])  # type: ignore[index]
        style = f"--drawn: {width * LEAST_SCALE:.0f}px"
        html = f'<figure class="mermaid" style="{style}">{svg}</figure>'
        return [nodes.raw("", html, format="html")]


def keys(file: str, name: str) -> str:
    """Return a row for each key of a definition in a JSON schema of files."""
    document = json.loads((FLOWS / f"{file}.schema.json").read_text(encoding="utf-8"))
    definition = document if name == "root" else document["$defs"][name]
    return table(
        ("key", "type", "default", "meaning"),
        (
            (code(key), kind(of), code(default(of)), of.get("description", ""))
            for key, of in definition["properties"].items()
        ),
    )


def kind(of: dict[str, Any]) -> str:
    """Return what a value may be, as words."""
    if "$ref" in of:
        return str(of["$ref"]).rpartition("/")[2].removesuffix("Item")
    if "enum" in of:
        return ", ".join(map(code, of["enum"]))
    if "anyOf" in of:
        return " or ".join(dict.fromkeys(map(kind, of["anyOf"])))
    if "items" in of and "$ref" in of["items"]:
        return f"list of {kind(of['items'])}"
    names = of.get("type", "")
    return " or ".join(names) if isinstance(names, list) else names


def default(of: dict[str, Any]) -> Any:
    """Return the default of a value, nothing for one that is put together of others."""
    value = of.get("default")
    if isinstance(value, bool):
        return str(value).lower()
    return None if isinstance(value, dict) else value


def options(command: str) -> str:
    """Return a row for each argument and option, as ``--help`` has them."""
    item_of = typer.main.get_command(commands).commands
    rows = []
    for item in item_of[command].params:
        names = ", ".join(item.opts) if item.param_type_name == "option" else item.name
        shown = None if callable(item.default) else item.default
        rows.append((code(names), code(shown), getattr(item, "help", "") or ""))
    return table(("option", "default", "meaning"), rows)


def requests() -> str:
    """Return a row for each request that the service takes over HTTP."""
    from wfsim.http.app import BASE, router

    return table(
        ("request", "what it does"),
        (
            (code(f"{method} {BASE}{route.path}"), route.summary)
            for route in router.routes
            for method in route.methods
        ),
    )


def answers() -> str:
    """Return a row for each code that the service answers with."""
    return table(
        ("code", "name", "HTTP", "text"),
        (
            (code(number), of.name, str(of.http), of.text)
            for number, of in ANSWERS.items()
        ),
    )


def latencies(fake: str) -> str:
    """Return a row for each operation of a fake, with median and mean in seconds."""
    module = import_module(f"fake_resources.{fake}")
    durations = {
        name: wfsim.Duration.parse(given) for name, given in module.LATENCIES.items()
    }
    return table(
        ("operation", "takes", "median [s]", "mean [s]"),
        (
            (code(name), str(length), f"{length.draw(0.5):.1f}", f"{length.mean:.1f}")
            for name, length in durations.items()
        ),
    )


def setup(app: Sphinx) -> dict[str, bool]:
    """Tell Sphinx of the directives."""
    app.add_directive("api", Api)
    app.add_directive("mermaid", Mermaid)
    for make in (keys, options, requests, answers, latencies):
        app.add_directive(make.__name__, tabular(make))
    return {"parallel_read_safe": True}
