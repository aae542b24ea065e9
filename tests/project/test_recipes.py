"""Releases with recipes: from the last releases, from what --base names, and from nothing."""

import json
import random
import sys
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

import capseal
from capseal.device import DeviceStore
from capseal.native import matching
from capseal.project.config import Config
from capseal.project.doctor import diagnose
from support.command import run
from support.compiled import needs_matching
from support.serving import live_server

APP = "com.example.game"


@pytest.fixture
def project(tmp_path, signer, recipient, other_recipient):
    """A project whose archive key is `other_recipient`."""
    keys = tmp_path / "keys"
    keys.mkdir()
    for name, key in (("signing", signer), ("recipient", recipient), ("archive", other_recipient)):
        key.save(keys / f"{name}.pem")
        (keys / f"{name}.pub.pem").write_bytes(key.public_key.pem)
    (keys / "trust.json").write_bytes(capseal.TrustStore.of(signer.public_key).to_json())
    (tmp_path / "capseal.toml").write_text(
        f'app = "{APP}"\nweb = "www"\nsigners = ["keys/signing.pem"]\ntrust = "keys/trust.json"\n'
        'recipients = ["keys/recipient.pub.pem", "keys/archive.pub.pem"]\narchive = "keys/archive.pem"\n'
    )
    (tmp_path / "www").mkdir()
    write(tmp_path, 0)
    return tmp_path


def write(project, number):
    code = "".join(f"export const v{i} = {random.Random(i).random()};\n" for i in range(4000))
    (project / "www" / "index.html").write_text(f"<h1>{number}</h1>")
    (project / "www" / "main.js").write_text(code.replace("v77 ", f"w{number} "))


def release(project, sequence, *words):
    done = run(
        *("release", "--version", f"1.{sequence}", "--sequence", str(sequence), "--allow-dirty", "--json"),
        *words,
        cwd=project,
    )
    assert done.code == 0, done.err
    return json.loads(done.out), done.err


def recipes(project, sequence):
    seal = project / "releases" / f"{APP}@production-{sequence}.seal"
    return [one.name for one in capseal.inspect(seal)[1].companions]


def name_of(project, sequence):
    seal = project / "releases" / f"{APP}@production-{sequence}.seal"
    return f"recipe-{capseal.inspect(seal)[1].payload.digest.hex()[:16]}"


@needs_matching
def test_a_release_has_recipes_from_the_last_three_and_one_from_nothing(project):
    for sequence in range(1, 6):
        write(project, sequence)
        told, _ = release(project, sequence, "--no-publish")
    names = [name_of(project, sequence) for sequence in (4, 3, 2)]
    assert recipes(project, 5) == ["recipe-fresh", *names]
    assert recipes(project, 1) == ["recipe-fresh"]
    files = {path.name for path in (project / "releases").iterdir()}
    assert {f"{APP}@production-5.attachment.{name}" for name in recipes(project, 5)} < files
    assert [(one["name"], one["base"], one["kept"]) for one in told["recipes"]] == [
        ("recipe-fresh", None, True),
        *((name, f"1.{sequence} ({sequence})", True) for name, sequence in zip(names, (4, 3, 2), strict=True)),
    ]
    assert all(one["bytes"] < 1000 for one in told["recipes"][1:])


@needs_matching
def test_what_a_device_will_download_is_shown(project):
    release(project, 1, "--no-publish")
    write(project, 2)
    done = run("release", "--version", "2", "--sequence", "2", "--allow-dirty", "--no-publish", cwd=project)
    assert done.code == 0
    lines = [line for line in done.out.decode().splitlines() if line.startswith("devices download ")]
    assert len(lines) == 2
    assert lines[0].endswith("iB from nothing") and lines[1].endswith("iB from 1.1 (1)")


def test_without_the_archive_key_there_is_a_recipe_from_nothing_only(project):
    """As in CI, unless it is given there."""
    release(project, 1, "--no-publish")
    (project / "keys" / "archive.pem").rename(project / "elsewhere.pem")
    release(project, 2, "--no-publish")
    assert recipes(project, 2) == ["recipe-fresh"]
    release(project, 3, "--no-publish", "--archive", "elsewhere.pem")
    assert recipes(project, 3) == ["recipe-fresh", name_of(project, 2), name_of(project, 1)]
    release(project, 4, "--no-publish", "--no-recipes")
    assert recipes(project, 4) == []


def test_an_archive_key_that_signs_is_refused(project):
    done = run(
        *("release", "--version", "1", "--allow-dirty", "--no-publish", "--archive", "keys/signing.pem"), cwd=project
    )
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "signs as well" in done.err


def test_a_release_that_cannot_be_opened_is_told_and_passed_over(project):
    release(project, 1, "--no-publish")
    release(project, 2, "--no-publish")
    payload = project / "releases" / f"{APP}@production-1.payload"
    payload.unlink()
    seal = project / "releases" / f"{APP}@production-2.seal"
    data = seal.read_bytes()
    seal.write_bytes(data[:200] + bytes([data[200] ^ 1]) + data[201:])
    _, err = release(project, 3, "--no-publish")
    assert err.count("warning: no recipe from ") == 2
    assert recipes(project, 3) == ["recipe-fresh"]


@needs_matching
def test_a_recipe_above_half_of_the_compressed_full_size_is_left_out(project):
    release(project, 1, "--no-publish")
    (project / "www" / "main.js").write_text(
        "".join(f"let x{i} = {random.Random(10**6 + i).random()};" for i in range(4000))
    )
    told, _ = release(project, 2, "--no-publish")
    assert [one["kept"] for one in told["recipes"]] == [True, False]
    assert recipes(project, 2) == ["recipe-fresh"]
    assert not list((project / "releases").glob(f"*-2.attachment.{name_of(project, 1)}"))


@needs_matching
@pytest.mark.parametrize("kind", ["folder", "zip", "payload", "absent", "server", "strict"])
def test_a_base_that_is_named_is_used_or_warned_of_wherever_it_is(project, kind):
    release(project, 1, "--no-publish")
    base = {
        "folder": "www",
        "zip": "old.zip",
        "payload": f"releases/{APP}@production-1.payload",
        "absent": "absent",
        "server": "http://127.0.0.1:9",
        "strict": "http://127.0.0.1:9",
    }[kind]
    if kind == "zip":
        with zipfile.ZipFile(project / "old.zip", "w") as packed:
            packed.write(project / "www" / "index.html", "index.html")
            packed.write(project / "www" / "main.js", "main.js")
    words = ("release", "--version", "2", "--sequence", "2", "--allow-dirty", "--no-publish", "--base", base)
    done = run(*words, *(["--strict"] if kind == "strict" else []), cwd=project)
    if kind == "strict":
        assert (done.code, done.err.count("\n")) == (3, 1)
        return
    assert done.code == 0, done.err
    unusable = kind in ("absent", "server")
    assert done.err.startswith(f"capseal: warning: no recipe from {base}: " if unusable else "")
    assert done.err.count("\n") == unusable
    assert len(recipes(project, 2)) == (3 if kind in ("folder", "zip") else 2)


@needs_matching
def test_what_no_server_took_is_no_base_and_goes_where_a_server_refuses_it(project, trust, signer2):
    release(project, 1, "--no-publish", "--log", "releases.log")
    with live_server(str(project / "other"), capseal.TrustStore.of(signer2.public_key)) as live:
        write(project, 2)
        words = ("release", "--version", "1.2", "--sequence", "2", "--allow-dirty", "--log", "releases.log")
        refused = run(*words, "--server", live.url, cwd=project)
        assert refused.code == 1 and "nothing was released, " in refused.err
    assert {path.name.split("-")[1][0] for path in (project / "releases").iterdir()} == {"1"}
    with live_server(str(project / "store"), trust) as live:
        url = live.url
    lost = run(*words, "--server", url, cwd=project)  # nobody listens there any more
    assert lost.code == 3 and " and .payload stay" in lost.err
    (project / "releases.log.pending").unlink()  # as the next release does that publishes elsewhere
    told, _ = release(project, 3, "--no-publish", "--log", "releases.log")
    assert [one["base"] for one in told["recipes"]] == [None, "1.1 (1)"]


@pytest.mark.parametrize(("version", "sequence"), [("1.1", "9"), ("9", "1")])
def test_a_version_or_sequence_that_was_released_is_not_released_again(project, version, sequence):
    release(project, 1, "--no-publish", "--log", "releases.log")
    for path in (project / "releases").iterdir():  # as in a clone, where the log is and they are not
        path.unlink()
    words = ("--version", version, "--sequence", sequence, "--allow-dirty", "--no-publish", "--log", "releases.log")
    other = "sequence" if sequence == "1" else "--version"
    refused = run("release", *words, cwd=project)
    refused.failed_with(
        2, f"1.1 on production was released before, with sequence 1: another release takes another {other}"
    )
    assert list((project / "releases").iterdir()) == []
    run("release", *words, "--channel", "beta", cwd=project).succeeded()


def test_a_release_without_the_extra_says_in_one_line_that_it_has_no_recipes(project, monkeypatch):
    monkeypatch.setitem(sys.modules, "zstandard", None)
    words = ("release", "--allow-dirty", "--no-publish", "--version")
    done = run(*words, "1", cwd=project)
    assert (done.code, done.err) == (
        0,
        "capseal: no recipes, devices download whole releases: zstandard is not installed: "
        "pip install 'capseal[delta]'\n",
    )
    assert run(*words, "2", "--no-recipes", cwd=project).err == ""


def test_without_a_c_compiler_a_second_release_goes_out_with_a_recipe_from_nothing_only(project, monkeypatch):
    release(project, 1, "--no-publish")
    monkeypatch.setattr(matching, "_lib", None)
    write(project, 2)
    _, said = release(project, 2, "--no-publish")
    assert said.count("\n") == 1
    assert "warning: a recipe from nothing only: to make a recipe" in said and "(Debian: gcc python3-dev)" in said
    assert recipes(project, 2) == ["recipe-fresh"]
    words = ("--version", "3", "--no-publish", "--allow-dirty", "--base", "www", "--strict")
    run("release", *words, cwd=project).failed_with(2, "takes the compiled module, which is not there")
    assert not list((project / "releases").glob("*-3*"))


@needs_matching
def test_a_base_from_a_server_is_verified_with_the_production_store_before_it_is_opened(project, trust, signer2):
    with live_server(str(project / "store"), trust) as live:
        told, _ = release(project, 1, "--server", live.url)
        assert told["published"]["sequence"] == 1
        for path in (project / "releases").iterdir():
            path.unlink()
        write(project, 2)
        release(project, 2, "--base", live.url, "--server", live.url)
        assert len(recipes(project, 2)) == 2
        # Published with it, found beside the payload.
        store = capseal.TrustStore.of(signer2.public_key)
        (project / "other.json").write_bytes(store.to_json())
        words = ("release", "--version", "3", "--allow-dirty", "--no-publish", "--base", live.url)
        done = run(*words, "--trust", "other.json", "-o", "elsewhere", cwd=project)
        assert done.code == 1 and "no trusted key matches" in done.err
        assert not list((project / "elsewhere").glob("*.payload"))


@needs_matching
def test_what_init_makes_is_enough_to_release_an_update_that_a_device_takes_by_its_recipe(tmp_path):
    """Nothing is added to what `init` wrote: the archive key is there, and a recipient."""
    assert run("init", "--app", APP, cwd=tmp_path).code == 0
    www = tmp_path / "www"
    (www / "assets").mkdir(parents=True)
    (tmp_path / "builtin").mkdir()
    for number in range(40):
        (www / "assets" / f"{number}.bin").write_bytes(random.Random(number).randbytes(20_000))
    trust = capseal.load_trust(tmp_path / "keys" / "trust.json")
    identity = capseal.load_private_key(tmp_path / "keys" / "recipient.pem")
    device = DeviceStore(tmp_path / "device", trust=trust, identity=identity, app=APP, builtin=tmp_path / "builtin")
    with live_server(str(tmp_path / "store"), trust) as live:
        for sequence in (1, 2):
            write(tmp_path, sequence)
            release(tmp_path, sequence, "www", "--no-head", "--server", live.url)
            device.install(live.url)
            device.activate()
            running = device.boot()
            device.confirm()
            if sequence == 1:
                (www / "assets" / "3.bin").rename(www / "assets" / "3-moved.bin")
                (www / "assets" / "4.bin").unlink()
    assert recipes(tmp_path, 2) == ["recipe-fresh", name_of(tmp_path, 1)]
    [download] = [one.download for one in device.status().confirmed if one.sequence == 2]
    assert download.source == name_of(tmp_path, 1)
    assert download.bytes < 2000 and download.saved_bytes > 780_000
    there = {path.relative_to(www): path.read_bytes() for path in www.rglob("*") if path.is_file()}
    root = Path(running.path)
    assert {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()} == there


@needs_matching
def test_a_zip_whose_entries_are_deflated_is_warned_of(project):
    with zipfile.ZipFile(project / "new.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.write(project / "www" / "index.html", "index.html")
        packed.write(project / "www" / "main.js", "main.js")
    done = run("release", "new.zip", "--version", "1", "--allow-dirty", "--no-publish", cwd=project)
    assert done.code == 0 and "warning: new.zip: 2 files in it are deflated" in done.err
    done = run("release", "--version", "2", "--sequence", "9999999999", "--allow-dirty", "--no-publish", cwd=project)
    assert done.code == 0 and "deflated" not in done.err


def findings(project, **changes):
    path = str(project / "keys" / "archive.pem")
    settings = {
        "app": APP,
        "signers": (str(project / "keys" / "signing.pem"),),
        "recipients": (str(project / "keys" / "archive.pub.pem"),),
        "trust": str(project / "keys" / "trust.json"),
        "archive": path,
    } | changes
    found = diagnose(Config(**settings), now=datetime.now(UTC))
    return [(str(one.severity), one.what) for one in found if one.where == settings["archive"]]


def test_the_doctor_looks_at_the_archive_key(project, recipient):
    assert findings(project) == []
    [shipped] = findings(project, web=str(project / "keys"))
    assert shipped[0] == "error" and "is in the web folder" in shipped[1]
    [signs] = findings(project, signers=(str(project / "keys" / "archive.pem"),))
    assert signs[0] == "error" and "opens the whole history, and signs" in signs[1]
    [useless] = findings(project, recipients=(str(project / "keys" / "recipient.pub.pem"),))
    assert useless[0] == "warning" and "no recipient" in useless[1]
    # In a clone, and in CI, it is not there.
    (project / "keys" / "archive.pem").unlink()
    assert findings(project) == []
