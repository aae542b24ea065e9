"""As a new user: from an empty folder to an installed update, with the script that the documentation shows."""

import io
import json
import os
import re
import socket
import subprocess
import sys
import time
import tomllib
import zipfile

import pytest

from capseal import capgo
from support.places import ROOT
from support.tools import require_tool

SCRIPTS = ROOT / "examples" / "ci"
PROMISED_S = 60.0
PROMISED_COMMANDS = 5


@pytest.fixture
def environment(tmp_path_factory):
    """An environment in which `capseal` is a command."""
    folder = tmp_path_factory.mktemp("bin")
    command = folder / "capseal"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m capseal "$@"\n')
    command.chmod(0o755)
    return os.environ | {"PATH": f"{folder}:{os.environ['PATH']}", "PORT": str(_free_port())}


def _free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def test_five_commands_and_a_minute_lead_from_nothing_to_an_installed_update(tmp_path, environment):
    script = SCRIPTS / "five-commands.sh"
    started = time.monotonic()
    done = subprocess.run(
        ["sh", str(script)], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=5 * PROMISED_S
    )
    took_s = time.monotonic() - started
    assert done.returncode == 0, done.stderr
    assert "staged: " in done.stdout
    runs = tmp_path / done.stdout.splitlines()[-1]
    assert (tmp_path / "device") in runs.parents
    assert (runs / "index.html").read_text() == "<h1>Hello</h1>\n"
    # The two more are what the app does when it starts, and once it has started well.
    assert len(re.findall(r"^ *capseal ", script.read_text(), re.MULTILINE)) == PROMISED_COMMANDS + 2
    assert took_s < PROMISED_S
    # What the server stored is neither the app nor anything that tells of it.
    stored = b"".join(path.read_bytes() for path in (tmp_path / "store").rglob("*") if path.is_file())
    assert b"Hello" not in stored and b"PRIVATE" not in stored


def _blocks(document, heading):
    """Return the shell blocks below a heading, as they stand there."""
    section = (ROOT / document).read_text().partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"^```sh\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)


def _requirements(extras):
    """Return what pyproject.toml demands with these extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    requirements = list(project["dependencies"])
    for extra in extras:
        for one in project["optional-dependencies"][extra]:
            own = re.fullmatch(r"capseal\[(.*)\]", one)
            requirements += _requirements(own[1].split(",")) if own else [one]
    return requirements


# Hides all that is not brought by REQUIREMENTS.
SITE = """
import re, sys
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions

def names(requirement, extras, found):
    name = re.match(r"[\\w.-]+", requirement)[0].lower().replace("_", "-")
    wanted = re.search(r"\\[(.*?)\\]", requirement.partition(";")[0])
    extras = {one.strip() for one in wanted[1].split(",")} if wanted else extras
    if (name, frozenset(extras)) in found:
        return found
    found.add((name, frozenset(extras)))
    try:
        needs = distribution(name).requires or ()
    except PackageNotFoundError:
        return found
    for need in needs:
        marker = need.partition(";")[2]
        extra = re.search(r"extra == ['\\"]([\\w-]+)", marker)
        if extra is None or extra[1] in extras:
            names(need, set(), found)
    return found

found = set()
for requirement in REQUIREMENTS:
    names(requirement, set(), found)
brought = {"capseal"} | {name for name, _ in found}
hidden = {
    module
    for module, owners in packages_distributions().items()
    if not any(owner.lower().replace("_", "-") in brought for owner in owners) and not module.startswith("_")
}

class Hider:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in hidden:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Hider())
"""


@pytest.fixture
def installed(environment, tmp_path_factory):
    """As `environment`, with what README's quick start installs and nothing else."""
    (quick_start,) = [block for block in _blocks("README.md", "Quick start") if "capseal demo" in block]
    extras = re.search(r"pip install '\.\[(.*?)\]'", quick_start)
    requirements = _requirements(extras[1].split(",") if extras else [])
    folder = tmp_path_factory.mktemp("site")
    (folder / "sitecustomize.py").write_text(f"REQUIREMENTS = {requirements!r}\n{SITE}")
    return environment | {"PYTHONPATH": str(folder)}


def test_what_the_quick_start_does_not_install_is_hidden_here(installed, tmp_path):
    for module, is_there in (("httpx", True), ("uvicorn", True), ("watchfiles", False), ("pytest", False)):
        done = subprocess.run([sys.executable, "-c", f"import {module}"], env=installed, capture_output=True)
        assert (done.returncode == 0) == is_there, (module, done.stderr)


@pytest.mark.parametrize("is_git", [False, True])
def test_readmes_own_lines_lead_to_an_installed_update(is_git, installed, tmp_path):
    (tmp_path / "www").mkdir()
    (tmp_path / "www" / "index.html").write_text("<h1>Hello</h1>")
    (tmp_path / "capacitor.config.json").write_text('{"appId": "com.example.hello", "webDir": "www"}')
    init, commit, rest = _blocks("README.md", "From nothing to an installed update")
    assert "git commit" in commit
    lines = f"{init}{commit if is_git else ''}{rest}".replace("8417", installed["PORT"])
    lines = lines.replace("serve store &", f"serve store --port {installed['PORT']} 2> server.log &")
    environment = installed | {
        f"GIT_{who}_{what}": "a@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    if is_git:
        git = require_tool("git")
        (tmp_path / ".gitignore").write_text("node_modules\nserver.log")
        for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "app"]):
            subprocess.run([git, *words], cwd=tmp_path, env=environment, check=True)
    script = f"set -e\ntrap 'kill $!' EXIT\n{lines}"
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / done.stdout.splitlines()[-1] / "index.html").read_text() == "<h1>Hello</h1>"
    if is_git:
        # Only the log and the head are new: the next release is not stopped by what this one made.
        status = subprocess.run([git, "status", "--porcelain"], cwd=tmp_path, capture_output=True, text=True)
        assert status.stdout == "?? com.example.hello@production.heads\n?? releases.log\n"
        assert "node_modules\nserver.log\n# What capseal makes" in (tmp_path / ".gitignore").read_text()
        tracked = subprocess.run([git, "ls-files"], cwd=tmp_path, capture_output=True, text=True).stdout.split()
        assert not {"keys/signing.pem", "keys/development.pem", "keys/recipient.pem"} & set(tracked)
        assert "keys/signing.pub.pem" in tracked


def test_each_of_the_five_says_what_comes_next(tmp_path, environment):
    done = subprocess.run(
        ["sh", str(SCRIPTS / "five-commands.sh")], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    said = [line for line in done.stdout.splitlines() if "next: " in line]
    expected = (
        "capseal release --version",
        "capseal device --root DIR --builtin WEBDIR install http",
        "device ... activate",
        "device ... boot",
    )
    assert len(said) == len(expected)
    for line, what in zip(said, expected, strict=True):
        assert what in line


def test_capgos_plugin_is_offered_what_the_script_published(tmp_path, environment):
    require_tool("curl")
    script = SCRIPTS / "capgo-commands.sh"
    done = subprocess.run(["sh", str(script)], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    answer = json.loads((tmp_path / "answer.json").read_bytes())
    assert answer["version"] == "1.4.2"
    plain = io.BytesIO()
    capgo.decrypt(
        tmp_path / "fetched",
        plain,
        key=capgo.load_public_key(tmp_path / ".capgo_key_v2.pub"),
        session_key=answer["session_key"],
        checksum=answer["checksum"],
    )
    with zipfile.ZipFile(plain) as zipped:
        assert zipped.read("index.html") == b"<h1>Hello</h1>\n"
