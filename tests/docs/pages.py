"""What stands in the pages under docs/: their fenced blocks, run as a reader would.

A page is read from top to bottom in a folder of its own:

* ``yaml``, ``python`` or ``text`` that begins with ``# NAME.yaml``, ``.py``, ``.csv`` is
  that file;
* other ``python`` runs; as in a notebook the value of its last line is printed;
* ``console`` has commands after ``$ ``, each with what it prints;
* ``text`` is what the block before it prints;
* ``py`` is Python that needs a cluster or a browser: it is compiled;
* ``sh`` is for the reader alone: it needs a network, a cluster or another terminal.

A line ``...`` in what is printed stands for any lines.
"""

from __future__ import annotations

import ast
import contextlib
import doctest
import io
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from wfsim.cli import main as cli

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
FENCE = re.compile(
    r"^(?P<fence>`{3,}|:{3,})(?P<lang>[^\n]*)\n(?P<body>.*?)^(?P=fence)$", re.M | re.S
)
FILE = re.compile(r"# ([\w.-]+\.(?:yaml|py|csv))\n")
TABLE = re.compile(r"^\|[-|]+\|\n((?:\|.*\n)*)", re.M)


class Block(NamedTuple):
    """A fenced block of a page, and the number of its first line."""

    lang: str
    body: str
    line: int


class Printed(NamedTuple):
    """What a block, or a command of one, should print and does."""

    line: int
    wanted: str
    got: str

    @property
    def is_right(self) -> bool:
        """Whether the two agree, ``...`` standing for any lines."""
        wanted, got = map(_without_trailing_spaces, (self.wanted, self.got))
        return doctest.OutputChecker().check_output(wanted, got, doctest.ELLIPSIS)


def _without_trailing_spaces(text: str) -> str:
    return "".join(f"{line.rstrip()}\n" for line in text.strip("\n").split("\n"))


def name(page: Path) -> str:
    """What a page is called in the id of a test: its path under docs/."""
    return page.relative_to(DOCS).as_posix()


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of *page*, in order."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(
            fence["lang"].strip(), fence["body"], text.count("\n", 0, fence.start()) + 2
        )
        for fence in FENCE.finditer(text)
    ]


def run(page: Path) -> Iterator[Printed]:
    """Run *page* in the current folder; yield what its blocks print."""
    names: dict[str, Any] = {"__name__": page.stem}
    listed = blocks(page)
    for block, after in zip(listed, [*listed[1:], None], strict=True):
        match block.lang:
            case "yaml" | "python" | "text" if file := FILE.match(block.body):
                body = block.body if block.lang != "text" else block.body[file.end() :]
                Path(file[1]).write_text(body, encoding="utf-8")
            case "python":
                got = python(block, page, names)
                if after and after.lang == "text":
                    yield Printed(after.line, after.body, got)
            case "py":
                compile(block.body, str(page), "exec")
            case "console":
                yield from console(block)


def python(block: Block, page: Path, names: dict[str, Any]) -> str:
    """Run *block* with *names*; return what it prints, the value of its last line too."""
    tree = ast.parse("\n" * (block.line - 1) + block.body)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(compile(tree, str(page), "exec"), names)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), str(page), "eval"), names)
            if value is not None:
                print(repr(value))
    return out.getvalue()


def console(block: Block) -> Iterator[Printed]:
    """Run the commands of *block*, one after the other."""
    status = 0
    for said in re.split(r"^\$ ", block.body, flags=re.M)[1:]:
        command, _, wanted = said.partition("\n")
        words = shlex.split(command, comments=True)
        line = block.line + block.body[: block.body.index(said)].count("\n")
        if words[:2] == ["echo", "$?"]:
            yield Printed(line, wanted, f"{status}\n")
            continue
        if words[0] != "wfsim":
            raise ValueError(
                f"line {line}: {words[0]} is no command of ours; fence it as sh"
            )
        status, got = wfsim(words[1:])
        yield Printed(line, wanted, got)


def wfsim(words: list[str]) -> tuple[int, str]:
    """Run the command line with *words*; return its status and what it prints."""
    before, sys.argv = sys.argv, ["wfsim", *words]
    status = 0
    try:
        with (
            contextlib.redirect_stdout(io.StringIO()) as out,
            contextlib.redirect_stderr(out),
        ):
            cli.main()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(bool(end.code))
    finally:
        sys.argv = before
    return status, out.getvalue()


def tables(page: str) -> dict[str, list[list[str]]]:
    """The rows of the tables under each heading of a page of the reference, by cells."""
    text = (DOCS / "reference" / page).read_text(encoding="utf-8")
    sections = re.split(r"^#{1,3} (.+)$", text, flags=re.M)[1:]
    return {
        title: [
            [cell.strip().strip("`") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            for rows in TABLE.findall(body)
            for line in rows.splitlines()
        ]
        for title, body in zip(sections[::2], sections[1::2], strict=True)
    }


def dictionary() -> dict[str, list[list[str]]]:
    """The columns of each frame, as the data dictionary has them."""
    return {title: rows for title, rows in tables("tables.md").items() if rows}
