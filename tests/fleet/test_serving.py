"""What a fleet seals into a server's store is served from there as it is, verified, and cared for like all else."""

import asyncio
import itertools
import json
import logging
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from capseal import Expect, PrivateKey, RejectedError, Role, TrustStore, UsageError, fleet
from capseal.bundle.opened import accept_detached
from capseal.client import Connection, publish, publish_stored
from capseal.constants import SEGMENT_BYTES
from capseal.errors import FormatError, TransferError
from capseal.fleet import Engine
from capseal.fleet import _places as places
from capseal.format.segment_layout import plain_offset
from capseal.http.shapes import ReleaseDescription
from capseal.project._log_writer import writing
from capseal.project.seal_log import replacing_seals
from capseal.server import Limits, Storage
from capseal.server.catalogue.catalogue import Catalogue
from capseal.server.storage.records import ReleaseRecord
from capseal.server.storage.stored_runs import Parts, StoredRun
from fleet.conftest import APP, BUCKET, CREATED, STATEMENT, Keys
from support.command import run
from support.large_store import flip, plant_special
from support.serving import TOKEN, Live, collect, live_server

S = SEGMENT_BYTES
CONTENT = random.Random(5).randbytes(plain_offset(20) + 7)
PART = 8 * S
NO_GRACE = {"grace": timedelta(0), "now": datetime.now(UTC) + timedelta(hours=1)}
AT_ONCE = Limits(upload_age_s=0.001)
"""What received nothing for that long is stale."""


def source_of(folder: Path) -> Path:
    path = folder / "content"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def threads(engines: dict[str, Engine]) -> Engine:
    return engines["threads"]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def live(store: Path, trust: TrustStore) -> Iterator[Live]:
    with live_server(str(store), trust) as served:
        yield served


def parts_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.name != "seal")


def sealed_into(store: Path, keys: Keys, engine: Engine, **settings: object) -> Path:
    """Seal into a store, and return the folder of parts."""
    source = source_of(store.parent)
    done = keys.seal(source, f"file://{store}/parts", engine, part_bytes=PART, **settings)
    return Path(done.report.place.removeprefix("file://"))


def published(live: Live, folder: Path) -> dict[str, object]:
    with Connection(live.url) as connection:
        return publish_stored((folder / "seal").read_bytes(), connection)


def served(live: Live, release: dict[str, object]) -> bytes:
    answer = live.client.get(release["links"]["payload"])  # type: ignore[index]
    answer.raise_for_status()
    return answer.content


def test_parts_are_served_as_they_are_and_nothing_is_copied(
    live: Live, store: Path, keys: Keys, engine: Engine
) -> None:
    folder = sealed_into(store, keys, engine)
    plain = keys.plain(source_of(store.parent))
    release = published(live, folder)
    assert served(live, release) == plain.payload
    assert not (store / "payloads").exists()
    for start, stop in ((0, 1), (8 * S - 1, 8 * S + 1), (3, len(plain.payload)), (S, 17 * S)):
        span = {"Range": f"bytes={start}-{stop - 1}"}
        answer = live.client.get(release["links"]["payload"], headers=span)  # type: ignore[index]
        assert (answer.status_code, answer.content) == (206, plain.payload[start:stop])
    assert published(live, folder) == release


def test_a_release_in_parts_is_the_one_that_a_normal_publish_makes(
    tmp_path: Path, store: Path, keys: Keys, threads: Engine, live: Live, trust: TrustStore
) -> None:
    folder = sealed_into(store, keys, threads)
    release = published(live, folder)
    (tmp_path / "whole").write_bytes(b"".join(path.read_bytes() for path in parts_in(folder)))
    with live_server(str(tmp_path / "other"), trust) as other, Connection(other.url) as connection:
        normal = publish(tmp_path / "whole", connection, seal=folder / "seal")
        assert served(other, normal) == served(live, release) == (tmp_path / "whole").read_bytes()
    assert normal | {"published": None} == release | {"published": None}


def test_parts_of_64_mib_in_a_bucket_are_served_from_there(
    s3: str, tmp_path: Path, keys: Keys, threads: Engine, trust: TrustStore
) -> None:
    source = source_of(tmp_path)
    place = f"s3://{BUCKET}/served"
    sealed = keys.seal(source, f"{place}/parts", threads, part_bytes=64 * 1024**2)
    with live_server(place, trust) as live, Connection(live.url) as connection:
        release = publish_stored(fleet.seal_of_parts(sealed.report.place), connection)
        assert served(live, release) == keys.plain(source).payload
    assert fleet.scrub(place, trust=trust, engine=threads, **NO_GRACE).findings == ()


def test_the_command_publishes_a_folder_of_parts(
    tmp_path: Path, store: Path, keys: Keys, threads: Engine, live: Live
) -> None:
    folder = sealed_into(store, keys, threads)
    done = run("publish", f"file://{folder}", live.url, cwd=tmp_path).succeeded()
    assert b"published com.example.game 1 on production, sequence 7" in done.out
    refused = run("publish", f"file://{folder}", live.url, "--seal", "x.seal", cwd=tmp_path)
    assert (refused.code, "a folder of parts has its seal" in refused.err) == (2, True)


@pytest.mark.parametrize("verify_reads", [False, True])
def test_of_an_altered_part_no_byte_is_served_whether_reads_are_verified_or_not(
    store: Path, keys: Keys, threads: Engine, trust: TrustStore, verify_reads: bool
) -> None:
    folder = sealed_into(store, keys, threads)
    with live_server(str(store), trust, verify_reads=verify_reads) as live:
        release = published(live, folder)
        flip(folder / "0000000008-08")
        whole = served_or_error(live, release)
        assert whole is None
        fine = live.client.get(release["links"]["payload"], headers={"Range": f"bytes=0-{PART - 1}"})  # type: ignore[index]
        assert (fine.status_code, len(fine.content)) == (206, PART)


def served_or_error(live: Live, release: dict[str, object]) -> bytes | None:
    try:
        return served(live, release)
    except httpx.HTTPError:
        return None


def spoilt(how: str, folder: Path, other: Path) -> None:
    """Do to a folder of parts what a store may do to it."""
    part = folder / "0000000008-08"
    if how == "short":
        part.write_bytes(part.read_bytes()[:-1])
    elif how == "long":
        part.write_bytes(part.read_bytes() + b"\0")
    elif how == "missing":
        part.unlink()
    elif how == "renamed":
        part.rename(folder / "0000000008-09")
    elif how == "another's, of another size":
        shutil.rmtree(folder)
        shutil.copytree(other, folder)


@pytest.mark.parametrize("how", ["short", "long", "missing", "renamed", "another's, of another size"])
def test_parts_that_are_not_all_there_are_published_by_nobody(
    tmp_path: Path, live: Live, store: Path, keys: Keys, threads: Engine, how: str
) -> None:
    folder = sealed_into(store, keys, threads)
    seal = (folder / "seal").read_bytes()
    (tmp_path / "small").write_bytes(CONTENT[: 9 * S])
    other = keys.seal(tmp_path / "small", f"file://{store}/parts", threads, part_bytes=PART, entropy=os.urandom)
    spoilt(how, folder, Path(other.report.place.removeprefix("file://")))
    with Connection(live.url) as connection, pytest.raises(UsageError, match="misses"):
        publish_stored(seal, connection)
    assert live.client.get(f"/v1/apps/{APP}/channels/production/releases").json().get("releases", []) == []


def test_another_payloads_parts_of_the_same_size_are_served_by_nobody(
    tmp_path: Path, live: Live, store: Path, keys: Keys, threads: Engine
) -> None:
    folder = sealed_into(store, keys, threads)
    other = keys.seal(tmp_path / "content", f"file://{store}/parts", threads, part_bytes=PART, entropy=os.urandom)
    seal = (folder / "seal").read_bytes()
    shutil.rmtree(folder)
    shutil.copytree(Path(other.report.place.removeprefix("file://")), folder)
    with Connection(live.url) as connection:
        release = publish_stored(seal, connection)
    assert served_or_error(live, release) is None


def aged(folder: Path, by: timedelta) -> None:
    """Have what lies in a folder be put so much earlier."""
    at = (datetime.now(UTC) - by).timestamp()
    for path in folder.rglob("*"):
        os.utime(path, (at, at))


def test_parts_that_nobody_published_go_when_the_last_of_them_is_old(
    store: Path, keys: Keys, threads: Engine, trust: TrustStore, live: Live
) -> None:
    folder = sealed_into(store, keys, threads)
    seal = (folder / "seal").read_bytes()
    aged(folder, timedelta(hours=25))
    os.utime(folder / "0000000016-05")  # a job that is under way
    collected(store, trust, times=1, limits=Limits())
    begun = live.begin(seal)
    assert begun.json()["missing"] == []  # nothing of it is condemned meanwhile
    live.client.delete(begun.json()["links"]["self"]).raise_for_status()
    collect(store, trust)
    assert len(parts_in(folder)) == 3
    aged(folder, timedelta(hours=25))
    begun = live.begin(seal)  # somebody is about to publish them
    assert (begun.status_code, begun.json()["missing"]) == (201, [])
    collect(store, trust)
    assert len(parts_in(folder)) == 3
    live.client.delete(begun.json()["links"]["self"]).raise_for_status()
    collect(store, trust)
    assert not any(path.is_file() for path in folder.rglob("*"))


def test_what_is_condemned_is_published_by_nobody(
    store: Path, keys: Keys, threads: Engine, trust: TrustStore, live: Live
) -> None:
    folder = sealed_into(store, keys, threads)
    collected(store, trust, times=1)
    assert len(parts_in(folder)) == 3
    with pytest.raises(UsageError, match="misses"):
        published(live, folder)


def collected(store: Path, trust: TrustStore, *, times: int = 2, limits: Limits = AT_ONCE) -> None:
    """Collect from a store in which everything is old, unless by the limits it is not."""

    async def collecting() -> None:
        log = logging.getLogger("capseal.server")
        catalogue = Catalogue(
            Storage.open(str(store)), trust, role=Role.PRODUCTION, limits=limits, log=log, verify_reads=False
        )
        await asyncio.sleep(0.05)  # for the clock of the file system
        for _ in range(times):
            assert await catalogue.collect(grace_s=0) is not None

    asyncio.run(collecting())


def test_condemned_parts_to_which_a_resumed_job_put_more_are_spared_and_age_anew(
    store: Path, keys: Keys, threads: Engine, trust: TrustStore, live: Live
) -> None:
    folder = sealed_into(store, keys, threads)
    late = (folder / "0000000016-05").read_bytes()
    (folder / "0000000016-05").unlink()
    aged(folder, timedelta(hours=25))
    collected(store, trust, times=1, limits=Limits())
    (folder / "0000000016-05").write_bytes(late)
    with pytest.raises(UsageError, match="misses"):
        published(live, folder)  # while they may be deleted
    live.client.delete(live.begin((folder / "seal").read_bytes()).json()["links"]["self"]).raise_for_status()
    collected(store, trust, times=1, limits=Limits())
    assert len(parts_in(folder)) == 3
    assert [path.suffix for path in (store / "collector" / "condemned").iterdir()] == [".parts"]  # the list is gone
    assert served(live, published(live, folder)) == keys.plain(source_of(store.parent)).payload
    token = {"Authorization": f"Bearer {TOKEN}"}
    with live_server(str(store), trust, token=TOKEN) as other:
        other.client.delete(other.release_url(7), headers=token).raise_for_status()
    aged(folder, timedelta(hours=25))
    collected(store, trust, limits=Limits())
    assert not any(path.is_file() for path in folder.rglob("*"))


COLLECT = """
import asyncio, logging, os, signal, sys
from capseal import Role, load_trust
from capseal.server import Limits, Storage
from capseal.server.catalogue._condemned import Condemned
from capseal.server.catalogue.catalogue import Catalogue

def stopping(then):
    first = [True]

    async def stopped(*arguments):
        if first:
            first.clear()
            os.kill(os.getpid(), signal.SIGSTOP)
        return await then(*arguments)
    return stopped

async def run(place, trust, before):
    storage = Storage.open(place)
    if before == "deleting":
        storage.delete = stopping(storage.delete)
    else:
        Condemned.give_up = stopping(Condemned.give_up)
    log = logging.getLogger("capseal.server")
    catalogue = Catalogue(
        storage, load_trust(trust), role=Role.PRODUCTION, limits=Limits(), log=log, verify_reads=False
    )
    await catalogue.collect(grace_s=0)

asyncio.run(run(*sys.argv[1:]))
"""


@pytest.fixture
def sleeper(store: Path, trust: TrustStore) -> Iterator[Callable[[str], subprocess.Popen[bytes]]]:
    """Makes collectors that stop before they give up parts, or before they delete them."""
    trust.save(store.parent / "trust.json")
    made: list[subprocess.Popen[bytes]] = []

    def make(before: str) -> subprocess.Popen[bytes]:
        made.append(
            subprocess.Popen([sys.executable, "-c", COLLECT, str(store), str(store.parent / "trust.json"), before])
        )
        _, status = os.waitpid(made[-1].pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        return made[-1]

    yield make
    for one in made:
        one.kill()
        one.wait()


def woken(sleeper: subprocess.Popen[bytes]) -> None:
    sleeper.send_signal(signal.SIGCONT)
    assert sleeper.wait(60) == 0


def collected_by_another(store: Path, trust: TrustStore) -> None:
    """Collect once the lease of a sleeper has run out."""

    async def collecting() -> None:
        log, limits = logging.getLogger("capseal.server"), Limits(lease_s=0.1)
        catalogue = Catalogue(
            Storage.open(str(store)), trust, role=Role.PRODUCTION, limits=limits, log=log, verify_reads=False
        )
        while await catalogue.collect(grace_s=0) is None:
            await asyncio.sleep(0.05)

    asyncio.run(collecting())


def test_what_was_spared_and_published_stays_when_a_collector_wakes_that_was_about_to_delete_it(
    store: Path,
    keys: Keys,
    threads: Engine,
    trust: TrustStore,
    live: Live,
    sleeper: Callable[[str], subprocess.Popen[bytes]],
) -> None:
    folder = sealed_into(store, keys, threads)
    late = (folder / "0000000016-05").read_bytes()
    (folder / "0000000016-05").unlink()
    aged(folder, timedelta(hours=25))
    collected(store, trust, times=1, limits=Limits())
    asleep = sleeper("giving up")
    (folder / "0000000016-05").write_bytes(late)  # a job that was resumed
    collected_by_another(store, trust)
    release = published(live, folder)
    woken(asleep)
    assert len(parts_in(folder)) == 3
    assert served_or_error(live, release) == keys.plain(source_of(store.parent)).payload


def test_parts_of_which_a_sleeping_collector_may_delete_some_are_published_by_nobody(
    store: Path,
    keys: Keys,
    threads: Engine,
    trust: TrustStore,
    live: Live,
    sleeper: Callable[[str], subprocess.Popen[bytes]],
) -> None:
    folder = sealed_into(store, keys, threads)
    there = {path.name: path.read_bytes() for path in folder.iterdir()}
    (folder / "0000000016-05").unlink()
    aged(folder, timedelta(hours=25))
    collected(store, trust, times=1, limits=Limits())
    asleep = sleeper("deleting")
    (folder / "0000000016-05").write_bytes(there["0000000016-05"])  # a job that was resumed
    collected_by_another(store, trust)
    assert sorted(os.listdir(folder)) == ["0000000016-05"]
    for name, data in there.items():  # and puts again what it misses
        (folder / name).write_bytes(data)
    with Connection(live.url) as connection, pytest.raises(UsageError, match="misses"):
        publish_stored(there["seal"], connection)
    woken(asleep)


@pytest.mark.parametrize("planted", ["link", "pipe", "folder"])
def test_what_is_planted_in_place_of_a_part_is_a_finding_and_is_verified_by_nobody(
    tmp_path: Path, store: Path, keys: Keys, threads: Engine, trust: TrustStore, live: Live, planted: str
) -> None:
    folder = sealed_into(store, keys, threads)
    published(live, folder)
    part = folder / "0000000008-08"
    plant_special(part, planted, tmp_path / "elsewhere")
    (finding,) = fleet.scrub(str(store), trust=trust, engine=threads, **NO_GRACE).findings
    assert (finding.kind, finding.path) == ("damaged", str(part.relative_to(store)))
    with pytest.raises(RejectedError):
        fleet.verify(str(folder), trust=trust, expect=Expect(), engine=threads)


@pytest.mark.parametrize("planted", ["link", "pipe", "folder"])
def test_what_is_planted_in_place_of_a_part_is_published_by_nobody(
    tmp_path: Path, store: Path, keys: Keys, threads: Engine, live: Live, planted: str
) -> None:
    folder = sealed_into(store, keys, threads)
    plant_special(folder / "0000000008-08", planted, tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="misses"):
        published(live, folder)


def test_of_a_seal_that_is_larger_than_its_parts_allow_no_byte_is_read(
    tmp_path: Path, store: Path, keys: Keys, threads: Engine, trust: TrustStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = sealed_into(store, keys, threads)
    os.truncate(folder / "seal", 64 * 1024**2)
    os.truncate(folder / "0000000008-08", 2**40)  # what has the name of a part allows for no more than a part does
    monkeypatch.setattr(places, "read_at", lambda *_: pytest.fail("was read"))
    for use in (fleet.seal_of_parts, lambda place: fleet.verify(place, trust=trust, engine=threads)):
        with pytest.raises(FormatError, match=r"seal: has 67108864 bytes, at most \d+ are expected"):
            use(f"file://{folder}")
    refused = run("publish", f"file://{folder}", "http://127.0.0.1:9", cwd=tmp_path)
    assert (refused.code, len(refused.err.splitlines())) == (1, 1)


def test_parts_of_a_release_stay_and_those_of_a_withdrawn_one_go(
    store: Path, keys: Keys, threads: Engine, trust: TrustStore, live: Live
) -> None:
    folder = sealed_into(store, keys, threads)
    release = published(live, folder)
    (folder / "0000000001-08").write_bytes(b"extra")
    collected(store, trust)
    # The seal by which it was published is where all seals are; this one may be for whom new ones are not.
    assert sorted(os.listdir(folder)) == ["0000000000-08", "0000000008-08", "0000000016-05"]
    assert served(live, release) == keys.plain(source_of(store.parent)).payload
    token = {"Authorization": f"Bearer {TOKEN}"}
    with live_server(str(store), trust, token=TOKEN) as other:
        other.client.delete(other.release_url(7), headers=token).raise_for_status()
    collected(store, trust)
    assert not any(path.is_file() for path in folder.rglob("*"))


def test_an_export_has_the_payload_of_parts_in_one_piece(
    tmp_path: Path, store: Path, keys: Keys, threads: Engine, trust: TrustStore, live: Live
) -> None:
    published(live, sealed_into(store, keys, threads))
    run("store", "export", str(store), str(tmp_path / "tree"), cwd=tmp_path).succeeded()
    (found,) = (tmp_path / "tree").rglob("payload")
    assert found.read_bytes() == keys.plain(source_of(tmp_path)).payload


def test_a_scrub_finds_what_is_wrong_with_parts_and_nothing_else(
    tmp_path: Path, store: Path, keys: Keys, threads: Engine, trust: TrustStore, live: Live
) -> None:
    engine = threads
    source_of(tmp_path)
    folders, wanted = [], set()
    for number in range(12):
        statement = replace(STATEMENT, sequence=number + 1)
        into = f"file://{store}/parts"
        settings = {"statement": statement, "entropy": os.urandom, "part_bytes": PART}
        done = keys.seal(tmp_path / "content", into, engine, **settings)
        folders.append(Path(done.report.place.removeprefix("file://")))
        published(live, folders[-1])
    assert fleet.scrub(str(store), trust=trust, engine=engine, **NO_GRACE).findings == ()
    name = "0000000008-08"
    records = {json.loads(path.read_bytes())["parts"]["folder"]: path for path in store.rglob("release.json")}

    def below(path: Path) -> str:
        return str(path.relative_to(store))

    for one in (0, 1):
        short, long, extra, missing, flipped, moved = folders[one::2]
        (short / name).write_bytes((short / name).read_bytes()[:-1])
        (long / name).write_bytes((long / name).read_bytes() + b"\0")
        (extra / f"000000000{one + 1}-08").write_bytes(b"extra")
        (missing / name).unlink()
        flip(flipped / name)
        record = json.loads(records[moved.name].read_bytes())
        record["parts"]["folder"] = folders[one].name
        records[moved.name].write_bytes(json.dumps(record, separators=(",", ":")).encode())
        orphan = store / "parts" / f"{one:064x}" / "0000000000-16"
        orphan.parent.mkdir()
        orphan.write_bytes(b"orphan")
        strange = store / "parts" / f"{one:064x}" / "strange"
        strange.write_bytes(b"strange")
        wanted |= {
            ("size", below(short / name)),
            ("size", below(long / name)),
            ("extra", below(extra / f"000000000{one + 1}-08")),
            ("missing", below(missing / name)),
            ("damaged", below(flipped / name)),
            ("record", below(records[moved.name])),
            ("orphan", below(orphan)),
            ("misplaced", below(strange)),
        }
    scrubbed = fleet.scrub(str(store), trust=trust, engine=engine, **NO_GRACE)
    assert sorted((one.kind, one.path) for one in scrubbed.findings) == sorted(wanted)


def test_a_release_in_parts_gets_another_seal(
    tmp_path: Path, store: Path, keys: Keys, threads: Engine, trust: TrustStore, live: Live, signer2: PrivateKey
) -> None:
    folder = sealed_into(store, keys, threads)
    published(live, folder)
    with writing(tmp_path / "log") as log:
        verified = accept_detached((folder / "seal").read_bytes(), trust, Expect())
        log.prepare(verified.seal, signer=keys.signer, now=CREATED)
        log.count()
    with replacing_seals(tmp_path / "log", trust=[trust], signer=keys.signer, clock=lambda: CREATED) as seals:
        done = fleet.rewrap(
            str(store),
            select=[fleet.Selection.parse(APP)],
            identity=[keys.recipient],
            recipients=[signer2.public_key],
            signers=[keys.signer],
            log=seals,
            trust=trust,
            engine=threads,
        )
    assert (done.renewed, done.findings) == (1, ())
    with live_server(str(store), trust) as again:
        release = again.client.get(again.release_url(7)).json()
        sealed = accept_detached(again.client.get(release["links"]["seal"]).content, trust, Expect())
        assert [one.kid for one in sealed.statement.encryption.recipients] == [signer2.public_key.fingerprint]
        assert served(again, release) == keys.plain(source_of(tmp_path)).payload


class Dying(Storage):
    """A storage that does so many things, and nothing after that, as for a server that was killed."""

    left = 0

    def _step(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise TransferError("killed")

    async def put(self, path: str, data: Any) -> None:
        self._step()
        await super().put(path, data)

    async def swap(self, path: str, data: bytes, seen: Any) -> bool:
        self._step()
        return await super().swap(path, data, seen)

    async def sync(self, paths: Any) -> None:
        self._step()
        await super().sync(paths)

    async def delete(self, paths: Any) -> None:
        self._step()
        await super().delete(paths)


def test_a_server_that_is_killed_while_it_publishes_parts_has_published_them_or_can_do_so_again(
    tmp_path: Path, store: Path, keys: Keys, threads: Engine, trust: TrustStore
) -> None:
    folder = sealed_into(store, keys, threads)
    verified = accept_detached((folder / "seal").read_bytes(), trust, Expect())

    async def publishing(place: Path, left: int) -> bool:
        storage = Dying.open(str(place))
        storage.left = 100
        log = logging.getLogger("capseal.server")
        catalogue = Catalogue(storage, trust, role=Role.PRODUCTION, limits=Limits(), log=log, verify_reads=False)
        await catalogue.check_layout()
        storage.left = left
        try:
            upload = await catalogue.begin(verified, client="somebody")
            if not isinstance(upload, ReleaseDescription):
                assert not upload.payload.missing
                await catalogue.publish(upload.id)
        except TransferError:
            return False
        return True

    (store / "store.json").write_bytes(b'{"type":"capseal-store-v2"}')
    for left in itertools.count():
        place = shutil.copytree(store, tmp_path / f"killed-{left}")
        ended = asyncio.run(publishing(place, left))
        assert asyncio.run(publishing(place, 100))
        with live_server(str(place), trust) as live:
            answer = live.client.get(f"{live.release_url(7)}/payload")
            assert answer.content == keys.plain(source_of(store.parent)).payload
        if ended:
            break
    assert left > 3


def test_a_record_says_of_parts_where_they_are_and_of_nothing_else(
    store: Path, keys: Keys, threads: Engine, live: Live
) -> None:
    folder = sealed_into(store, keys, threads)
    published(live, folder)
    (path,) = store.rglob("release.json")
    record = ReleaseRecord.parse(path.read_bytes())
    assert record.runs == Parts(folder.name, 21, 8)
    assert [*record.runs] == [StoredRun(0, 8, folder.name), StoredRun(8, 8, folder.name), StoredRun(16, 5, folder.name)]
    assert record.runs[-1] == StoredRun(16, 5, folder.name) and len(record.runs[:2]) == 2
    assert record.encode() == path.read_bytes()
    told = json.loads(path.read_bytes())
    for parts in (
        {"folder": "../x", "segments": 8},
        {"folder": folder.name, "segments": 0},
        {"folder": folder.name, "segments": 129},
        {"folder": folder.name.upper(), "segments": 8},
    ):
        with pytest.raises(FormatError):
            ReleaseRecord.parse(json.dumps(told | {"parts": parts}).encode())
    with pytest.raises(FormatError, match="expected these, or parts"):
        ReleaseRecord.parse(json.dumps(told | {"runs": [[0, 21, "0" * 16]]}).encode())
