"""Whether every link of the built site leads somewhere, and none of it needs a network.

``python docs/links.py out/docs`` prints what is wrong, and exits with 1 if anything is.
"""

from __future__ import annotations

import sys
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADED = {"img": "src", "script": "src", "link": "href", "iframe": "src", "source": "src"}
"""The attribute by which a browser loads something without being asked."""


class Page(HTMLParser):
    """The anchors and links of one page: *anchors*, *links*, and what it has *loaded*."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take note of what *tag* is called and of where it leads."""
        given = dict(attrs)
        self.anchors.update(filter(None, (given.get("id"), given.get("name"))))
        if tag == "a" and (target := given.get("href")):
            self.links.append(target)
        if target := given.get(LOADED.get(tag, "")):
            self.loaded.append(target)


@cache
def page(file: Path) -> Page:
    """Return the page in *file*, read once."""
    return Page(file)


def problems(root: Path, file: Path) -> list[str]:
    """Return what is wrong with the links of *file*, a page of the site under *root*."""
    wrong = [
        f"loads {target} from a network"
        for target in page(file).loaded
        if urlsplit(target).netloc
    ]
    for target in page(file).links + page(file).loaded:
        scheme, netloc, path, _, anchor = urlsplit(target)
        if scheme or netloc:
            continue
        there = (file.parent / unquote(path)).resolve() if path else file
        if not there.is_file() or not there.is_relative_to(root):
            wrong.append(f"leads to {target}, which is not there")
        elif (
            anchor
            and there.suffix == ".html"
            and unquote(anchor) not in page(there).anchors
        ):
            wrong.append(f"leads to {target}, where there is no such heading")
    return wrong


def main(folder: str) -> int:
    """Check the site in *folder*; return the exit status."""
    root = Path(folder).resolve()
    files = sorted(root.rglob("*.html"))
    wrong = [
        f"{file.relative_to(root)}: {each}"
        for file in files
        for each in dict.fromkeys(problems(root, file))
    ]
    sys.stdout.write("".join(f"{line}\n" for line in wrong))
    links = sum(len(page(file).links) for file in files)
    sys.stdout.write(f"{len(files)} pages, {links:,} links, {len(wrong)} wrong\n")
    return 1 if wrong or not files else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
