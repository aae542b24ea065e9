"""Lines that are slow, break or go dead: what arrived is kept, and who waits is let go at once."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from capseal import DeviceStore, PrivateKey, TransferError, TrustStore, UsageError
from capseal.client import Connection, fetch, publish, stream_release
from capseal.client import _connection as connection
from capseal.client._parallel import Lanes
from capseal.constants import SEGMENT_BYTES
from capseal.server import Limits
from support.command import CAPSEAL, heed_signals
from support.proxy import proxy
from support.scripted import Request, Scripted, scripted
from support.server_fixtures import BundleMaker
from support.serving import APP, CHANNEL, Bundle, Live, live_server, some_bytes

AT_ONCE_S = 3.0


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "FIRST_WAIT_S", 0.01)


def written(folder: Path, bundle: Bundle) -> Path:
    (folder / "file").write_bytes(bundle.seal + bundle.payload)
    return folder / "file"


def refused_as_slow(live: Live) -> int:
    """Return how many requests the server ended since they came too slowly."""
    lines = live.client.get("/metrics").text.splitlines()
    return sum(int(float(line.rpartition(" ")[2])) for line in lines if "requests_total" in line and '"408"' in line)


def test_connections_of_one_upload_share_the_least_rate(
    store: Path, trust: TrustStore, sealed: BundleMaker, tmp_path: Path
) -> None:
    bundle = sealed(sequence=7, content=some_bytes(33))  # three pieces
    limits = Limits(idle_s=1.0, least_rate=1_400_000)  # more than each has, a third of what all have
    with live_server(str(store), trust, limits=limits) as live, proxy(live.port, uplink=4e6) as slow:
        with Connection(slow.url) as one:  # each of three has a third
            assert publish(written(tmp_path, bundle), one, jobs=3)["sequence"] == 7
        assert refused_as_slow(live) == 0


def test_a_line_below_the_least_rate_gets_a_bundle_through_in_the_end(
    store: Path, trust: TrustStore, sealed: BundleMaker, tmp_path: Path
) -> None:
    bundle = sealed(sequence=7, content=some_bytes(9))
    done: list[int] = []
    limits = Limits(idle_s=1.0, least_rate=20_000_000)
    with live_server(str(store), trust, limits=limits) as live, proxy(live.port, uplink=1.2e6) as slow:
        with Connection(slow.url) as one:
            publish(written(tmp_path, bundle), one, progress=done.append)
        assert refused_as_slow(live) >= 2
        assert live.client.get(live.release_url(7) + "/payload").content == bundle.payload
    assert sum(done) == len(bundle.payload)
    assert min(done) >= 0
    assert len(done) > 50  # it is told as it goes, not by pieces of 8 MiB


def test_of_a_piece_that_broke_off_whole_segments_are_kept(
    live: Live, sealed: BundleMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Long enough for the server to notice the end, and to store what it has.
    monkeypatch.setattr(connection, "sleep_using_event", lambda _: lambda _: time.sleep(0.5))
    bundle = sealed(sequence=7, content=some_bytes(15.5))  # one piece
    cuts = [len(bundle.seal) + 600 + n * SEGMENT_BYTES + 1000 for n in (3, 4, 5)]
    with proxy(live.port, up_cuts=list(cuts)) as flaky, Connection(flaky.url) as one:
        publish(written(tmp_path, bundle), one)
        assert flaky.up_cuts == []
        # A cut costs the segment that was arriving, and what sockets held: never the piece.
        assert flaky.passed_up < len(bundle.payload) + len(cuts) * (SEGMENT_BYTES + 2 * len(bundle.seal) + 4000)
    assert live.client.get(live.release_url(7) + "/payload").content == bundle.payload


def test_a_time_out_leaves_fewer_connections() -> None:
    with Connection("http://127.0.0.1:9") as one:
        lanes = Lanes(one, 4)
        together: list[int] = []
        busy = 0

        def work(number: int) -> None:
            nonlocal busy
            with contextlib.suppress(connection.TooSlowError), lanes.lane():
                raise connection.TooSlowError("slow")
            with lanes.lane():
                busy += 1
                together.append(busy)
                time.sleep(0.02)
                busy -= 1

        lanes.run(work, [(number,) for number in range(8)])
    assert max(together[2:]) == 1


def test_attempts_are_counted_anew_where_a_transfer_came_further() -> None:
    tried: list[int] = []

    def transfer() -> None:
        tried.append(1)
        raise TransferError("broken")

    with Connection("http://127.0.0.1:9", attempts=3) as one, pytest.raises(TransferError):
        one.retried(transfer, reached=lambda: min(4, len(tried)))
    assert len(tried) == 4 + 2


def test_retries_end_as_soon_as_they_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "FIRST_WAIT_S", 1000.0)
    monkeypatch.setattr(connection, "MOST_WAIT_S", 1000.0)
    stopped = threading.Event()

    tried: list[int] = []

    def transfer() -> None:
        tried.append(1)
        threading.Timer(0.1, stopped.set).start()
        raise TransferError("broken")

    began_s = time.monotonic()
    with Connection("http://127.0.0.1:9") as one, pytest.raises(TransferError):
        one.retried(transfer, stopped=stopped)
    assert time.monotonic() - began_s < AT_ONCE_S
    assert len(tried) <= 2


@contextlib.contextmanager
def hole(live: Live, *, after: int = 0) -> Iterator[tuple[Scripted, threading.Event]]:
    """A proxy whose line goes dead at the payload: it takes and gives nothing any more."""
    reached, ended = threading.Event(), threading.Event()

    def act(request: Request) -> None:
        if request.path.endswith("/payload"):
            reached.set()
            ended.wait(60)
            return
        status, headers, body = request.passed_on(live.port)
        request.answer(body, status=status, **headers)

    with scripted(act) as server:
        try:
            yield server, reached
        finally:
            ended.set()


@pytest.mark.parametrize("command", ["publish", "fetch"])
def test_ctrl_c_ends_a_dead_transfer_at_once(
    command: str, live: Live, tmp_path: Path, bundle: Bundle, trust: TrustStore, sealed: BundleMaker
) -> None:
    live.publish(bundle).raise_for_status()
    trust.save(tmp_path / "trust")
    (tmp_path / "out").mkdir()
    file = written(tmp_path, sealed(sequence=8, content=some_bytes(33)))
    with hole(live) as (server, reached):
        words = {
            "publish": [str(file), server.url],
            "fetch": [server.url, "-o", "out", "--app", APP, "--channel", CHANNEL, "--trust", "trust"],
        }
        settings = {"stderr": subprocess.PIPE, "preexec_fn": heed_signals}
        process = subprocess.Popen([*CAPSEAL, command, *words[command]], cwd=tmp_path, **settings)
        assert reached.wait(30)
        time.sleep(0.5)
        began_s = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert time.monotonic() - began_s < AT_ONCE_S
    assert (process.returncode, said) == (130, b"capseal: interrupted\n")


def test_what_failed_ends_the_transfers_that_hang(live: Live, tmp_path: Path, sealed: BundleMaker) -> None:
    ended = threading.Event()
    bundle = sealed(sequence=7, content=some_bytes(50))

    def act(request: Request) -> None:
        if "content-range" in request.headers and not request.headers["content-range"].startswith("bytes 0-"):
            ended.wait(60)
            return
        if request.method == "PUT":
            time.sleep(0.3)
            request.body()
            request.answer(status=403)
            return
        status, headers, body = request.passed_on(live.port)
        request.answer(body, status=status, **headers)

    began_s = time.monotonic()
    with scripted(act) as server, Connection(server.url) as one, pytest.raises(UsageError, match="status 403"):
        publish(written(tmp_path, bundle), one)
    took_s = time.monotonic() - began_s
    transfers = [thread for thread in threading.enumerate() if thread.name.startswith("capseal-transfer")]
    for thread in transfers:  # one outlives what it did by a moment
        thread.join(AT_ONCE_S)
    left = [thread for thread in transfers if thread.is_alive()]
    ended.set()
    assert took_s < AT_ONCE_S + 2
    assert left == []


SECOND = """
import signal, sys, time
from capseal.cli.framework.exit_codes import catch_signals, code_of
def run():
    try:
        print("ready", flush=True)
        time.sleep(60)
    finally:
        print("tidying", flush=True)
        time.sleep(float(sys.argv[1]))
        print("tidied", flush=True)
catch_signals()
raise SystemExit(code_of(run, sys.stdout))
"""


@pytest.mark.parametrize(("tidying_s", "between_s", "tidied"), [(1.0, 0.1, True), (8.0, 1.3, False)])
def test_a_second_ctrl_c_ends_what_the_first_left_hanging_but_no_quick_tidying_up(
    tidying_s: float, between_s: float, tidied: bool
) -> None:
    command = [sys.executable, "-c", SECOND, str(tidying_s)]
    settings = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "preexec_fn": heed_signals}
    with subprocess.Popen(command, **settings) as process:
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == b"tidying\n"
        time.sleep(between_s)
        process.send_signal(signal.SIGINT)
        assert process.stdout.read() == (b"tidied\n" if tidied else b"")
        assert process.wait(5) == 130


def test_totals_are_what_is_signed_and_known_before_the_first_progress(
    live: Live, tmp_path: Path, bundle: Bundle, trust: TrustStore, recipient: PrivateKey
) -> None:
    told: list[Any] = []
    bar = {"expecting": lambda total: told.append(("total", total)), "progress": told.append}
    device = DeviceStore(tmp_path / "device", trust=trust, identity=recipient, app=APP, builtin=tmp_path)
    with Connection(live.url) as one:
        for act in (
            lambda: publish(written(tmp_path, bundle), one, **bar),
            lambda: fetch(one, app=APP, channel=CHANNEL, folder=tmp_path, trust=trust, **bar),
            lambda: device.install(live.url, **bar),
        ):
            told.clear()
            with contextlib.suppress(Exception):  # the bundle is no zip, which is noticed after it was checked
                act()
            assert told[0] == ("total", len(bundle.payload))
            assert sum(told[1:]) == len(bundle.payload)


def test_a_stream_of_a_release_takes_one_request_and_goes_on_where_it_broke_off(
    published: Live, bundle: Bundle
) -> None:
    with proxy(published.port, cuts=[10**9, 2_000_000]) as flaky, Connection(flaky.url) as _:
        with stream_release(flaky.url, app=APP, channel=CHANNEL) as (seal, payload):
            assert seal.read() == bundle.seal
            assert payload.read() == bundle.payload
        assert flaky.passed_back < len(bundle.payload) + len(bundle.seal) + 200_000


def test_a_device_installs_what_a_proxy_without_ranges_passes_on(
    live: Live, tmp_path: Path, bundle: Bundle, trust: TrustStore, recipient: PrivateKey
) -> None:
    live.publish(bundle).raise_for_status()

    def act(request: Request) -> None:
        status, headers, body = request.passed_on(live.port, without=("range",))
        request.answer(body, status=status, **headers)

    device = DeviceStore(tmp_path / "device", trust=trust, identity=recipient, app=APP, builtin=tmp_path)
    done: list[int] = []
    with scripted(act) as server, contextlib.suppress(Exception):
        device.install(server.url, progress=done.append)
    assert sum(done) == len(bundle.payload)
    assert len([request for request in server.seen if request.path.endswith("/payload")]) == 1


def test_a_transfer_that_could_not_be_ended_writes_nothing_any_more(tmp_path: Path) -> None:
    from capseal.client._fetching import _Unfinished

    with _Unfinished(str(tmp_path / "file")) as unfinished:
        unfinished.write(0, memoryview(b"abc"))
    other = os.open(tmp_path / "other", os.O_RDWR | os.O_CREAT)  # gets the number that was closed
    with pytest.raises(TransferError):
        unfinished.write(0, memoryview(b"EVIL"))
    assert os.fstat(other).st_size == 0
    os.close(other)
