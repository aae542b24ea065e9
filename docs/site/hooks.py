"""What mkdocs cannot do by itself; docs/documentation.md says why each is there.

Links out of docs/ lead to the repository, the command line's reference is drawn from the commands, marks for tests are
left out, and what pages run in a browser comes with the site, from docs/site/node_modules. Where that is absent,
diagrams are shown as their source.
"""

import contextlib
import io
import logging
import os
import posixpath
import re
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[2]
BROWSER_FILES = {
    "assets/mermaid.min.js": "mermaid/dist/mermaid.min.js",
    "assets/iframe-worker.js": "iframe-worker/shim/index.js",
}
OWN_FILES = {"assets/site.css": "site.css"}

_LOG = logging.getLogger("mkdocs.hooks.site")
_LINK = re.compile(r"(!?\[(?:[^\[\]]|\[[^\]]*\])*\])\(([^)#\s:]+)(#[^)\s]*)?\)")
_FENCED = re.compile(r"^( *)(```+|~~~+).*?^\1\2 *$", re.MULTILINE | re.DOTALL)
_MARK = re.compile(r"^ *<!-- (?:not run|run by|run first|needs)\b.*?-->\n", re.MULTILINE | re.DOTALL)
_COMMANDS_HERE = "<!-- every command -->"


def on_config(config: Any) -> Any:
    """Name the repository, and bring what pages run in a browser along, rather than fetch it."""
    # The commands are read from here, whatever is installed; they need nothing that is not in the standard library.
    sys.path.insert(0, str(ROOT / "engine"))
    config.repo_url = _repository()
    if _browser_files():
        config.extra["polyfills"] = ["assets/iframe-worker.js"]
    else:
        # Without it only the search of pages that are read as files is missing; nothing is fetched in its place.
        config.plugins["offline"].config.enabled = False
        _LOG.info("docs/site/node_modules is not there: diagrams are shown as their source")
    return config


def on_files(files: Any, *, config: Any) -> Any:
    """Add what lies in docs/site to the files of the site."""
    own = {name: ROOT / "docs" / "site" / source for name, source in OWN_FILES.items()}
    for name, source in (own | _browser_files()).items():
        files.append(File.generated(config, name, abs_src_path=str(source)))
    return files


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Any) -> str:
    """Return a page as it is shown."""
    if _COMMANDS_HERE in markdown:
        markdown = markdown.replace(_COMMANDS_HERE, "\n".join(_sections()))
    markdown = _MARK.sub("", markdown)
    if not _browser_files():
        markdown = re.sub(r"^( *```)mermaid$", r"\1text", markdown, flags=re.MULTILINE)
    return "".join(_with_links(piece, page.file.src_uri) for piece in _pieces(markdown))


def on_page_content(html: str, *, page: Any, config: Any, files: Any) -> str:
    """Bring what draws diagrams along with the pages that have one."""
    if 'class="mermaid"' not in html or not _browser_files():
        return html
    up = "../" * page.file.dest_uri.count("/")
    return f'{html}\n<script src="{up}assets/mermaid.min.js"></script>\n'


@cache
def _browser_files() -> dict[str, Path]:
    found = {name: ROOT / "docs" / "site" / "node_modules" / source for name, source in BROWSER_FILES.items()}
    return found if all(path.is_file() for path in found.values()) else {}


@cache
def _repository() -> str:
    """Return the address that pyproject.toml has for the repository, or nothing."""
    urls = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"].get("urls", {})
    named = {name.lower(): url.rstrip("/") for name, url in urls.items()}
    return next((named[name] for name in ("repository", "source", "source code") if name in named), "")


def _pieces(markdown: str) -> Iterator[str]:
    """Give the text in pieces: those with an even number are prose, the others blocks of code."""
    end = 0
    for block in _FENCED.finditer(markdown):
        yield markdown[end : block.start()]
        yield block[0]
        end = block.end()
    yield markdown[end:]


def _with_links(piece: str, page: str) -> str:
    if _FENCED.match(piece):
        return piece

    def led(found: re.Match[str]) -> str:
        text, name, anchor = found[1], found[2], found[3] or ""
        target = posixpath.normpath(posixpath.join("docs", posixpath.dirname(page), name))
        if target.startswith("docs/") and not (ROOT / target).is_dir():
            return found[0]  # mkdocs itself looks at those
        if not (ROOT / target).exists():
            _LOG.warning("%s links to %s, which is not there", page, target)
        if not _repository():
            return f"{text[1:-1]} (`{target}`)" if text.strip("[]`") != target else f"`{target}`"
        kind = "tree" if (ROOT / target).is_dir() else "blob"
        return f"{text}({_repository()}/{kind}/main/{target}{anchor})"

    return _LINK.sub(led, piece)


def _sections() -> Iterator[str]:
    """Give the help of every command, as it is printed, under a heading."""
    from capseal.cli import _app as app
    from capseal.cli._examples import HEADINGS
    from capseal.cli.framework.arguments import Group

    def about(node: Any) -> str:
        return node.help if isinstance(node, Group) else (node.__doc__ or "").partition("\n\n")[0]

    def below(words: tuple[str, ...], node: Any) -> Iterator[str]:
        name = " ".join(("capseal", *words))
        yield f"{'#' * min(2 + len(words), 4)} {name} {{ #{name.replace(' ', '-')} }}\n"
        yield f"```text\n{_help(words)}\n```\n"
        if isinstance(node, Group):
            for inner_name, inner in node.commands.items():
                yield from below((*words, inner_name), inner)

    yield f"```text\n{_help(())}\n```\n"
    for heading, names in HEADINGS.items():
        yield f"## {heading[0].upper()}{heading[1:]}\n"
        listed = (f"[{name}](#capseal-{name}): {about(app.CAPSEAL.commands[name])}" for name in names)
        yield "\n".join(f"- {one}" for one in listed) + "\n"
        for name in names:
            yield from below((name,), app.CAPSEAL.commands[name])


def _help(words: tuple[str, ...]) -> str:
    from capseal.cli import _app as app
    from capseal.cli.framework import parsing

    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "92"  # whatever the terminal is in which the site is built
    try:
        with contextlib.redirect_stdout(io.StringIO()) as out:
            parsing.run("capseal", app.CAPSEAL, [*words, "--help"], guide=app._guide)
    finally:
        os.environ.pop("COLUMNS") if before is None else os.environ.update(COLUMNS=before)
    return out.getvalue().rstrip("\n")
