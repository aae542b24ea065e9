"""What devices report: counted once, on disk before it is answered, and nothing of it says which device it was."""

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from threading import Event, Lock, local
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capseal import FormatError, TrustStore, UsageError
from capseal.capgo import _counts, parse_counts
from capseal.capgo._counts import EventCounts
from capseal.capgo._day_counts import DAY_S, DayCount
from capseal.capgo._events import EventKind, parse_events
from capseal.client import Connection, publish
from capseal.server import CapgoUpdates, parse_tokens
from support.capgo_devices import DeviceOpener
from support.capgo_pair import Pair
from support.command import CAPSEAL, run
from support.serving import APP, CHANNEL, Live, live_server
from support.serving_command import free_port
from support.tools import require_tool

STATS = "/v1/capgo/stats"
DEVICE = "00009999-0000-4000-8000-000000000000"


def event(action: str = "set", version: str = "1.0.1", **changes: Any) -> dict[str, Any]:
    sent = {
        "platform": "android",
        "device_id": DEVICE,
        "app_id": APP,
        "custom_id": "somebody@example.com",
        "version_build": "1.0.0",
        "version_name": version,
        "old_version_name": "",
        "plugin_version": "8.51.23",
        "action": action,
        "timestamp": 1_800_000_000_000,
        "metadata": {"reason": "why"},
    }
    return sent | changes


@pytest.fixture
def live(store: Path, tmp_path: Path, trust: TrustStore) -> Iterator[Live]:
    updates = CapgoUpdates(statistics=str(tmp_path / "stats.sqlite"))
    with live_server(str(store), trust, extensions=[updates]) as live:
        yield live


def counted(live: Live) -> Counter[tuple[str, str]]:
    counts = live.client.get(f"{STATS}.json").json()["counts"]
    return Counter({(one["action"], one["version"]): one["events"] for one in counts})


def test_what_the_plugin_reports_is_counted(live: Live, opened: DeviceOpener) -> None:
    device = opened(live.url, stats=live.url + STATS)
    done = device.do("event", action="set", version="1.0.1", details={"reason": "x"}, wait_s=20)
    assert done == {"sent": True, "pending": 0}
    assert counted(live) == {("set", "1.0.1"): 1}


def test_one_event_and_many_are_counted_by_kind(live: Live) -> None:
    assert live.client.post(STATS, json=event()).status_code == 200
    many = [event(), event("download_fail", "1.0.2"), event("download_manifest_file_fail", "1.0.2:js/app.js")]
    assert live.client.post(STATS, json=many).json() == {"status": "ok"}
    failures = {("download_fail", "1.0.2"): 1, ("download_manifest_file_fail", "1.0.2"): 1}
    assert counted(live) == {("set", "1.0.1"): 2} | failures
    metrics = live.client.get("/metrics").text
    assert 'capseal_capgo_events_total{action="set"} 2.0' in metrics


def test_nothing_stored_says_which_device_it_was(live: Live, tmp_path: Path) -> None:
    live.client.post(STATS, json=[event(), event("download_fail")]).raise_for_status()
    stored = b"".join(path.read_bytes() for path in tmp_path.glob("stats.sqlite*"))
    assert APP.encode() in stored
    for secret in (DEVICE, "somebody@example.com", "why"):
        assert secret.encode() not in stored


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"x", b"[]", b"1", b"[1]", b"{}", b" " * (1024 * 1024 + 1)),
        *(json.dumps(event(app_id=app)).encode() for app in ("", "../x")),
        *(json.dumps(one).encode() for one in (event(action=1), [event()] * 1001)),
    ],
)
def test_what_is_no_report_is_refused_for_good(body: bytes, live: Live) -> None:
    answer = live.client.post(STATS, content=body)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_json_body")
    assert counted(live) == {}


@given(body=st.binary(max_size=100) | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps))
def test_no_bytes_are_more_than_refused(body: bytes | str) -> None:
    with pytest.raises(FormatError):
        parse_events(body if isinstance(body, bytes) else body.encode())


def test_what_nobody_knows_is_other() -> None:
    odd = parse_events(json.dumps([event("<script>", "x" * 65, platform="windows"), event("download_40")]).encode())
    assert odd == {
        EventKind(APP, "other", "other", "other"): 1,
        EventKind(APP, "android", "download_percent", "1.0.1"): 1,
    }


def test_where_nothing_can_be_written_the_plugin_keeps_it(
    store: Path, tmp_path: Path, trust: TrustStore, opened: DeviceOpener
) -> None:
    (tmp_path / "stats").mkdir()
    with live_server(str(store), trust, extensions=[CapgoUpdates(statistics=str(tmp_path / "stats"))]) as live:
        assert live.client.post(STATS, json=event()).status_code == 503
        assert live.client.get(STATS).status_code == 503
        device = opened(live.url, stats=live.url + STATS)
        done = device.do("event", action="set", version="1.0.1", details={}, wait_s=3)
        assert done["sent"] is False
        (tmp_path / "stats").rmdir()
        deadline = time.monotonic() + 30
        while not counted(live) and time.monotonic() < deadline:
            time.sleep(0.2)
        assert counted(live) == {("set", "1.0.1"): 1}


def test_the_page_shows_installs_failures_and_versions(live: Live) -> None:
    assert "Nothing yet" in live.client.get(STATS).text
    live.client.post(STATS, json=[event(), event(version="1.0.2"), event("checksum_fail")]).raise_for_status()
    page = live.client.get(STATS)
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    for words in (APP, "Installs by day", "checksum_fail", "1.0.2", "<svg"):
        assert words in page.text
    assert "<script" not in page.text


def test_a_server_without_statistics_has_no_such_place(store: Path, trust: TrustStore) -> None:
    with live_server(str(store), trust, extensions=[CapgoUpdates()]) as live:
        assert live.client.post(STATS, json=event()).status_code == 404
        assert live.client.get(STATS).status_code == 404
    with pytest.raises(UsageError, match="at least 1"):
        CapgoUpdates(statistics="x", statistics_days=0)


# The file.


def counts_of(*versions: str) -> Counter[EventKind]:
    return Counter(EventKind(APP, "android", "set", version) for version in versions)


def test_what_is_older_than_the_days_that_are_kept_is_deleted(tmp_path: Path) -> None:
    now = 1000.0 * DAY_S

    async def story() -> None:
        nonlocal now
        counts = EventCounts(str(tmp_path / "stats"), keep_days=2, clock=lambda: now)
        for version in ("1", "2", "3", "4"):
            await counts.add(counts_of(version))
            now += DAY_S
        assert [(one.day, one.version) for one in counts.by_day()] == [(1001, "2"), (1002, "3"), (1003, "4")]

    asyncio.run(story())


def test_many_kinds_in_an_hour_become_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_counts, "MAX_KINDS_AN_HOUR", 3)

    async def story() -> None:
        counts = EventCounts(str(tmp_path / "stats"), keep_days=9)
        await counts.add(counts_of("1", "2"))
        await counts.add(counts_of("1", "2", "3", "4", "5", "5"))
        found = {one.version: one.events for one in counts.by_day()}
        assert found == {"1": 2, "2": 2, "3": 1, "other": 3}

    asyncio.run(story())


def test_what_cannot_be_written_is_counted_in_no_part(tmp_path: Path) -> None:
    async def story() -> None:
        counts = EventCounts(str(tmp_path / "stats"), keep_days=9)
        await counts.add(counts_of("1"))
        with sqlite3.connect(tmp_path / "stats") as other:
            other.execute(
                "CREATE TRIGGER no BEFORE INSERT ON counts WHEN NEW.version = 'b' BEGIN SELECT RAISE(ABORT, 'no'); END"
            )
        with pytest.raises(sqlite3.Error):
            await counts.add(counts_of("a", "b", "c"))
        await counts.add(counts_of("1"))
        assert [(one.version, one.events) for one in counts.by_day()] == [("1", 2)]

    asyncio.run(story())


# Load, and a server that is killed.


def test_what_was_answered_survives_a_kill(tmp_path: Path, trust: TrustStore, pair: Pair) -> None:
    told = killed_under_load(tmp_path, trust, pair, seconds=1.5, checks_a_second=20, downloads=2)
    assert told.errors == []


# Who may look, and several servers.


def test_counts_are_for_whoever_may_read_metrics(store: Path, tmp_path: Path, trust: TrustStore) -> None:
    tokens = parse_tokens(
        b"""
        [monitoring]
        variable = "A"
        rights = ["metrics"]
        [ci]
        variable = "B"
        rights = ["publish"]
        """,
        where="tokens.toml",
        variables={"A": "a" * 40, "B": "b" * 40},
    )
    updates = CapgoUpdates(statistics=str(tmp_path / "stats.sqlite"))
    with live_server(str(store), trust, extensions=[updates], tokens=tokens) as live:
        assert live.client.post(STATS, json=event()).status_code == 200  # devices have no token
        for path in (STATS, f"{STATS}.json", "/metrics"):
            for token, status in (("", 401), ("c" * 40, 401), ("b" * 40, 403), ("a" * 40, 200)):
                headers = {"Authorization": f"Bearer {token}"} if token else {}
                answer = live.client.get(path, headers=headers)
                assert answer.status_code == status, (path, token)
        token = tmp_path / "token"
        token.write_text("a" * 40)
        run("capgo", "statistics", live.url, cwd=tmp_path).failed_with(2, "token")
        done = run("capgo", "statistics", live.url, "--token-file", "token", cwd=tmp_path).succeeded()
        assert done.out == f"{APP} 1.0.1 set: 1 event\n".encode()


def test_one_page_shows_what_several_servers_counted(tmp_path: Path, trust: TrustStore) -> None:
    with ExitStack() as stack:
        lives = []
        for name in ("one", "two"):
            updates = CapgoUpdates(statistics=str(tmp_path / f"{name}.sqlite"))
            lives.append(stack.enter_context(live_server(str(tmp_path / name), trust, extensions=[updates])))
        for live, number in zip(lives, (2, 3), strict=True):
            live.client.post(STATS, json=[event()] * number + [event("unzip_fail", "1.0.2")]).raise_for_status()
        urls = [live.url for live in lives]
        out = json.loads(run("capgo", "statistics", *urls, "--json", "-o", "a.html", cwd=tmp_path).succeeded().out)
        events = {(one["action"], one["version"]): one["events"] for one in out["counts"]}
        assert events == {("set", "1.0.1"): 5, ("unzip_fail", "1.0.2"): 2}
        page = (tmp_path / "a.html").read_text()
        assert APP in page and "unzip_fail<td>2<td" in page and "1.0.1<td>5<td" in page
        run("capgo", "statistics", *urls, "-o", "a.html", cwd=tmp_path).failed_with(2, "a.html")
        run("capgo", "statistics", urls[0], urls[0], cwd=tmp_path).failed_with(2, "named twice")
    with live_server(str(tmp_path / "three"), trust) as live:
        run("capgo", "statistics", live.url, cwd=tmp_path).failed_with(2, "404")


GOOD = {"day": "2026-11-28", "app": APP, "action": "set", "version": "1", "events": 1}


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"day": "2026-11-31"}, "is not a day"),
        ({"day": 1}, "expected a string"),
        ({"events": -1}, "-1 is not"),
        ({"events": "1"}, "expected an integer"),
        ({"app": ""}, "printable"),
        ({"more": 1}, "unknown member"),
    ],
)
def test_what_another_server_says_is_read_strictly(changes: dict[str, Any], complaint: str) -> None:
    assert parse_counts({"counts": [GOOD]}) == [DayCount(20_785, APP, "set", "1", 1)]
    with pytest.raises(FormatError, match=complaint):
        parse_counts({"counts": [GOOD, GOOD | changes]})


def test_an_answer_has_so_many_counts_and_the_rest_of_each_day_as_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_counts, "MAX_COUNTS", 3)
    for day in (1, 2):
        events = EventCounts(str(tmp_path / "s"), keep_days=90, clock=lambda day=day: day * DAY_S)  # type: ignore[misc]
        kinds = {EventKind(APP, "ios", "set", f"1.{number}"): 10 * day + number for number in range(4)}
        asyncio.run(events.add(Counter(kinds)))
    assert events.by_day() == [
        DayCount(1, "other", "other", "other", 10 + 11 + 12 + 13),
        DayCount(2, APP, "set", "1.1", 21),
        DayCount(2, APP, "set", "1.2", 22),
        DayCount(2, APP, "set", "1.3", 23),
        DayCount(2, "other", "other", "other", 20),
    ]


@pytest.mark.soak
def test_under_load_nothing_fails_and_nothing_is_lost_over_a_kill(
    tmp_path: Path, trust: TrustStore, pair: Pair
) -> None:
    told = killed_under_load(tmp_path, trust, pair, seconds=60, checks_a_second=200, downloads=16)
    print(
        f"{told.reports} reports and {told.checks} checks answered, {told.bytes} bytes downloaded, "
        f"in {told.seconds:.1f} s"
    )
    assert told.errors == []
    assert told.seconds < 75


@dataclass
class Told:
    """What clients were told. reports, checks: that were answered; bytes: that were downloaded."""

    reports: int = 0
    checks: int = 0
    bytes: int = 0
    seconds: float = 0.0
    errors: list[str] = field(default_factory=list)


def killed_under_load(
    folder: Path, trust: TrustStore, pair: Pair, *, seconds: float, checks_a_second: int, downloads: int
) -> Told:
    """Send 50 reports of 10 events a second, checks and downloads beside; then SIGKILL while reports go on.

    Each report that was answered is in the file afterwards.
    """
    trust.save(folder / "trust.json")
    with live_server(str(folder / "store"), trust) as live, Connection(live.url) as connection:
        publish(pair.folder / "game.sealed", connection)
    told, lock, stopping = Told(), Lock(), Event()
    with killable(folder) as (process, url), httpx.Client(base_url=url, timeout=30) as client:
        asked = event() | {"version_name": "builtin", "defaultChannel": CHANNEL}
        file = httpx.URL(client.post("/v1/capgo/updates", json=asked).json()["url"]).path
        begin = time.monotonic()

        own, connections = local(), list[HTTPConnection]()

        def paced(number: int, a_second: int, what: str, path: str, body: bytes) -> None:
            time.sleep(max(0.0, begin + number / a_second - time.monotonic()))
            try:
                if not hasattr(own, "connection"):
                    own.connection = HTTPConnection("127.0.0.1", int(url.rpartition(":")[2]), timeout=30)
                    connections.append(own.connection)
                own.connection.request("POST", path, body, {"Content-Type": "application/json"})
                answer = own.connection.getresponse()
                said = answer.read()
            except (OSError, HTTPException) as error:
                own.__dict__.clear()
                if not stopping.is_set():
                    told.errors.append(repr(error))
                return  # a device would send it again
            with lock:
                setattr(told, what, getattr(told, what) + 1)
                if answer.status != 200:
                    told.errors.append(said.decode())

        def report(number: int) -> None:
            paced(number, 50, "reports", STATS, json.dumps([event("set", f"{number % 7}.0.0")] * 10).encode())

        def check(number: int) -> None:
            paced(number, checks_a_second, "checks", "/v1/capgo/updates", json.dumps(asked).encode())

        # In processes of their own, each as fast as a good line: one interpreter could not take more.
        command = [require_tool("curl"), "-s", "--limit-rate", "1M", "-o", os.devnull, f"{url}{file}?[1-10000]"]
        loading = [subprocess.Popen(command) for _ in range(downloads)]
        try:
            with ThreadPoolExecutor(16) as pool, ThreadPoolExecutor(8) as reporters:
                checks = [pool.submit(check, number) for number in range(int(checks_a_second * seconds))]
                list(reporters.map(report, range(int(50 * seconds))))
                for one in checks:
                    one.result()
                told.seconds = time.monotonic() - begin
                assert all(one.poll() is None for one in loading)
                sent = client.get("/metrics").text.partition("\ncapseal_sent_bytes_total ")[2]
                told.bytes = int(float(sent.split()[0]))
                stopping.set()
                last = [reporters.submit(report, number) for number in range(100)]
                while sum(one.done() for one in last) < 20:
                    time.sleep(0.001)
                os.kill(process.pid, signal.SIGKILL)
        finally:
            for connection in connections:
                connection.close()
            for one in loading:
                one.kill()
                one.wait()
    with sqlite3.connect(folder / "stats.sqlite") as counts:
        (stored,) = counts.execute("SELECT sum(events) FROM counts").fetchone()
    assert told.reports >= 50 * seconds
    # What was written as the server died may be there without having been answered.
    assert 10 * told.reports <= stored <= 10 * (told.reports + 8)
    return told


@contextmanager
def killable(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A server with statistics, in a process of its own that may be killed."""
    port = free_port()
    command = [*CAPSEAL, "serve", "store", "--trust", "trust.json", "--port", str(port), "--capgo", "--behind-proxy"]
    command += ["--capgo-statistics", "stats.sqlite"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    try:
        url, deadline = f"http://127.0.0.1:{port}", time.monotonic() + 60
        while True:
            with suppress(httpx.TransportError):
                if httpx.get(f"{url}/livez").status_code == 200:
                    break
            assert time.monotonic() < deadline and process.poll() is None, (folder / "log").read_text()
            time.sleep(0.05)
        yield process, url
    finally:
        process.kill()
        process.wait()
