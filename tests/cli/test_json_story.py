"""`--json` of every command, in the order of a project's life: one value, with the members that the page names."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from capseal import load_trust
from capseal.cli._app import CAPSEAL
from capseal.cli.framework.arguments import why_no_json
from capseal.server import CapgoUpdates
from cli.command_table import leaves
from cli.json_keys import JSON, LIST
from support.command import run
from support.serving import live_server

pytest.importorskip("distributed")

BEFORE: list[tuple[str, str]] = [
    ("init", "--app com.example.game --web www"),
    ("doctor", "--project"),
    ("key generate", "signing -o extra --bits 3072"),
    ("key show", "extra.pem"),
    ("key import", "keys/development.crt.pem --key keys/development.pem -f"),
    ("trust show", ""),
    ("trust add", "extra.pub.pem --in-place"),
    ("trust heads", "--max-age 7 --in-place"),
]
"""What is done before a server has the trust store."""

LINES: list[tuple[str, str]] = [
    ("trust restart", "1 --update 2.json"),
    ("trust cosign", "2.json -s extra.pem"),
    ("trust apply", "2.json"),
    ("trust publish", "2.json --server {url} --token-file token"),
    ("seal", "www -o a.sealed --version 1 --sequence 5"),
    ("verify", "a.sealed"),
    ("inspect", "a.sealed"),
    ("unseal", "a.sealed -o a.zip"),
    ("rewrap", "a.sealed -o again.sealed"),
    ("cosign", "a.sealed -o both.sealed -s extra.pem"),
    ("split", "a.sealed --seal a.seal --payload a.payload"),
    ("join", "--seal a.seal --payload a.payload -o joined.sealed"),
    ("publish", "a.payload {url} --seal a.seal --token-file token --no-head"),
    ("release", "--version 6 --sequence 6 --server {url} --token-file token --no-recipes"),
    ("head show", ""),
    ("head renew", "--server {url} --token-file token"),
    ("head recall", "a.seal -o recall.json --shared"),
    ("head cosign", "recall.json -s extra.pem"),
    ("head sign", "--withdraw 5 --server {url} --token-file token"),
    ("withdraw", "{url} --sequence 5 --token-file token"),
    ("log store", ""),
    ("log verify", ""),
    ("fetch", "{url} -o mirror"),
    ("store export", "../store tree"),
    ("store prune", "../store --keep 9 --dry-run"),
    ("delta make", "before www -o a.recipe"),
    ("delta show", "a.recipe"),
    ("delta apply", "before a.recipe -o new.zip"),
    ("device install", "{url}"),
    ("device refresh", "{url}"),
    ("device activate", ""),
    ("device boot", ""),
    ("device confirm", ""),
    ("device current", ""),
    ("device status", ""),
    ("device verify", ""),
    ("device prune", ""),
    ("device rollback", ""),
    ("fleet seal", "a.zip fleet.sealed --version 7"),
    ("fleet verify", "fleet.sealed"),
    ("fleet unseal", "fleet.sealed fleet.zip"),
    ("fleet scrub", "../store"),
    ("fleet rewrap", "../store --select com.example.game --dry-run"),
    ("capgo keygen", "."),
    ("capgo encrypt", "a.zip -o a.capgo --record a.json"),
    ("capgo verify", "a.capgo --record a.json"),
    ("capgo decrypt", "a.capgo --record a.json -o decrypted.zip"),
    ("capgo manifest", "www -o files --base-url https://cdn.example.com"),
    ("capgo import", "a.capgo --version 8 --made made.json --no-publish"),
    ("capgo convert to-capgo", "a.sealed -o b.capgo"),
    ("capgo convert to-sealed", "a.capgo --record a.json --version 9 -o c.sealed"),
    ("capgo statistics", "{url} --token-file token"),
]


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Give what each command printed with --json, from the making of a project on."""
    folder = tmp_path_factory.mktemp("life") / "project"
    for name, text in (("www", "<p>new"), ("before", "<p>old")):
        (folder / name).mkdir(parents=True)
        (folder / name / "index.html").write_text(text)
    (folder / "token").write_text("x" * 20)
    told: dict[str, Any] = {}

    def tell(name: str, rest: str) -> None:
        topic, _, command = name.partition(" ")
        words = [topic, "--root", "device", "--builtin", "before", command] if topic == "device" else name.split()
        done = run(*words, *rest.split(), "--json", cwd=folder)
        assert done.code == 0, (name, done.err)
        told[name] = json.loads(done.out)
        if name == "capgo encrypt":
            (folder / "made.json").write_text(json.dumps(told[name]))

    for name, rest in BEFORE:
        tell(name, rest)
    counting = CapgoUpdates(statistics=str(folder.parent / "counted"))
    trust = load_trust(folder / "keys" / "trust.json")
    with live_server(str(folder.parent / "store"), trust, token="x" * 20, extensions=[counting]) as live:
        for name, rest in LINES:
            tell(name, rest.format(url=live.url))
    yield told


def test_every_command_that_answers_is_asked() -> None:
    asked = {name for name, _ in (*BEFORE, *LINES)} | {"trust remove"}  # which does what `trust add` does
    assert asked == set(JSON) == {name for name, node in leaves(CAPSEAL) if why_no_json(node) is None}


def test_each_command_answers_with_the_members_that_the_page_names(answers: dict[str, Any]) -> None:
    for name, told in answers.items():
        members, remark = JSON[name]
        assert isinstance(told, list) is remark.startswith(LIST), name
        for value in told if isinstance(told, list) else [told]:
            assert sorted(value) == sorted(members), name


def test_a_command_that_takes_no_json_says_so(tmp_path: Path) -> None:
    for name, node in leaves(CAPSEAL):
        if why_no_json(node) is not None:
            run(*name.split(), "--json", cwd=tmp_path).failed_with(2, "no such option: --json")
