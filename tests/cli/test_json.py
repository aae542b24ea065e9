"""`--json` of commands that report what they did: one JSON value on standard output, and nothing else."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from capseal import PrivateKey, TrustStore
from support.command import run
from support.compiled import needs_matching
from support.serving import APP, live_server


@pytest.fixture
def work(tmp_path: Path, signer: PrivateKey, recipient: PrivateKey, trust: TrustStore) -> Path:
    """Holds keys, a trust store, a web folder and a capseal.toml that names them."""
    signer.save(tmp_path / "signer.pem")
    recipient.save(tmp_path / "device.pem")
    (tmp_path / "device.pub.pem").write_bytes(recipient.public_key.pem)
    trust.save(tmp_path / "trust.json")
    for name in ("web", "old"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "index.html").write_bytes(b"<p>" + os.urandom(2000))
    (tmp_path / "capseal.toml").write_text(
        f'app = "{APP}"\nsigners = ["signer.pem"]\nrecipients = ["device.pub.pem"]\nidentities = ["device.pem"]\n'
        'trust = "trust.json"\n'
    )
    return tmp_path


def told(work: Path, *words: object) -> Any:
    return json.loads(run(*words, "--json", cwd=work).succeeded().out)


def test_a_bundle_on_its_way_is_told_as_json_at_every_step(work: Path, trust: TrustStore) -> None:
    sealed = told(work, "seal", "web", "--version", "1", "--sequence", "7", "-o", "a.sealed")
    assert (sealed["output"], sealed["seal"], sealed["recipes"]) == ("a.sealed", None, [])
    assert sealed["statement"]["sequence"] == 7
    with live_server(str(work / "store"), trust, token="x" * 20) as live:
        (work / "token").write_text("x" * 20)
        published = told(work, "publish", "a.sealed", live.url, "--token-file", "token")
        assert (published["release"]["sequence"], published["logged"], published["head"]) == (7, False, None)
        fetched = told(work, "fetch", live.url, "-o", "mirror", "--head", "ignored")
        assert fetched["statement"] == sealed["statement"] and fetched["attachments"] == {}
        assert {fetched["seal"], fetched["payload"]} == {f"mirror/{path.name}" for path in (work / "mirror").iterdir()}
        withdrawn = told(work, "withdraw", live.url, "--sequence", 7, "--token-file", "token")
        assert withdrawn["release"]["withdrawn"]
    device = ("device", "--root", "device", "--builtin", "old")
    installed = told(work, *device, "install", "a.sealed")
    assert installed["staged"]["sequence"] == 7
    assert told(work, *device, "verify") == [{"bundle": installed["staged"], "problem": None}]


def test_what_a_server_has_and_a_device_runs_is_up_to_date(work: Path, trust: TrustStore) -> None:
    run("seal", "web", "--version", "1", "--sequence", "7", "-o", "a.sealed", cwd=work).succeeded()
    device = ("device", "--root", "device", "--builtin", "old")
    with live_server(str(work / "store"), trust) as live:
        run("publish", "a.sealed", live.url, cwd=work).succeeded()
        for step in (("install", live.url), ("activate",), ("boot",), ("confirm",)):
            run(*device, *step, cwd=work).succeeded()
        done = run(*device, "install", live.url, cwd=work)
        assert (done.code, done.out.decode()) == (0, "already up to date: 1 (sequence 7) runs\n")
        answered = json.loads(run(*device, "install", live.url, "--json", cwd=work).out)
        assert (answered["staged"], answered["already"]["sequence"]) == (None, 7)
        built_in = ("device", "--root", "other", "--builtin", "old", "--builtin-sequence", "7")
        done = run(*built_in, "install", live.url, cwd=work)
        assert (done.code, done.out.decode()) == (0, "already up to date: the built-in bundle runs\n")
        later = ("device", "--root", "other", "--builtin", "old", "--builtin-sequence", "8")
        run(*later, "install", live.url, cwd=work).failed_with(1, "sequence 7 is not above 8")
    run(*device, "install", "a.sealed", cwd=work).failed_with(1, "sequence 7 is not above 7")


def test_keys_and_trust_stores_are_told_as_json(work: Path, signer: PrivateKey) -> None:
    [shown] = told(work, "key", "show", "signer.pem")
    assert shown == {
        "fingerprint": signer.public_key.fingerprint,
        "bits": signer.public_key.rsa.key_size,
        "kind": "private",
    }
    made = told(work, "key", "generate", "recipient", "-o", "new")
    assert made["files"] == ["new.pem", "new.pub.pem"]
    assert [made["fingerprint"]] == [one["fingerprint"] for one in told(work, "key", "show", "new.pub.pem")]
    trusted = told(work, "trust", "show")
    assert trusted == {"update_of": None, "store": json.loads((work / "trust.json").read_bytes())}


@needs_matching
def test_what_is_rebuilt_and_what_is_whole_is_told_as_json(work: Path) -> None:
    made = told(work, "delta", "make", "old", "web", "-o", "a.recipe")
    rebuilt = told(work, "delta", "apply", "old", "a.recipe", "-o", "new.zip")
    assert (rebuilt["new_bytes"], rebuilt["recipe_bytes"]) == (made["new_bytes"], made["recipe_bytes"])
    run("capgo", "keygen", cwd=work).succeeded()
    run("capgo", "encrypt", "new.zip", "-o", "a.capgo", "--record", "a.json", cwd=work).succeeded()
    whole = told(work, "capgo", "verify", "a.capgo", "--record", "a.json")
    assert whole == {"verified": True, "plaintext_bytes": rebuilt["new_bytes"]}


@pytest.mark.parametrize("words", [("seal", "web", "--version", "1"), ("delta", "make", "old", "web")])
def test_json_and_an_output_do_not_share_standard_output(work: Path, words: tuple[str, ...]) -> None:
    run(*words, "-o", "-", "--json", cwd=work).failed_with(2, "--json and -o - would both write to standard output")
