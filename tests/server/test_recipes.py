"""The recipes of docs/operations.md: proxies that keep what may be kept, a unit, a backup that was restored."""

import re
import shutil
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from capseal import PrivateKey, TrustedKey, TrustStore
from capseal.client import Connection, fetch, publish, withdraw
from capseal.constants import SEGMENT_BYTES
from capseal.server import Limits
from capseal.server.storage import layout
from capseal.trust.key_sets import KeySet
from capseal.trust.updates import make_update
from support.front import RECIPES, nginx, varnish
from support.server_fixtures import BundleMaker
from support.serving import APP, CHANNEL, TOKEN, Bundle, Live, live_server
from support.tools import require_tool

Front = Callable[[Path, int], AbstractContextManager[str]]
LATEST = f"/v1/apps/{APP}/channels/{CHANNEL}/latest"


def sent_bytes(live: Live) -> int:
    """Return how many bytes of payloads the server itself has sent."""
    return int(
        float(re.findall(r"^capseal_sent_bytes_total (\S+)$", live.client.get("/metrics").text, re.MULTILINE)[0])
    )


def fetched(url: str, folder: Path, trust: TrustStore) -> bytes:
    folder.mkdir()
    with Connection(url) as one:
        got = fetch(one, app=APP, channel=CHANNEL, folder=folder, trust=trust)
    return Path(got.payload).read_bytes()


@pytest.mark.parametrize("front", [nginx, varnish])
def test_behind_a_proxy_releases_come_and_go_and_payloads_are_kept(
    front: Front, store: Path, tmp_path: Path, trust: TrustStore, bundle: Bundle, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "capseal.server")
    work = tmp_path / "front"
    work.mkdir()
    (tmp_path / "file").write_bytes(bundle.seal + bundle.payload)
    with (
        live_server(str(store), trust, token=TOKEN, trusted_proxies=["127.0.0.1"]) as live,
        front(work, live.port) as url,
        httpx.Client(base_url=url, timeout=30) as client,
    ):
        for _ in range(2):
            assert client.get(LATEST).status_code == 404
        with Connection(url, token=TOKEN) as one:
            publish(tmp_path / "file", one)  # runs of 8 MiB
        assert client.get(LATEST).json()["sequence"] == 7  # nobody kept the 404
        assert fetched(url, tmp_path / "first", trust) == bundle.payload
        once = sent_bytes(live)
        assert len(bundle.payload) <= once < len(bundle.payload) + 16 * 1024**2
        assert fetched(url, tmp_path / "second", trust) == bundle.payload
        assert sent_bytes(live) == once  # out of the cache
        release = live.release_url(7)
        for start, stop in (
            (0, 9),
            (SEGMENT_BYTES - 1, SEGMENT_BYTES),
            (len(bundle.payload) - 5, len(bundle.payload) - 1),
        ):
            for _ in range(2):
                part = client.get(release + "/payload", headers={"Range": f"bytes={start}-{stop}"})
                assert (part.status_code, part.content) == (206, bundle.payload[start : stop + 1])
                assert part.headers["content-range"] == f"bytes {start}-{stop}/{len(bundle.payload)}"
                assert part.headers["etag"] == f'"{bundle.digest}"'
                assert part.headers["access-control-allow-origin"] == "*"
        assert client.get(release + "/payload").content == bundle.payload
        head = client.head(release + "/payload")
        assert (head.status_code, head.headers["content-length"]) == (200, str(len(bundle.payload)))
        seal = client.get(release + "/seal")
        assert client.get(release + "/seal", headers={"If-None-Match": seal.headers["etag"]}).status_code == 304
        # Withdrawn: nobody begins with it any more; bytes that were kept are bytes that somebody signed.
        with Connection(url, token=TOKEN) as one:
            withdraw(one, app=APP, channel=CHANNEL, sequence=7)
        assert client.get(release + "/seal").status_code == 410
        assert client.get(LATEST).status_code == 404
        kept = client.get(release + "/payload", headers={"Range": "bytes=0-9"})
        assert (kept.status_code, kept.content) == (206, bundle.payload[:10])
    clients = {
        record.members["client"]
        for record in caplog.records
        if record.message == "request"  # type: ignore[attr-defined]
    }
    assert clients == {"127.0.0.1"}  # as the proxy says, whose client is on this machine, too


@pytest.mark.parametrize("front", [nginx, varnish])
def test_a_proxy_lets_nobody_say_who_he_is(
    front: Front, store: Path, tmp_path: Path, trust: TrustStore, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "capseal.server")
    work = tmp_path / "front"
    work.mkdir()
    with live_server(str(store), trust, trusted_proxies=["127.0.0.1"]) as live, front(work, live.port) as url:
        for path in ("/v1/apps", live.release_url(1) + "/payload", "/v1/uploads/x"):
            httpx.get(url + path, headers={"X-Forwarded-For": "203.0.113.9", "Range": "bytes=0-9"})
    told = [record.members["client"] for record in caplog.records if record.message == "request"]  # type: ignore[attr-defined]
    assert told == ["127.0.0.1"] * 3


@pytest.mark.parametrize("front", [nginx, varnish])
def test_what_a_proxy_kept_is_not_said_to_be_the_answer_to_another_ones_request(
    front: Front, store: Path, tmp_path: Path, trust: TrustStore, bundle: Bundle
) -> None:
    work = tmp_path / "front"
    work.mkdir()
    with live_server(str(store), trust, trusted_proxies=["127.0.0.1"]) as live, front(work, live.port) as url:
        live.publish(bundle)
        release = url + live.release_url(7)
        kept = [httpx.get(release + "/payload", headers={"Range": "bytes=0-9"}) for _ in range(3)]
        assert [answer.status_code for answer in kept] == [206] * 3
        ids = [answer.headers["x-request-id"] for answer in kept if "x-request-id" in answer.headers]
        assert len(ids) == len(set(ids))
        if front is nginx:
            logged = (work / "requests.log").read_text()
            assert len(ids) == 3 and all(one in logged for one in ids)


@pytest.mark.parametrize("front", [nginx, varnish])
def test_a_bad_segment_is_refused_through_a_proxy_too(
    front: Front, store: Path, tmp_path: Path, trust: TrustStore, bundle: Bundle
) -> None:
    work = tmp_path / "front"
    work.mkdir()
    bad = bytearray(bundle.payload[: 8 * 1024**2])
    bad[5] ^= 1
    with live_server(str(store), trust, limits=Limits(idle_s=20)) as live, front(work, live.port) as url:
        with httpx.Client(base_url=url, timeout=30) as client:
            links = client.post("/v1/uploads", content=bundle.seal).json()["links"]
            content_range = {"Content-Range": f"bytes 0-{len(bad) - 1}/{len(bundle.payload)}"}
            answer = client.put(links["payload"], content=bytes(bad), headers=content_range)
        assert (answer.status_code, answer.json()["segment"]) == (422, 0)


def verified_unit(folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    (folder / "capseal-server.service").write_text(text)
    command = [require_tool("systemd-analyze"), "verify", folder / "capseal-server.service"]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_the_unit_is_one_that_systemd_takes(tmp_path: Path) -> None:
    unit = (RECIPES / "capseal-server.service").read_text()
    assert unit.count("/opt/capseal/bin/capseal") == 1
    unit = unit.replace("/opt/capseal/bin/capseal", sys.executable)
    done = verified_unit(tmp_path, unit)
    assert (done.returncode, done.stderr) == (0, "")
    assert "ExecStrat" in verified_unit(tmp_path, unit.replace("ExecStart=", "ExecStrat=")).stderr  # it does look


def test_of_a_unit_whose_program_is_not_installed_yet_systemd_says_just_that(tmp_path: Path) -> None:
    """So docs/operations.md says it, and has the program installed first."""
    program = "/opt/capseal/bin/capseal"
    done = verified_unit(tmp_path, (RECIPES / "capseal-server.service").read_text())
    said = done.stderr.splitlines()
    assert bool(said) is not Path(program).exists()
    assert all(f"{program} is not executable" in line for line in said)
    document = (RECIPES.parents[1] / "docs" / "operations.md").read_text()
    assert document.index("/opt/capseal/bin/pip install") < document.index("systemd-analyze verify")
    assert f"`Command {program} is not executable`" in document


def test_the_settings_of_the_recipes_are_settings(tmp_path: Path) -> None:
    from capseal.cli.commands.serve_settings import Settings, table

    said = Settings().over(str(RECIPES / "server.toml"))
    assert said["trusted_proxy"] == ["127.0.0.1"]
    variables = re.findall(r"\b(CAPSEAL_SERVE_[A-Z_]+)=", (RECIPES / "Containerfile").read_text())
    assert len(variables) == 3
    assert set(variables) <= {one.env for one in table().values()} | {"CAPSEAL_SERVE_CONFIG"}


def stored_names(text: str) -> set[str]:
    """Return the names of a store's objects, as a table of them has them in its first column."""
    lines = (line.partition("  ")[0] for line in text.splitlines())
    return {name for line in lines for name in line.split(", ")} - {""}


def test_a_backup_takes_all_of_a_store_but_who_collects_and_the_documents_know_all_of_it() -> None:
    [table] = re.findall(r"\n\n((?:    [a-z].*\n)+)", layout.__doc__ or "")
    names = stored_names(textwrap.dedent(table))
    [parts] = re.findall(r"^for part in (.*); do$", (RECIPES / "backup.sh").read_text(), re.MULTILINE)
    assert parts.split()[:2] == [layout.LAYOUT, layout.CHANNELS]  # pointers before what they name
    assert set(parts.split()) == {name.partition("/")[0] for name in names} - {layout.COLLECTOR}
    document = (RECIPES.parents[1] / "docs" / "server.md").read_text()
    [tree] = re.findall(r"^### Storage\n\n```\n(.*?)^```", document, re.MULTILINE | re.DOTALL)
    assert stored_names(tree) == names


def test_a_backup_of_a_running_server_is_restored_with_all_that_was_published_before_it(
    store: Path, tmp_path: Path, signer: PrivateKey, signer2: PrivateKey, sealed: BundleMaker
) -> None:
    require_tool("tar")
    created = datetime(2026, 1, 1, tzinfo=UTC)
    first = TrustStore((TrustedKey(signer.public_key),), root=KeySet.of(signer2.public_key), created=created)
    trust = replace(first, version=2, created=created + timedelta(days=1))
    update = make_update(first, trust, signers=[signer2])
    bundles = {
        sequence: sealed(sequence=sequence, content=bytes([sequence]) * 3 * SEGMENT_BYTES) for sequence in range(1, 13)
    }
    backup = tmp_path / "backup"
    with live_server(str(store), trust) as live:
        live.client.put(f"/v1/apps/{APP}/trust/2", content=update).raise_for_status()
        for sequence in range(1, 5):
            live.publish(bundles[sequence]).raise_for_status()
        published: list[int] = []

        def go_on() -> None:
            with httpx.Client(base_url=live.url, timeout=30) as client:
                busy = Live(live.url, live.server, live.app, client)
                for sequence in range(5, 13):
                    busy.publish(bundles[sequence]).raise_for_status()
                    published.append(sequence)

        publishing = threading.Thread(target=go_on)
        publishing.start()
        subprocess.run([RECIPES / "backup.sh", store, backup], check=True, timeout=60)
        publishing.join(60)
        assert published == list(range(5, 13))
    shutil.rmtree(store)  # the disaster
    with live_server(str(backup), trust, verify_reads=True) as live:
        found = live.client.get(f"/v1/apps/{APP}/channels/{CHANNEL}/releases").json()["releases"]
        sequences = sorted(one["sequence"] for one in found)
        assert sequences[:4] == [1, 2, 3, 4]
        assert sequences == list(range(1, len(sequences) + 1))
        assert live.client.get(f"/v1/apps/{APP}/trust/2").content == update
        for sequence in sequences:
            assert live.client.get(live.release_url(sequence) + "/payload").content == bundles[sequence].payload
        # What was published after the backup is published again.
        for sequence in range(len(sequences) + 1, 13):
            live.publish(bundles[sequence]).raise_for_status()
    alone = subprocess.run([RECIPES / "backup.sh", store], capture_output=True, text=True, timeout=60)
    assert (alone.returncode, alone.stderr) == (2, "usage: backup.sh STORE BACKUP\n")
    again = subprocess.run([RECIPES / "backup.sh", backup, backup], capture_output=True, text=True, timeout=60)
    assert again.returncode != 0  # never onto another one
