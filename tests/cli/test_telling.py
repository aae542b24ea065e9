"""How much is told, and how wide and how colourful: -q, -v, pipes, narrow terminals, NO_COLOR."""

import io
import re
import shlex
from pathlib import Path

import pytest

from capseal import cli
from capseal.cli import _app as app
from capseal.cli._examples import EXAMPLES
from capseal.cli.framework import console, parsing, progress, titles
from cli.test_help import tried
from support.command import Desk, Terminal, run, wait_until

NARROW_COLUMNS = 60
_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_COLOUR = re.compile(r"\x1b\[(?:[0-9]+;)*(?:3[0-8]|9[0-7])[;0-9]*m")


def test_every_command_takes_quiet_and_verbose_before_and_behind_it(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, bool]] = []
    commands = tried(app.CAPSEAL, lambda path: told.append((path, console.is_quiet())))
    monkeypatch.setattr("sys.stderr", io.StringIO())
    for name, lines in EXAMPLES.items():
        _, *words = shlex.split(lines[0].partition(" > ")[0])
        for line, quiet in ((words, False), ([*words, "-q", "-v"], True), (["-v", "--quiet", *words], True)):
            parsing.run("capseal", commands, line)
            path, was = told.pop()
            assert name in ("", path) and was is quiet, line


def test_quiet_says_nothing_of_what_was_done_and_all_of_what_was_asked_for(desk: Desk, tmp_path: Path) -> None:
    sealing = ("seal", desk.path("dist.zip"), *desk.sealing, "-o", "a.sealed")
    assert run(*sealing, cwd=tmp_path).succeeded().out
    assert run(*sealing, "-fq", cwd=tmp_path).succeeded().out == b""
    assert run("-q", "verify", "a.sealed", *desk.trusting, cwd=tmp_path).succeeded().out == b""
    asked = run("inspect", "a.sealed", cwd=tmp_path).succeeded().out
    assert run("inspect", "-q", "a.sealed", cwd=tmp_path).succeeded().out == asked
    as_json = run("verify", "a.sealed", *desk.trusting, "--json", cwd=tmp_path).succeeded().out
    assert run("verify", "a.sealed", *desk.trusting, "--json", "-q", cwd=tmp_path).succeeded().out == as_json


def test_quiet_tells_errors_and_warnings_all_the_same(desk: Desk, tmp_path: Path) -> None:
    run("verify", "-q", "nothing.sealed", *desk.trusting, cwd=tmp_path).failed_with(3, "nothing.sealed: no such file")
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / ".git").mkdir()
    done = run("seal", "web", *desk.sealing, "-q", cwd=tmp_path)
    assert done.code == 0
    assert "warning: web has nothing in it that ships" in done.err
    assert "left out of" not in done.err


def test_no_bar_moves_where_that_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", Screen())
    with console.telling(console.Telling(quiet=True)), progress.shown("Sealing") as advance:
        assert advance is None
    with progress.shown("Sealing") as advance:
        assert advance is not None


@pytest.mark.parametrize("name", [*EXAMPLES])
def test_help_fits_a_narrow_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("COLUMNS", str(NARROW_COLUMNS))
    told = run(*name.split(), "--help", cwd=tmp_path).succeeded().out.decode()
    for line in told.splitlines():
        # What cannot be broken, such as an URL or an option's own name, is as long as it is.
        assert len(line) <= NARROW_COLUMNS or len(line.removesuffix(" \\").split()) <= 2, line


def test_what_goes_through_a_pipe_has_no_escape_in_it(desk: Desk, tmp_path: Path) -> None:
    for words in (("--help",), ("seal", "--help"), ("inspect", desk.path("dist.sealed")), ("doctor",)):
        assert b"\x1b" not in run(*words, cwd=tmp_path).succeeded().out


def test_help_on_a_terminal_is_as_wide_as_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    with Terminal() as terminal:
        terminal.resize(columns=NARROW_COLUMNS)
        assert terminal.run("verify", "--help", cwd=tmp_path, answers=[]) == 0
        lines = terminal.screen.splitlines()
        assert "\x1b" not in terminal.screen
    assert NARROW_COLUMNS / 2 < max(map(len, lines)) <= NARROW_COLUMNS


@pytest.mark.parametrize(("setting", "colourful"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)])
def test_the_bar_fits_the_terminal_and_has_colours_where_these_are_wanted(
    monkeypatch: pytest.MonkeyPatch, setting: dict[str, str], colourful: bool
) -> None:
    screen = Screen()
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setattr(progress, "QUIET_S", 0.0)
    for name in ("NO_COLOR", "FORCE_COLOR", "COLORTERM", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in ({"TERM": "xterm-256color", "COLUMNS": str(NARROW_COLUMNS)} | setting).items():
        monkeypatch.setenv(name, value)
    with progress.transferred("Fetching something with a name that is rather long") as bar:
        bar["expecting"](10_000_000)
        bar["progress"](5_000_000)
    shown = screen.getvalue()
    assert bool(_COLOUR.search(shown)) is colourful
    for line in re.split(r"[\r\n]", _ESCAPE.sub("", shown)):
        assert len(line) <= NARROW_COLUMNS, line


@pytest.mark.parametrize(
    ("size", "told"),
    [
        *((0, "0 bytes"), (1, "1 byte"), (1023, "1023 bytes"), (1024, "1.0 KiB"), (1536, "1.5 KiB")),
        *((1024**2 - 1, "1.0 MiB"), (1024**2, "1.0 MiB"), (5 * 1024**3, "5.0 GiB"), (2**51, "2048.0 TiB")),
    ],
)
def test_a_size_is_told_in_one_way(size: int, told: str) -> None:
    assert titles.sized(size) == told


def test_no_size_is_told_in_another_way() -> None:
    """But for the demo, which counts what it makes, and for limits."""
    for path in sorted(Path(cli.__file__).parent.rglob("*.py")):
        if "demo" not in path.parts and path.stem not in ("demo", "titles"):
            assert not re.search(r"\{(?!_?(?:MAX|MOST)_)[^{}]*\} (?:bytes|KiB|MiB|GiB)|'byte'", path.read_text()), path


def test_things_are_counted_as_far_as_it_is_known_how_many_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen()
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setattr(progress, "QUIET_S", 0.0)
    monkeypatch.setenv("TERM", "xterm")
    with progress.counted("Exporting releases") as bar:
        bar["expecting"](40)
        bar["progress"](1)
        bar["progress"](2)
    shown = _ESCAPE.sub("", screen.getvalue())
    assert "Exporting releases" in shown and "/40" in shown and "MiB" not in shown


def test_what_is_waited_for_is_shown_and_taken_away(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen()
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setattr(progress, "QUIET_S", 0.0)
    monkeypatch.setenv("TERM", "xterm")
    with progress.waiting("Making a key"):
        wait_until(lambda: "Making a key" in screen.getvalue())
    assert screen.getvalue().rstrip().endswith(("\x1b[2K", "\x1b[?25h"))


class Screen(io.StringIO):
    """A standard error where a person is looking."""

    def isatty(self) -> bool:
        return True
