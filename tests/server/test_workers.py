"""serve --workers: several processes on one socket, which die and end as one would."""

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from capseal import TrustStore
from capseal.client import Connection, publish
from support.command import CAPSEAL
from support.serving import APP, CHANNEL, Bundle
from support.serving_command import free_port


def workers_of(pid: int) -> set[int]:
    return set(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


@contextlib.contextmanager
def working(folder: Path, trust: TrustStore, *arguments: str) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    trust.save(folder / "trust")
    port = str(free_port())
    command = [*CAPSEAL, "serve", "store", "--trust", "trust", "--port", port, "--workers", "2", *arguments]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, stderr=log, text=True)
    try:
        yield f"http://127.0.0.1:{port}", process
    finally:
        process.kill()
        process.wait()


def up(url: str, client: httpx.Client) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.TransportError):
            client.get(f"{url}/healthz", timeout=30).raise_for_status()
            return
        time.sleep(0.05)
    raise AssertionError("nobody listens")


def test_workers_share_a_socket_and_a_store_and_one_that_dies_is_followed(
    tmp_path: Path, trust: TrustStore, bundle: Bundle
) -> None:
    (tmp_path / "sealed").write_bytes(bundle.seal + bundle.payload)
    with httpx.Client() as client, working(tmp_path, trust) as (url, process):
        up(url, client)
        before = workers_of(process.pid)
        assert len(before) == 2
        listening = f'"message": "listening", "place": "127.0.0.1 port {url.rpartition(":")[2]}", "workers": 2'
        assert listening in (tmp_path / "log").read_text()
        with Connection(url) as one:
            publish(tmp_path / "sealed", one)
        for pid in before:
            os.kill(pid, signal.SIGKILL)
            with httpx.Client() as another:
                up(url, another)
                latest = another.get(f"{url}/v1/apps/{APP}/channels/{CHANNEL}/latest").raise_for_status()
                assert latest.json()["sequence"] == bundle.parsed.statement.sequence
        deadline = time.monotonic() + 30
        while (len(now := workers_of(process.pid)) < 2 or now & before) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert len(now) == 2
        assert not now & before
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        assert not any(Path(f"/proc/{pid}").exists() for pid in now)


def test_workers_end_with_who_watches_over_them(tmp_path: Path, trust: TrustStore) -> None:
    with httpx.Client() as client, working(tmp_path, trust) as (url, process):
        up(url, client)
        workers = workers_of(process.pid)
        process.kill()
        deadline = time.monotonic() + 60
        while any(Path(f"/proc/{pid}/exe").exists() for pid in workers) and time.monotonic() < deadline:
            time.sleep(0.1)
        with pytest.raises(httpx.TransportError):
            httpx.get(f"{url}/healthz")


def test_workers_that_cannot_start_end_with_the_cause(tmp_path: Path, trust: TrustStore) -> None:
    record = tmp_path / "store" / "releases" / "a" / "b" / f"{7:016d}" / "release.json"
    record.parent.mkdir(parents=True)
    record.touch()
    with working(tmp_path, trust) as (_, process):
        assert process.wait(60) == 3
    told = (tmp_path / "log").read_text()
    assert "the store is of an earlier version" in told
    assert re.search("no worker starts: the first one ended with status 2", told.splitlines()[-1])


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_server_ends_with_the_terminal_that_it_was_started_on(
    tmp_path: Path, trust: TrustStore, workers: str
) -> None:
    trust.save(tmp_path / "trust")
    port = str(free_port())
    command = [*CAPSEAL, "serve", "store", "--trust", "trust", "--port", port, "--workers", workers]
    ours, theirs = os.openpty()
    in_session = ["setsid", "--ctty", *command]  # as a shell in a terminal's window does
    with subprocess.Popen(in_session, cwd=tmp_path, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        try:
            os.close(theirs)
            with httpx.Client() as client:
                up(f"http://127.0.0.1:{port}", client)
            children = workers_of(process.pid)
            assert len(children) == (2 if workers == "2" else 0)
            process.send_signal(signal.SIGHUP)  # the terminal is open: a reload
            time.sleep(1)
            assert process.poll() is None
            assert workers_of(process.pid) == children
            os.close(ours)
            process.wait(20)
            assert process.returncode == 0
            assert not any(Path(f"/proc/{pid}").exists() for pid in children)
        finally:
            process.kill()
