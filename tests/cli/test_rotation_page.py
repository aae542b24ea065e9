"""Rotation and runbooks of docs/keys.md: each command as it stands there, on a live server that nobody reloads."""

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from capseal import load_public_key, load_trust
from support.command import Result, run
from support.places import ROOT
from support.serving import live_server

APP = "com.example.game"
PLACEHOLDER = "9a7d6a133f94f723"
PAGE = (ROOT / "docs" / "keys.md").read_text()


def commands(begin: str, end: str) -> list[str]:
    """Return the lines of all shell blocks from one heading of the page to another."""
    part = PAGE[PAGE.index(f"\n{begin}\n") : PAGE.index(f"\n{end}\n")]
    blocks: list[str] = re.findall(r"```sh\n(.*?)```", part, re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


class Reader:
    """Somebody who does what the page says, in a project whose root lies on a stick. said: what came of each line."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.url = url
        self.said: list[tuple[str, str]] = []

    def run(self, *words: object) -> Result:
        return run(*words, cwd=self.folder)

    def ok(self, *words: object) -> str:
        done = self.run(*words)
        assert done.code == 0, (words, done.err)
        return done.out.decode() + done.err

    def fingerprint(self, name: str) -> str:
        return load_public_key(self.folder / name).fingerprint[:16]

    def release(self, version: str, *words: object) -> None:
        (self.folder / "www" / "index.html").write_text(f"<p>{version}")
        self.ok("release", "--version", version, *words)

    def do(self, lines: list[str], **values: str) -> None:
        """Do all lines. values: what stands for what on the page."""
        for line in lines:
            for old, new in values.items():
                line = line.replace({"old": PLACEHOLDER, "honest": "1790000000", "bad": "1999999999"}[old], new)
            setting = re.fullmatch(r"# capseal.toml: (\w+) = (\[.*\])", line)
            if setting:
                path = self.folder / "capseal.toml"
                text, count = re.subn(rf"(?m)^{setting[1]} = .*$", f"{setting[1]} = {setting[2]}", path.read_text())
                assert count == 1
                path.write_text(text)
            elif line.startswith("capseal "):
                words = shlex.split(line, comments=True)[1:]
                if words[0] == "release":
                    (self.folder / "www" / "index.html").write_text(f"<p>{line}")
                self.said.append((line, self.ok(*words)))
            else:
                subprocess.run(["sh", "-euc", line], cwd=self.folder, check=True)

    def judged_in_development(self) -> dict[str, bool]:
        """Return which versions a development build takes for releases, of all that lie in `releases`."""
        taken = {}
        for seal in sorted((self.folder / "releases").glob("*.seal")):
            version = json.loads(self.ok("inspect", seal, "--json"))["statement"]["version"]
            payload = seal.with_suffix(".payload")
            done = self.run("verify", payload, "--seal", seal, "--trust", "keys/trust-development.json")
            assert done.code == 0 or (done.code, "no trusted key matches" in done.err) == (1, True), done.err
            taken[version] = done.code == 0
        return taken

    def told(self, beginning: str) -> str:
        return next(said for line, said in self.said if line.startswith(beginning))

    def head(self) -> dict[str, object]:
        shown: dict[str, object] = json.loads(self.ok("head", "show", "--server", self.url, "--json"))["head"]
        return shown

    def installs(self) -> str:
        """Return the version that a device runs which was built with the first store."""
        device = ("device", "--root", "device", "--builtin", "builtin", "--trust", "built-in.json")
        for words in (("install", self.url), ("activate",), ("boot",), ("confirm",)):
            self.ok(*device, *words)
        status = json.loads(self.ok(*device, "status", "--json"))
        version: str = status["current"]["version"]
        return version


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page") / "project"
    for name in ("www", "STICK", "OTHER", "builtin"):
        (folder / name).mkdir(parents=True)
        (folder / name / "index.html").write_text("<p>")
    run("init", "--app", APP, "--web", "www", cwd=folder).succeeded()
    shutil.move(folder / "keys" / "root.pem", folder / "STICK" / "root.pem")
    return folder


@pytest.fixture
def reader(made: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Reader]:
    folder = tmp_path / "project"
    shutil.copytree(made, folder)
    others = getattr(request, "param", ())
    for name in others:
        run("key", "generate", "signing", "-o", name, "--bits", "3072", cwd=folder).succeeded()
    if others:
        publics = [f"{name}.pub.pem" for name in others]
        changed = ("trust", "add", *publics, "--purpose", "root", "--threshold", "2", "--in-place")
        run(*changed, cwd=folder).succeeded()
    for name in ("root.json", "built-in.json"):
        shutil.copy(folder / "keys" / "trust.json", folder / name)
    with live_server(str(tmp_path / "store"), load_trust(folder / "keys" / "trust.json")) as live:
        text = (folder / "capseal.toml").read_text()
        (folder / "capseal.toml").write_text(f'server = "{live.url}"\n{text}')
        yield Reader(folder, live.url)


def current(head: dict[str, object]) -> list[int]:
    return [one["sequence"] for one in head["current"]]  # type: ignore[attr-defined]


@pytest.mark.parametrize("reader", [["OTHER/root"]], indirect=True)
def test_the_rotation_runs_as_the_page_says(reader: Reader) -> None:
    reader.release("1.2.0")
    reader.do(commands("## Rotation", "## Runbooks"), old=reader.fingerprint("keys/signing.pub.pem"))
    assert "1 of 2 signatures" in reader.told("capseal trust add")
    assert "next: capseal trust cosign updates/2.json" in reader.told("capseal trust add")
    assert "2 of 2 signatures" in reader.told("capseal trust cosign")
    assert "and goes by version 2" in reader.told("capseal trust publish updates/2.json")
    assert "next: capseal head renew" in reader.told("capseal trust publish updates/2.json")
    assert "verified: 5 entries" in reader.told("capseal log verify")
    assert reader.told("capseal doctor").endswith("no findings\n")
    assert reader.judged_in_development() == {"1.2.0": False, "1.3.0": True, "1.4.0": True}
    assert reader.installs() == "1.4.0"
    # Nobody is told to trust the old key again.
    path = reader.folder / "capseal.toml"
    path.write_text(path.read_text().replace("keys/new.pem", "keys/signing.pem"))
    done = reader.run("doctor", "--project")
    assert (done.code, b"if it was rotated out: name the signers of now" in done.out) == (1, True)


def test_a_stolen_release_key_is_rotated_out_as_the_page_says(reader: Reader) -> None:
    reader.release("1.2.0")
    (honest,) = current(reader.head())
    # The thief has a clone: neither the log nor the head key of the project.
    thief = Reader(reader.folder.parent / "thief", reader.url)
    shutil.copytree(reader.folder, thief.folder, ignore=shutil.ignore_patterns("releases*", "*.heads", "root.pem"))
    thief.release("6.6.6", "--sequence", "1999999999", "--no-head")
    stolen = reader.fingerprint("keys/signing.pub.pem")
    reader.do(commands("### A release key is stolen", "### The head key is stolen"), old=stolen, honest=str(honest))
    assert "devices install it from there" in reader.told("capseal release")
    assert "goes by version 4" in reader.told("capseal trust publish")
    head = reader.head()
    assert (head["withdrawn"], len(head["recalls"])) == ([1999999999], 1)  # type: ignore[arg-type]
    assert honest < current(head)[0] < 1999999999
    assert reader.told("capseal doctor").endswith("no findings\n")
    assert reader.judged_in_development() == {"1.2.0": False, "1.4.0": True}
    assert reader.installs() == "1.4.0"
    refused = thief.run("release", "--version", "6.6.7", "--no-head", "--allow-dirty")
    assert (refused.code, "no trusted key matches" in refused.err) == (1, True)


def test_a_stolen_head_key_is_replaced_as_the_page_says(reader: Reader) -> None:
    reader.release("1.2.0")
    stolen = reader.fingerprint("keys/head.pub.pem")
    reader.do(commands("### The head key is stolen", "### One of three root keys is lost, or stolen"), old=stolen)
    assert "head_signers of capseal.toml" in reader.told("capseal trust add")
    head = reader.head()
    assert (head["epoch"], head["number"]) == (3, 1)
    assert reader.told("capseal doctor").endswith("no findings\n")
    assert reader.installs() == "1.2.0"


@pytest.mark.parametrize("reader", [["OTHER/root", "lost"]], indirect=True)
def test_a_lost_root_key_is_replaced_as_the_page_says(reader: Reader) -> None:
    reader.release("1.2.0")
    lost = reader.fingerprint("lost.pub.pem")
    reader.do(commands("### One of three root keys is lost, or stolen", "### Heads end"), old=lost)
    assert "2 of 2 signatures" in reader.told("capseal trust add")
    assert len(load_trust(reader.folder / "keys" / "trust.json").root.keys) == 3  # type: ignore[union-attr]
    assert reader.installs() == "1.2.0"
