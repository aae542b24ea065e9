"""Help as people ask for it: an example of every command, groups that fit together, and what shells complete."""

import functools
import itertools
import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from capseal.cli import _app as app
from capseal.cli._examples import EXAMPLES, HEADINGS
from capseal.cli.commands.completion import Shell
from capseal.cli.framework import parsing
from capseal.cli.framework.arguments import Command, Group
from cli import command_table
from support.command import run
from support.tools import require_tool


def tried(node: Command | Group, called: Callable[[str], None], path: str = "") -> Command | Group:
    """Return commands that take what these take, and only say their names."""
    if isinstance(node, Group):
        inner = {name: tried(one, called, f"{path} {name}".strip()) for name, one in node.commands.items()}
        return node._replace(commands=inner)

    @functools.wraps(node)
    def taken(*_: Any, **__: Any) -> None:
        called(path)

    return taken


def test_every_command_has_examples_and_takes_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert set(EXAMPLES) - {""} == {name for name, _ in command_table.leaves(app.CAPSEAL)}
    called: list[str] = []
    commands = tried(app.CAPSEAL, called.append)
    for name, lines in EXAMPLES.items():
        for line in lines:
            program, *words = shlex.split(line.partition(" > ")[0])
            assert program == "capseal"
            parsing.run("capseal", commands, words)
            assert name in ("", called[-1]), line


def shown_examples(name: str, folder: Path) -> list[list[str]]:
    """Return the examples at the end of a command's help, as a shell takes them, continued lines and all."""
    told = run(*name.split(), "--help", cwd=folder).succeeded().out.decode()
    lines = told.partition("\n\nexamples:\n")[2].replace("\\\n", "").splitlines()
    return [shlex.split(line) for line in lines]


def test_help_shows_the_examples_of_a_command_and_one_of_each_in_a_group(tmp_path: Path) -> None:
    for name, lines in EXAMPLES.items():
        assert shown_examples(name, tmp_path) == [shlex.split(line) for line in lines], name
    inner = [shlex.split(lines[0]) for name, lines in EXAMPLES.items() if name.startswith("trust ")]
    assert sorted(shown_examples("trust", tmp_path)) == sorted(inner)


def test_every_command_stands_under_one_heading(tmp_path: Path) -> None:
    under = [name for names in HEADINGS.values() for name in names]
    assert sorted(under) == sorted(app.CAPSEAL.commands)
    lines = run("--help", cwd=tmp_path).succeeded().out.decode().splitlines()
    places = [lines.index(f"{heading}:") for heading in HEADINGS]
    assert places == sorted(places)


@pytest.mark.parametrize("words", [(), ("seal",), ("trust",), ("capgo", "convert", "to-sealed"), ("device", "boot")])
def test_help_of_a_topic_is_what_its_option_says(tmp_path: Path, words: tuple[str, ...]) -> None:
    told = run("help", *words, cwd=tmp_path).succeeded()
    assert told.out == run(*words, "--help", cwd=tmp_path).out
    assert told.out.startswith(" ".join(["usage: capseal", *words]).encode())


def test_help_of_what_there_is_not_says_what_may_be_meant(tmp_path: Path) -> None:
    run("help", "sael", cwd=tmp_path).failed_with(2, "no such command 'sael'; did you mean 'seal'?")


def test_the_version_has_a_short_option(tmp_path: Path) -> None:
    assert run("-V", cwd=tmp_path).succeeded().out == run("--version", cwd=tmp_path).succeeded().out


def test_the_page_of_commands_says_what_they_are() -> None:
    assert command_table.PAGE.read_text() == command_table.drawn()


def test_options_that_commands_share_stand_in_one_order_in_the_help_of_all(tmp_path: Path) -> None:
    places: dict[tuple[str, str], str] = {}
    for name, _ in command_table.leaves(app.CAPSEAL):
        told = run(*name.split(), "--help", cwd=tmp_path).succeeded().out.decode()
        shown = re.findall(r"^  (?:-\w, )?(--[\w-]+)", told, re.MULTILINE)
        for pair in itertools.combinations(shown, 2):
            assert pair[::-1] not in places, (pair, name, places[pair[::-1]])
            places[pair] = name


@pytest.mark.parametrize("shell", Shell)
def test_each_shell_gets_all_commands(tmp_path: Path, shell: Shell) -> None:
    pytest.importorskip("shtab")
    told = run("completion", shell, cwd=tmp_path).succeeded().out.decode()
    for word in {word for name in EXAMPLES for word in name.split()}:
        assert word in told


def test_bash_completes_commands_options_and_choices(tmp_path: Path) -> None:
    pytest.importorskip("shtab")
    (tmp_path / "capseal.bash").write_bytes(run("completion", "bash", cwd=tmp_path).succeeded().out)
    script = """
source ./capseal.bash
function=$(complete -p capseal | sed 's/.*-F \\([^ ]*\\) .*/\\1/')
for line in "ver" "trust re" "seal --rec" "key generate s" "capgo convert to-s" "hel" "help rel" "help trust a"; do
    COMP_WORDS=(capseal $line); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); COMPREPLY=()
    $function capseal "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
    echo "${COMPREPLY[@]}"
done
"""
    command = [require_tool("bash"), "--norc", "-c", script]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    completed = [sorted(line.split()) for line in done.stdout.splitlines()]
    assert completed[:5] == [["verify"], ["remove", "restart"], ["--recipient"], ["signing"], ["to-sealed"]]
    assert completed[5:] == [["help"], ["release"], ["add", "apply"]]
