"""capseal release: what is published was sealed, signed by production keys, verified and logged, or nothing is."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest

import capseal
from capseal import Expect, SignatureError, TransferError, TrustStore, UsageError
from capseal.client import Connection
from capseal.project.log import load_pending, verify_log
from capseal.project.release import release
from capseal.trust.key_sets import Restart
from support.places import ROOT
from support.serving import TOKEN, live_server
from support.tools import require_tool

APP = "com.example.game"
EXAMPLES = ROOT / "examples" / "ci"


@pytest.fixture
def web(tmp_path):
    folder = tmp_path / "www"
    folder.mkdir()
    (folder / "index.html").write_text("hello")
    return folder


@pytest.fixture
def out(tmp_path):
    folder = tmp_path / "releases"
    folder.mkdir()
    return folder


@pytest.fixture
def make(web, out, signer, recipient, trust, tmp_path):
    """Return make(**keywords of release) -> Released, of one version after the other."""
    versions = count()

    def make(**keywords):
        settings = {
            "signers": [signer],
            "recipients": [recipient.public_key],
            "app": APP,
            "version": f"1.0.{next(versions)}",
            "trust": trust,
            "sequence": 7,
            "log": tmp_path / "releases.log",
        } | keywords
        return release(web, out, **settings)

    return make


def test_a_release_is_published_logged_and_what_a_device_accepts(make, live, out, trust, recipient, tmp_path):
    with Connection(live.url) as connection:
        released = make(connection=connection)
    assert sorted(os.listdir(out)) == [f"{APP}@production-7.payload", f"{APP}@production-7.seal"]
    expect = Expect(app=APP, channel="production", floor=6)
    capseal.unseal(
        released.payload, tmp_path / "o.zip", identity=recipient, trust=trust, expect=expect, seal=released.seal
    )
    latest = live.client.get(f"/v1/apps/{APP}/channels/production/latest").json()
    assert latest["sequence"] == released.published["sequence"] == 7
    (logged,) = verify_log(tmp_path / "releases.log", trust=[trust])
    assert (logged.entry.sequence, logged.entry.payload) == (7, latest["payload"]["digest"]["fsverity-sha256"])
    assert logged.entry.seal == latest["seal"]["digest"]["sha256"]


def test_what_the_production_store_refuses_leaves_nothing_behind(make, live, out, development_signer, tmp_path):
    with Connection(live.url) as connection, pytest.raises(SignatureError):
        make(connection=connection, signers=[development_signer])
    assert os.listdir(out) == []
    with pytest.raises(SignatureError):  # by release itself, where neither log nor server looks at it again
        make(log=None, signers=[development_signer])
    assert os.listdir(out) == []
    assert not (tmp_path / "releases.log").exists()
    assert live.client.get("/v1/apps").json() == {"latest": []}


def test_too_few_signatures_are_refused_and_enough_are_not(make, out, trust_both, signer, signer2):
    with pytest.raises(SignatureError, match="the threshold is 2"):
        make(trust=trust_both)
    assert os.listdir(out) == []
    assert len(make(trust=trust_both, signers=[signer, signer2]).verified.signers) == 2


def test_a_release_is_never_replaced(make):
    made = Path(make().seal).read_bytes()
    with pytest.raises(UsageError, match="exists already; take a higher sequence"):
        make(log=None)
    assert Path(make(sequence=8).seal).read_bytes() != made


def test_releases_of_one_second_do_not_collide(make, trust, tmp_path):
    sequences = [make(sequence=None).verified.statement.sequence for _ in range(3)]
    assert sequences == sorted(set(sequences))
    without = [make(sequence=None, log=None).verified.statement.sequence for _ in range(3)]
    assert without == sorted(set(without))
    assert len(verify_log(tmp_path / "releases.log", trust=[trust])) == 3


def test_after_a_release_with_a_fast_clock_the_next_has_a_higher_sequence(make, out):
    ahead = int(time.time()) + 10_800
    make(sequence=ahead)
    for name in os.listdir(out):
        (out / name).unlink()
    assert make(sequence=None).verified.statement.sequence == ahead + 1


@pytest.mark.parametrize("stolen", [2_000_000_000, 2**53 - 1])
def test_after_a_restart_the_next_sequence_is_above_what_counts_and_not_a_thiefs(make, out, trust, signer2, stolen):
    make(sequence=1_000)
    make(sequence=stolen)
    created = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=1)
    restart = Restart(1_500, created)
    store = replace(TrustStore.of(signer2.public_key), version=4, created=created, restart=restart)
    before = int(time.time())
    first = make(sequence=None, trust=store, signers=[signer2]).verified.statement.sequence
    assert before <= first < before + 1_000
    assert make(sequence=None, trust=store, signers=[signer2]).verified.statement.sequence > first
    # What was released under the new store counts, however high it is.
    ahead = first + 100_000
    make(sequence=ahead, trust=store, signers=[signer2])
    assert make(sequence=None, trust=store, signers=[signer2]).verified.statement.sequence == ahead + 1


def test_each_step_is_told_with_what_it_goes_through(make, live, web):
    told: dict[str, list[int]] = {}
    sizes = {}

    def begin(step, path):
        told[step], sizes[step] = [], os.path.getsize(path) if os.path.isfile(path) else None
        return told[step].append

    with Connection(live.url) as connection:
        released = make(connection=connection, steps=begin)
    size = released.verified.statement.payload.size
    assert list(told) == ["Sealing", "Verifying", "Publishing"]
    assert sizes == {"Sealing": None, "Verifying": size, "Publishing": size}
    assert sum(told["Verifying"]) == sum(told["Publishing"]) == size
    assert sum(told["Sealing"]) >= 5


def test_a_damaged_log_stops_a_release(make, out, tmp_path):
    (tmp_path / "releases.log").write_text("half a line")
    with pytest.raises(capseal.TruncatedError):
        make()
    assert os.listdir(out) == []


def test_a_server_that_cannot_be_reached_leaves_the_release_to_be_published_later(make, out, live):
    with Connection("http://127.0.0.1:9", attempts=1) as connection, pytest.raises(TransferError):
        make(connection=connection)
    assert len(os.listdir(out)) == 2


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "http://nosuch.invalid", "https://127.0.0.1:{port}"])
def test_where_no_request_can_have_arrived_the_next_release_may_go_anywhere(make, live, trust, tmp_path, url):
    """Refused, not resolved, no TLS: what is pending then is settled by the folder, not by that server."""
    wrong = url.format(port=live.url.rpartition(":")[2])
    with Connection(wrong, attempts=1) as connection, pytest.raises(TransferError, match="'capseal publish' goes on"):
        make(connection=connection)
    assert not connection.asked
    assert load_pending(tmp_path / "releases.log").server is None
    with Connection(live.url) as connection:
        make(connection=connection, sequence=8)
        assert connection.asked
    assert [one.entry.sequence for one in verify_log(tmp_path / "releases.log", trust=[trust])] == [7, 8]


def test_what_never_left_and_is_gone_is_not_logged(make, live, out, trust, tmp_path):
    with Connection("http://127.0.0.1:9", attempts=1) as connection, pytest.raises(TransferError):
        make(connection=connection)
    for name in os.listdir(out):
        (out / name).unlink()
    with Connection(live.url) as connection:
        make(connection=connection, sequence=8)
    assert [one.entry.sequence for one in verify_log(tmp_path / "releases.log", trust=[trust])] == [8]


# --- the command


def run(folder, *arguments, code=0, **keywords):
    done = subprocess.run(
        [sys.executable, "-m", "capseal", *arguments], cwd=folder, capture_output=True, text=True, **keywords
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture(scope="module")
def project_template(tmp_path_factory):
    folder = tmp_path_factory.mktemp("project")
    (folder / "www").mkdir()
    (folder / "www" / "index.html").write_text("hello")
    run(folder, "init", "--app", APP)
    return folder


@pytest.fixture
def project(project_template, tmp_path):
    """A project in a clean git work tree; in it a private key that CI would not have."""
    git = require_tool("git")
    folder = tmp_path / "project"
    subprocess.run(["cp", "-a", str(project_template), str(folder)], check=True)
    for arguments in (("init", "-q"), ("add", "."), ("commit", "-q", "-m", "first")):
        author = ("-c", "user.name=a", "-c", "user.email=a@example.com")
        subprocess.run([git, *author, *arguments], cwd=folder, check=True)
    return folder


def test_a_dirty_work_tree_is_refused(project):
    (project / "www" / "index.html").write_text("not committed")
    refused = run(project, "release", "--version", "1", code=2)
    assert "1 file is not as it was committed: www/index.html" in refused.stderr
    (project / "www" / "new.html").write_text("unknown to git")
    assert "2 files" in run(project, "release", "--version", "1", code=2).stderr
    assert not (project / "releases").exists()
    run(project, "release", "--version", "1", "--allow-dirty")


def test_what_to_do_about_a_dirty_work_tree_is_said(project):
    (project / "www" / "index.html").write_text("not committed")
    refused = run(project, "release", "--version", "1", code=2)
    assert "'git commit' first, or give --allow-dirty" in refused.stderr


@pytest.mark.parametrize("packed", [False, True])
def test_a_web_folder_without_a_start_page_is_warned_of_and_refused_if_strict(project, packed):
    (project / "www" / "index.html").rename(project / "www" / "start.html")
    source = "www"
    if packed:
        shutil.make_archive(str(project / "www"), "zip", project / "www")
        source = "www.zip"
    told = f"{source}: no index.html at its root"
    refused = run(project, "release", source, "--version", "1", "--allow-dirty", "--strict", code=2)
    assert told in refused.stderr and not (project / "releases").exists()
    assert f"warning: {told}" in run(project, "release", source, "--version", "1", "--allow-dirty").stderr
    if not packed:
        assert "www: has no index.html" in run(project, "doctor", "--project").stdout


def test_a_release_does_not_make_the_next_one_dirty(project):
    run(project, "release", "--version", "1", "--sequence", "1")
    run(project, "release", "--version", "2", "--sequence", "2")
    shown = run(project, "log", "verify").stdout.splitlines()
    assert len(shown) == 3 and "verified: 2 entries, head " in shown[2]
    head = shown[2].rpartition(" ")[2]
    assert json.loads(run(project, "log", "verify", "--json", "--head", head).stdout)["entries"][1]["version"] == "2"
    assert "was shortened" in run(project, "log", "verify", "--head", "0" * 63 + "1", code=1).stderr


def test_a_development_key_cannot_release(project):
    refused = run(project, "release", "--version", "1", "-s", "keys/development.pem", code=1)
    assert "which no trusted key matches" in refused.stderr
    assert os.listdir(project / "releases") == []


def test_json_tells_what_was_released(project):
    told = json.loads(run(project, "release", "--version", "1", "--json", "--no-publish").stdout)
    assert told["published"] is None and told["statement"]["version"] == "1"
    assert (project / told["seal"]).exists() and (project / told["payload"]).exists()


def test_git_is_shown_the_log_but_not_what_is_pending(project):
    run(project, "release", "--version", "1", "--sequence", "1")
    run(project, "release", "--version", "2", "--sequence", "2", "--server", "http://127.0.0.1:9", code=3)
    assert (project / "releases.log.pending").exists()
    status = [require_tool("git"), "status", "--porcelain"]
    shown = subprocess.run(status, cwd=project, capture_output=True, text=True, check=True).stdout
    assert shown == "?? releases.log\n"


@pytest.mark.parametrize("arrived", [False, True])
def test_publishing_a_pair_by_itself_logs_it_after_a_mistyped_server(project, tmp_path, arrived):
    """arrived: as where it is not known whether the first server took it."""
    wrong = "http://127.0.0.1:9"
    refused = run(project, "release", "--version", "1", "--sequence", "1", "--server", wrong, code=3)
    assert "'capseal publish' goes on with them" in refused.stderr
    payload = f"releases/{APP}@production-1.payload"
    waiting = project / "releases.log.pending"
    if arrived:
        waiting.write_bytes(dataclasses.replace(load_pending(project / "releases.log"), server=wrong).encode())
        stuck = run(project, "release", "--version", "2", code=2)
        assert f"or 'capseal publish {payload} URL', which logs it, or delete releases.log.pending if" in stuck.stderr
    store = capseal.load_trust(project / "keys" / "trust.json")
    with live_server(str(tmp_path / "store"), store) as live:
        done = run(project, "publish", payload, live.url)
        assert "logged in releases.log, where its entry was pending" in done.stdout
        assert not waiting.exists()
        run(project, "release", "--version", "3", "--sequence", "3", "--server", live.url)
        assert _latest(live) == "3"
    shown = json.loads(run(project, "log", "verify", "--json").stdout)
    assert [one["sequence"] for one in shown["entries"]] == [1, 3] and shown["pending"] is None


def test_publishing_another_pair_leaves_what_is_pending(project, tmp_path):
    run(project, "release", "--version", "1", "--sequence", "1")
    run(project, "release", "--version", "2", "--sequence", "2", "--server", "http://127.0.0.1:9", code=3)
    waiting = (project / "releases.log.pending").read_bytes()
    store = capseal.load_trust(project / "keys" / "trust.json")
    with live_server(str(tmp_path / "store"), store) as live:
        assert "logged" not in run(project, "publish", f"releases/{APP}@production-1.payload", live.url).stdout
    assert (project / "releases.log.pending").read_bytes() == waiting


# --- the examples, as CI would run them


@pytest.fixture
def ci(project, tmp_path, project_template):
    """A server with a token, and the environment of a CI job; the private key is in the environment only."""
    command = tmp_path / "bin" / "capseal"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m capseal "$@"\n')
    command.chmod(0o755)
    key = (project / "keys" / "signing.pem").read_text()
    for private in ("signing", "development", "recipient"):
        (project / "keys" / f"{private}.pem").unlink()
    store = capseal.load_trust(project / "keys" / "trust.json")
    with live_server(str(tmp_path / "store"), store, token=TOKEN) as live:
        yield live, key, os.environ | {"PATH": f"{command.parent}:{os.environ['PATH']}", "CAPSEAL_SERVER": live.url}


def _latest(live):
    return live.client.get(f"/v1/apps/{APP}/channels/production/latest").json()["version"]


def test_the_github_example_releases(project, ci):
    live, key, environment = ci
    text = (EXAMPLES / "github-actions.yml").read_text()
    script = text.partition("        run: |\n")[2].partition("      - name: Keep")[0]
    environment |= {"SIGNING_KEY": key, "SERVER_TOKEN": TOKEN, "VERSION": "v1.2.3"}
    done = subprocess.run(
        ["bash", "-e", "-c", textwrap.dedent(script)], cwd=project, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert _latest(live) == "1.2.3"
    assert "verified: 1 entry," in done.stdout
    assert list(project.rglob("*signing.pem")) == []


def test_the_gitlab_example_releases(project, ci, tmp_path):
    live, key, environment = ci
    text = (EXAMPLES / "gitlab-ci.yml").read_text()
    lines = text.partition("  script:\n")[2].partition("  artifacts:")[0].splitlines()
    (tmp_path / "key").write_text(key)
    (tmp_path / "token").write_text(TOKEN)
    environment |= {
        "CAPSEAL_SIGNER": str(tmp_path / "key"),
        "CAPSEAL_TOKEN_FILE": str(tmp_path / "token"),
        "CI_COMMIT_TAG": "v1.2.4",
    }
    script = "\n".join(line.strip().removeprefix("- ") for line in lines)
    done = subprocess.run(["sh", "-e", "-c", script], cwd=project, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert _latest(live) == "1.2.4"


def test_the_documentation_shows_the_examples_that_are_tested():
    shown = (EXAMPLES.parent.parent / "docs" / "ci.md").read_text()
    for name in ("github-actions.yml", "gitlab-ci.yml", "five-commands.sh"):
        assert (EXAMPLES / name).read_text() in shown, name
