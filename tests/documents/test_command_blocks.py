"""Every block of commands or Python that a page shows is run, or the page says by which test it is, or why it is not.

What a page shows is run in its order, in one shell and one folder, which is empty at first. What follows a block as
`text` is what it prints, where … stands for anything. Comments in front of a block, which nobody sees, say the rest:

    <!-- not run: why -->                      the next block; with `not run below`, all to the next chapter
    <!-- run by: tests/…/test_….py -->         the same, for what another test runs; `run by below`
    <!-- run first: commands -->               what a reader has already, for the next block
    <!-- needs: openssl @capgo/cli -->         programs, or packages of npm, without which the page is left out
"""

import contextlib
import os
import random
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from support import capgo_tool
from support.command import CAPSEAL
from support.places import ROOT
from support.tools import require_tool

PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(path for path in (ROOT / "docs").rglob("*.md") if "node_modules" not in path.parts),
]
RUN = ("sh", "python", "bash", "console")
TOKEN = re.compile(
    r"^(?P<chapter>## [^\n]*)$"
    r"|^ *<!-- (?P<mark>not run below|run by below|not run|run by|run first|needs):(?P<said>.*?)-->$"
    r"|^(?P<indent> *)```(?P<language>\w*)[^\n]*\n(?P<code>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
PORTS = range(8417, 8421)  # which pages name; others that are free take their places


@dataclass(slots=True)
class Block:
    """line: where it begins; marks: what the comments in front of it say; prints: the lines that it should print."""

    page: str
    line: int
    language: str
    code: str
    marks: dict[str, str]
    prints: list[str]

    @property
    def is_run(self) -> bool:
        return not {"not run", "run by"} & set(self.marks)


def blocks_of(path: Path) -> list[Block]:
    found: list[Block] = []
    marks: dict[str, str] = {}
    of_the_chapter: dict[str, str] = {}
    text = path.read_text()
    for token in TOKEN.finditer(text):
        if token["chapter"]:
            of_the_chapter = {}
        elif token["mark"]:
            mark = token["mark"].removesuffix(" below")
            (of_the_chapter if mark != token["mark"] else marks)[mark] = token["said"].strip()
        elif token["language"] in RUN:
            line = text.count("\n", 0, token.start()) + 1
            code = re.sub(f"^{token['indent']}", "", token["code"], flags=re.MULTILINE)
            page = str(path.relative_to(ROOT))
            found.append(Block(page, line, token["language"], code, of_the_chapter | marks, []))
            marks = {}
        elif token["language"] == "text" and found and found[-1].is_run and not found[-1].prints:
            found[-1].prints = token["code"].splitlines()
    return found


BLOCKS = {str(path.relative_to(ROOT)): blocks_of(path) for path in PAGES}
SLOW = ("docs/capgo.md",)  # Capgo's own command line takes long to start; a script of tests/cli runs the same in short
RUN_HERE = [
    pytest.param(name, marks=[pytest.mark.soak] if name in SLOW else [])
    for name, blocks in BLOCKS.items()
    if any(block.is_run for block in blocks)
]


def free_ports() -> int:
    """Return the first of as many ports in a row that are free, of those that no client is given by chance."""
    while True:
        first = random.randrange(20_000, 30_000, len(PORTS))
        try:
            for port in range(first, first + len(PORTS)):
                socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return first


@dataclass(frozen=True)
class Desk:
    """Where a page is followed: an empty folder, and the programs that it takes for granted."""

    folder: Path
    programs: Path
    outputs: Path
    environment: dict[str, str]
    port: int

    def add_program(self, name: str, command: list[str]) -> None:
        """Make a command that stands for another; what it is given goes to that."""
        path = self.programs / name
        path.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
        path.chmod(0o755)

    def bring(self, needed: str) -> None:
        """See that a program is here. Skips the test where it is not; in CI that is a failure."""
        if needed == "@capgo/cli":
            self.add_program("npx", ["sh", "-c", f'shift; exec {shlex.join(capgo_tool.installed())} "$@"', "npx"])
        else:
            require_tool(needed)

    def told(self, text: str) -> str:
        """Return a page's text with the ports that are free here."""
        return re.sub("|".join(map(str, PORTS)), lambda named: str(int(named[0]) - PORTS[0] + self.port), text)

    def script(self, blocks: list[Block]) -> str:
        """Return one script of all blocks, each of which writes into a file of its own."""
        lines = ["set -eu"]
        for block in blocks:
            code = self.told(block.code)
            if block.language == "python":
                code = f"python - <<'THE-END-OF-IT'\n{code}THE-END-OF-IT\n"
            first = self.told(block.marks.get("run first", ":"))
            lines += ["{", first, code.rstrip("\n"), f"}} > '{self.outputs}/{block.line}' 2>&1"]
        return "\n".join(lines)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    folder, programs, outputs = (tmp_path / name for name in ("here", "bin", "outputs"))
    for one in (folder, programs, outputs):
        one.mkdir()
    port = free_ports()
    kept = {name: value for name, value in os.environ.items() if not re.match(r"CAPSEAL_|.*_proxy$", name, re.I)}
    environment = kept | {
        "PATH": f"{programs}:{os.environ['PATH']}:/usr/sbin",
        "HOME": str(tmp_path),
        "CAPSEAL_SERVE_PORT": str(port),
        "COLUMNS": "200",
        "LC_ALL": "C.UTF-8",
    }
    environment |= {f"GIT_{who}_{what}": "a@b.example" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    desk = Desk(folder, programs, outputs, environment, port)
    for name, command in (("capseal", CAPSEAL), ("python", [sys.executable]), ("python3", [sys.executable])):
        desk.add_program(name, command)
    return desk


@pytest.mark.parametrize("name", RUN_HERE)
def test_what_the_page_shows_runs_in_its_order_and_prints_what_it_says(name: str, desk: Desk) -> None:
    blocks = [block for block in BLOCKS[name] if block.is_run]
    for block in blocks:
        for needed in block.marks.get("needs", "").split():
            desk.bring(needed)
    bash = shutil.which("bash") or pytest.skip("bash is not installed")
    process = subprocess.Popen(
        [bash, "-c", desk.script(blocks)],
        cwd=desk.folder,
        env=desk.environment,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        code = process.wait(timeout=280)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # the servers that the page started, too
    said = {block.line: _read(desk.outputs / str(block.line)) for block in blocks}
    last = max((line for line, text in said.items() if text is not None), default=0)
    assert code == 0, f"{name}, line {last}, ends with {code}: {said.get(last)}"
    for block in blocks:
        printed = iter((said[block.line] or "").splitlines())
        for line in map(desk.told, block.prints):
            wanted = ".*".join(map(re.escape, line.split("…")))
            assert any(re.fullmatch(wanted, one.rstrip()) for one in printed), (
                name,
                block.line,
                line,
                said[block.line],
            )


def _read(path: Path) -> str | None:
    return path.read_text() if path.exists() else None


def _told_by_others() -> Iterator[tuple[str, str]]:
    for name, blocks in BLOCKS.items():
        for block in blocks:
            for test in block.marks.get("run by", "").split():
                yield name, test


@pytest.mark.parametrize(("name", "test"), sorted(set(_told_by_others())))
def test_the_test_that_runs_a_block_is_there_and_reads_the_page(name: str, test: str) -> None:
    assert Path(name).name in (ROOT / test).read_text()


@pytest.mark.parametrize("name", [name for name, blocks in BLOCKS.items() if blocks])
def test_what_is_not_run_says_why(name: str) -> None:
    for block in BLOCKS[name]:
        reason = block.marks.get("not run", block.marks.get("run by"))
        assert reason is None or len(reason) > 10, (name, block.line)


def test_a_mark_and_a_block_are_seen_as_they_are_written(tmp_path: Path) -> None:
    page = ROOT / "docs" / "not-a-page.md"
    text = "# A\n\n<!-- not run: it needs a cluster -->\n```sh\na\n```\n\n```sh\nb\n```\n\n```text\nit … so\n```\n"
    copy = tmp_path / page.name
    copy.write_text(
        f"{text}\n## B\n\n<!-- run by below: tests/house/rules.py -->\n\n```sh\nc\n```\n\n## C\n\n```python\nd\n```\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.modules[__name__], "ROOT", tmp_path)
        blocks = blocks_of(copy)
    assert [(block.code, block.is_run) for block in blocks] == [
        ("a\n", False),
        ("b\n", True),
        ("c\n", False),
        ("d\n", True),
    ]
    assert blocks[1].prints == ["it … so"]
