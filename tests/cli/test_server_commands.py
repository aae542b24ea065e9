"""capseal serve, publish, fetch and withdraw, as people type them."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from capseal import TrustStore
from support.command import CAPSEAL, run
from support.s3 import point_at, s3_server
from support.server_fixtures import BundleMaker
from support.serving import APP, TOKEN, Bundle
from support.serving_command import serving, serving_pid


@pytest.fixture
def folder(tmp_path: Path, trust: TrustStore, bundle: Bundle) -> Path:
    """Holds trust.json, a token file and game.sealed."""
    trust.save(tmp_path / "trust.json")
    (tmp_path / "token").write_text(TOKEN + "\n")
    (tmp_path / "game.sealed").write_bytes(bundle.seal + bundle.payload)
    (tmp_path / "out").mkdir()
    return tmp_path


def test_publish_fetch_and_withdraw(folder: Path, bundle: Bundle) -> None:
    with serving(folder, "--token-file", "token", "--verify-reads") as url:
        refused = run("publish", "game.sealed", url, cwd=folder)
        refused.failed_with(2, "bearer token is missing or wrong")
        done = run("publish", "game.sealed", url, "--token-file", "token", cwd=folder).succeeded()
        assert done.out == f"published {APP} 1.0.7 on production, sequence 7\n".encode()
        got = run("fetch", url, "--app", APP, "-o", "out", "--trust", "trust.json", cwd=folder).succeeded()
        seal, payload = got.out.decode().split()
        assert (folder / seal).read_bytes() == bundle.seal
        assert (folder / payload).read_bytes() == bundle.payload
        run("verify", payload, "--seal", seal, "--trust", "trust.json", cwd=folder).succeeded()
        withdrawn = run("withdraw", url, "--app", APP, "--sequence", 7, "--token-file", "token", cwd=folder)
        assert withdrawn.succeeded().out.startswith(b"withdrew ")
        again = run("withdraw", url, "--app", APP, "--sequence", 7, "--token-file", "token", cwd=folder).succeeded()
        assert re.fullmatch(
            rf"nothing to do: {APP} 1\.0\.7 on production, sequence 7 was withdrawn at 20\S+Z\n", again.out.decode()
        )
        gone = run("fetch", url, "--app", APP, "-o", "out", "--trust", "trust.json", cwd=folder)
        gone.failed_with(2, "no release of app")
        asked = ["fetch", url, "--app", APP, "-o", "out", "--trust", "trust.json", "--sequence", 7]
        run(*asked, cwd=folder).failed_with(1, "sequence 7 was withdrawn at 20")
    assert TOKEN not in (folder / "log").read_text()


def test_withdrawing_from_a_server_without_tokens_says_how_it_gets_one(folder: Path) -> None:
    with serving(folder) as url:
        run("publish", "game.sealed", url, cwd=folder).succeeded()
        refused = run("withdraw", url, "--app", APP, "--sequence", 7, cwd=folder)
        refused.failed_with(2, "no token of this server may withdraw: its operator starts it with one (capseal serve ")
        assert "--token-file FILE" in refused.err


def test_server_and_token_of_the_environment_and_the_project_serve_every_command_that_needs_them(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(folder, "--token-file", "token", "--verify-reads") as url:
        (folder / "capseal.toml").write_text(f'app = "{APP}"\nserver = "{url}"\ntrust = "trust.json"\n')
        refused = run("publish", "game.sealed", cwd=folder)
        refused.failed_with(2, "no token was sent; name its file with --token-file or CAPSEAL_TOKEN_FILE")
        monkeypatch.setenv("CAPSEAL_TOKEN_FILE", "")
        run("publish", "game.sealed", cwd=folder).failed_with(2, "CAPSEAL_TOKEN_FILE is set, but empty: unset it, or")
        (folder / "wrong").write_text("x" * 32)
        monkeypatch.setenv("CAPSEAL_TOKEN_FILE", "wrong")
        run("publish", "game.sealed", cwd=folder).failed_with(2, "what was sent is none of its own")
        monkeypatch.setenv("CAPSEAL_TOKEN_FILE", "the-token-itself")
        refused = run("publish", "game.sealed", cwd=folder)
        refused.failed_with(3, "CAPSEAL_TOKEN_FILE, which is to name a file and is not shown here: no such file")
        assert "the-token-itself" not in refused.err
        monkeypatch.setenv("CAPSEAL_TOKEN_FILE", "token")
        run("publish", "game.sealed", cwd=folder).succeeded()
        run("fetch", "-o", "made/here", cwd=folder).succeeded()  # the folder is made, as by `release -o`
        assert len(os.listdir(folder / "made" / "here")) == 2
        monkeypatch.setenv("CAPSEAL_SERVER", "http://127.0.0.1:9")
        run("withdraw", "--sequence", 7, cwd=folder).failed_with(3, "http://127.0.0.1:9: ")
        monkeypatch.setenv("CAPSEAL_SERVER", url)
        (folder / "capseal.toml").write_text(f'app = "{APP}"\n')
        run("withdraw", "--sequence", 7, cwd=folder).succeeded()
    monkeypatch.delenv("CAPSEAL_SERVER")
    for command in (("fetch", "-o", "out", "--trust", "trust.json"), ("withdraw", "--sequence", 1)):
        run(*command, cwd=folder).failed_with(2, "no server: name its URL, or set CAPSEAL_SERVER, or 'server' in caps")


def test_the_signer_of_the_environment_signs_whatever_a_key_for_releases_signs(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("key", "generate", "signing", "-o", "ci", "--bits", "3072", cwd=folder).succeeded()
    run("key", "generate", "recipient", "-o", "device", cwd=folder).succeeded()
    (folder / "out" / "index.html").write_text("<p>")
    monkeypatch.setenv("CAPSEAL_SIGNER", "ci.pem")
    run("seal", "out", "--app", APP, "--version", "1", "-r", "device.pub.pem", "-o", "a.sealed", cwd=folder).succeeded()
    trusted = ("--trust", "ci.pub.pem")
    again = ("rewrap", "a.sealed", "-o", "b.sealed", "-r", "device.pub.pem", "-i", "device.pem", *trusted)
    run(*again, cwd=folder).succeeded()
    run("verify", "b.sealed", *trusted, cwd=folder).succeeded()
    # No other purpose: a root key is named for itself.
    refused = run("trust", "add", "ci.pub.pem", "--trust", "trust.json", "--update", "2.json", cwd=folder)
    refused.failed_with(2, "no signer: give -s FILE")


def test_an_url_that_is_not_the_base_of_a_server_is_told_as_that(folder: Path) -> None:
    with serving(folder) as url:
        for command in (
            ("fetch", f"{url}/v1/apps", "--app", APP, "-o", "out", "--trust", "trust.json"),
            ("publish", "game.sealed", f"{url}/v1/apps"),
        ):
            run(*command, cwd=folder).failed_with(2, "status 404; the URL has to be the server's base, such as https")


def test_rejections_and_networks_have_their_own_exit_codes(
    folder: Path, sealed: Callable[..., Bundle], signer2: object
) -> None:
    other = sealed(sequence=9, by=signer2)
    (folder / "other.sealed").write_bytes(other.seal + other.payload)
    with serving(folder) as url:
        run("publish", "other.sealed", url, cwd=folder).failed_with(1, "no trusted key matches")
    (folder / "nothing").write_bytes(b"")
    run("publish", "game.sealed", "ftp://x", cwd=folder).failed_with(2, "is not an http:// or https:// URL")
    run("publish", "missing", "http://127.0.0.1:9", cwd=folder).failed_with(3, "missing")


def test_serve_says_what_it_cannot_do(folder: Path) -> None:
    run("serve", "store", cwd=folder).failed_with(2, "nobody is trusted")
    run("serve", "store", "--trust", "trust.json", "--tls-key", "x", cwd=folder).failed_with(2, "together")
    run("serve", "store", "--trust", "trust.json", "--token-file", "out", cwd=folder).failed_with(2, "out")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = [*CAPSEAL, "serve", "store", "--trust", "trust.json", "--port", str(port)]
        ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=30)
        assert ended.returncode == 3
        assert f"capseal: cannot listen on 127.0.0.1 port {port}: address already in use\n" in ended.stderr
        assert "Traceback" not in ended.stderr


def test_serve_says_why_it_does_not_start(folder: Path) -> None:
    record = folder / "store" / "releases" / APP / "production" / f"{7:016d}" / "release.json"
    record.parent.mkdir(parents=True)
    record.touch()  # as earlier versions had it
    command = [*CAPSEAL, "serve", "store", "--trust", "trust.json", "--port", "0"]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=30)
    told = ended.stderr.splitlines()[-1]
    assert ended.returncode == 2
    assert told.startswith("capseal: the store is of an earlier version, which had releases/")
    assert told.endswith("publish its bundles anew into an empty one")
    assert "cannot listen" not in ended.stderr


def serve_in_vain(folder: Path, store: str = "store") -> "subprocess.CompletedProcess[str]":
    command = [*CAPSEAL, "serve", store, "--trust", "trust.json", "--port", "0"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=30)


def test_serve_makes_no_store_of_a_folder_that_is_something_else(folder: Path) -> None:
    (folder / "dist").mkdir()
    (folder / "dist" / "index.html").write_text("<!doctype html>")
    ended = serve_in_vain(folder, "dist")
    assert ended.returncode == 2
    assert ended.stderr.splitlines()[-1] == (
        "capseal: dist is no store, and not empty: it has index.html; give the store a folder of its own"
    )
    assert os.listdir(folder / "dist") == ["index.html"]


def test_serve_that_cannot_start_tells_no_traceback(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with s3_server("bundles") as place:
        point_at(place, monkeypatch)
        for store in ("s3://nobucket/x", "other"):
            (folder / "other").mkdir(exist_ok=True)
            (folder / "other" / "index.html").touch()
            ended = serve_in_vain(folder, store)
            assert ended.returncode in (2, 3)
            assert "Traceback" not in ended.stderr
            assert ended.stderr.splitlines()[-1].startswith("capseal: ")


def test_a_server_does_not_collect_its_garbage_in_large_pieces_as_commands_do(folder: Path) -> None:
    program = """
import gc, sys, uvicorn
uvicorn.Server.run = lambda self, sockets=None: print(*gc.get_threshold(), gc.get_freeze_count(), flush=True)
from capseal.cli import main
sys.argv = ["capseal", "serve", "store", "--trust", "trust.json", "--port", "0"]
main()
"""
    ended = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, timeout=60)
    young, middle, old, frozen = map(int, ended.stdout.split())
    assert young * middle <= 10_000  # of what is new, at most so many objects are looked at while everybody waits
    assert old >= 50
    assert frozen > 10_000  # what was imported is not looked at


def test_serve_makes_a_store_of_a_new_file_system(folder: Path) -> None:
    (folder / "store" / "lost+found").mkdir(parents=True)
    with serving(folder) as url:
        assert httpx.get(url + "/readyz").status_code == 200
    assert (folder / "store" / "store.json").exists()


def test_a_store_that_lost_its_store_json_is_not_said_to_be_of_an_earlier_version(folder: Path) -> None:
    with serving(folder) as url:
        run("publish", "game.sealed", url, cwd=folder).succeeded()
    (folder / "store" / "store.json").unlink()
    ended = serve_in_vain(folder)
    assert ended.returncode == 2
    assert "but no store.json: a part of a store; restore it whole" in ended.stderr.splitlines()[-1]
    assert "earlier version" not in ended.stderr
    assert not (folder / "store" / "store.json").exists()


@pytest.mark.parametrize("signals", [["SIGTERM"], ["SIGHUP", "SIGTERM", "SIGHUP"]])
def test_serve_ends_on_sigterm_once_what_is_under_way_is_done(folder: Path, bundle: Bundle, signals: list[str]) -> None:
    with serving(folder, end=signals) as url:
        begun = httpx.post(f"{url}/v1/uploads", content=bundle.seal).json()
        host, _, port = url.removeprefix("http://").partition(":")
        head = f"PUT {begun['links']['payload']} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(bundle.payload)}\r\n\r\n"
        connection = socket.create_connection((host, int(port)))
        connection.sendall(head.encode() + bundle.payload[:1000])
        time.sleep(0.2)

        def finish() -> None:
            time.sleep(0.5)  # the signals have come
            with connection:
                connection.sendall(bundle.payload[1000:])
                answers.append(connection.recv(4096))

        answers: list[bytes] = []
        finishing = threading.Thread(target=finish)
        finishing.start()
    finishing.join()
    assert answers[0].startswith(b"HTTP/1.1 200 ")
    assert "Traceback" not in (folder / "log").read_text()


def test_serve_that_was_started_with_sighup_ignored_goes_on_ignoring_it(folder: Path) -> None:
    with serving(folder, under=["nohup"]) as url:
        os.kill(serving_pid(folder), signal.SIGHUP)
        time.sleep(0.5)
        assert httpx.get(url + "/healthz").text == "ok\n"


def test_the_log_is_json_lines(folder: Path) -> None:
    import json

    with serving(folder) as url:
        assert httpx.get(url + "/healthz").text == "ok\n"
    lines = (folder / "log").read_text().splitlines()
    messages = [json.loads(line)["message"] for line in lines]
    assert "request" in messages
    assert any(re.match("Uvicorn running", message) for message in messages)


# --- what is kept


def test_prune_shows_what_would_go_and_a_server_lets_it_go(folder: Path, sealed: BundleMaker) -> None:
    with serving(folder) as url:
        for sequence in (1, 2, 3):
            sealed(sequence=sequence, content=b"%d" % sequence)
            run("publish", f"{sequence}.payload", url, "--seal", f"{sequence}.seal", cwd=folder).succeeded()
        run("store", "prune", "store", cwd=folder).failed_with(2, "say what stays: --keep N, --keep-days DAYS, or both")
        run("store", "prune", "store", "--keep", "0", cwd=folder).failed_with(2, "0 is not at least 1")
        run("store", "prune", "none", "--keep", "1", cwd=folder).failed_with(3, "none: no such folder")
        assert not (folder / "none").exists()
        young = run("store", "prune", "store", "--keep-days", "1", cwd=folder).succeeded()
        assert young.out == b"0 releases let go of\n"
        shown = run("store", "prune", "store", "--keep", "2", "--dry-run", cwd=folder).succeeded().out.decode()
        assert re.fullmatch(
            rf"{APP} 1\.0\.1 \(sequence 1, production\), published \S+Z, \d+ bytes\n"
            "1 release would go, nothing was changed\n",
            shown,
        )
        as_json = json.loads(run("store", "prune", "store", "--keep", "1", "--dry-run", "--json", cwd=folder).out)
        assert ([one["sequence"] for one in as_json["releases"]], as_json["damaged"]) == ([2, 1], [])
        gone = run("store", "prune", "store", "--keep", "2", cwd=folder).succeeded().out
        assert gone.endswith(b"1 release let go of\n")
    releases = f"/v1/apps/{APP}/channels/production/releases"
    with serving(folder, "--keep", "1", "--collect-interval-s", "1") as url:
        deadline = time.monotonic() + 60
        while [one["sequence"] for one in httpx.get(url + releases).json()["releases"]] != [3]:
            assert time.monotonic() < deadline
            time.sleep(0.1)
