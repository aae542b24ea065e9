"""Many bundles are rewrapped: only what is trusted and logged; each is the old one or the new one, whenever it ends."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest

from capseal import Expect, PrivateKey, TrustStore, fleet
from capseal.bundle.opened import accept_detached, unwrap_session_key
from capseal.bundle.reading_order import Verified
from capseal.crypto.keys import load_private_key
from capseal.errors import FormatError, NotForUsError, SignatureError, UsageError
from capseal.fleet import Engine, Selection
from capseal.format.seal import SEAL_TYPE
from capseal.project._log_writer import writing
from capseal.project.log import ReleaseEntry, verify_log
from capseal.project.seal_log import replacing_seals
from capseal.server.storage.pointers import ChannelPointer, Entry
from capseal.server.storage.records import ReleaseRecord
from capseal.trust.signing import sign
from support.command import run
from support.large_store import OF, Release, flip, make_store

KEYS = Path(__file__).parents[1] / "vectors" / "keys"
NOW = datetime(2026, 2, 1, tzinfo=UTC)
RELEASES = 30


@dataclass(frozen=True)
class Store:
    """A store of releases for `old`, and their log. new: for whom they are to be."""

    folder: Path
    releases: list[Release]
    signer: PrivateKey
    old: PrivateKey
    new: PrivateKey
    trust: TrustStore

    @property
    def log(self) -> Path:
        return self.folder.with_name("releases.log")

    def pointer(self) -> ChannelPointer:
        return ChannelPointer.parse(OF, (self.folder / ChannelPointer(OF).path).read_bytes())

    def record(self, entry: Entry) -> ReleaseRecord:
        path = f"releases/{OF.app}/{OF.channel}/{entry.sequence:016d}/{entry.mark}/release.json"
        return ReleaseRecord.parse((self.folder / path).read_bytes())

    def verdicts(self) -> dict[int, Verified]:
        """Return what the seals say that the pointer names, each as its record describes it."""
        found = {}
        for entry in self.pointer().entries.values():
            record = self.record(entry)
            seal = (self.folder / record.seal_path).read_bytes()
            digest = hashlib.sha256(seal).hexdigest()
            assert (digest, digest, len(seal)) == (entry.seal, record.release.seal_digest, record.release.seal_bytes)
            found[entry.sequence] = accept_detached(seal, self.trust, Expect())
            assert record.release.signers == tuple(one.key.fingerprint for one in found[entry.sequence].signers)
        return found

    def renewed(self) -> set[int]:
        """Return which are for the new recipient alone; all others are for the old one alone, as they were."""
        kids = {n: [one.kid for one in v.statement.encryption.recipients] for n, v in self.verdicts().items()}
        new, old = [self.new.public_key.fingerprint], [self.old.public_key.fingerprint]
        assert all(one in (new, old) for one in kids.values())
        return {sequence for sequence, one in kids.items() if one == new}

    def replaced(self) -> list[tuple[str, str]]:
        """Return what the verified log has of seals that stand in for others: which, and for which."""
        entries = [one.entry for one in verify_log(self.log, trust=[self.trust])]
        return [(one.seal, one.replaces) for one in entries if isinstance(one, ReleaseEntry) and one.replaces]


def made(folder: Path, releases: int) -> Store:
    folder.parent.mkdir(exist_ok=True)
    signer, old, new = (load_private_key(KEYS / f"{name}.pem") for name in ("signer", "recipient", "other"))
    trust = TrustStore.of(signer.public_key)
    store = Store(folder, make_store(folder, signer, old, releases=releases), signer, old, new, trust)
    with writing(store.log) as log:
        for verified in store.verdicts().values():
            log.prepare(verified.seal, signer=signer, now=NOW)
            log.count()
    trust.save(folder.with_name("trust.json"))
    return store


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return made(tmp_path_factory.mktemp("made") / "store", RELEASES)


@pytest.fixture
def store(tmp_path: Path, original: Store) -> Store:
    shutil.copytree(original.folder.parent, tmp_path / "at")
    return replace(original, folder=tmp_path / "at" / "store")


@contextmanager
def logging(store: Store) -> Iterator[fleet.SealLog]:
    with replacing_seals(store.log, trust=[store.trust], signer=store.signer, clock=lambda: NOW) as log:
        yield log


def rewrap(store: Store, engine: Engine, *select: str, **settings: object) -> fleet.Rewrapped:
    with logging(store) as log:
        chosen = {
            "identity": [store.old],
            "recipients": [store.new.public_key],
            "signers": [store.signer],
            "trust": store.trust,
        } | settings
        selected = [Selection.parse(text) for text in select or (OF.app,)]
        return fleet.rewrap(str(store.folder), select=selected, log=log, engine=engine, **chosen)  # type: ignore[arg-type]


@pytest.fixture
def engine(engines: dict[str, Engine]) -> Engine:
    return engines["threads"]


@pytest.mark.parametrize(("name", "task_segments"), [("threads", 1), ("threads", 512), ("two workers", 512)])
def test_all_that_is_selected_is_for_other_recipients_and_logged(
    store: Store, engines: dict[str, Engine], name: str, task_segments: int
) -> None:
    engine = engines[name]
    before, pointer = store.verdicts(), store.pointer()
    done = rewrap(store, engine, f"{OF.app}@{OF.channel}:22-30", task_bytes=task_segments * 512 * 1024)
    assert (done.renewed, done.already, done.findings) == (9, 0, ())
    assert store.renewed() == set(range(22, 31))
    after = store.verdicts()
    for sequence in store.renewed():
        old, new = before[sequence], after[sequence]
        assert replace(new.statement, encryption=old.statement.encryption) == old.statement
        assert new.seal.index == old.seal.index
        assert unwrap_session_key(new, [store.new]) == unwrap_session_key(old, [store.old])
        with pytest.raises(NotForUsError):
            unwrap_session_key(new, [store.old])
    assert set(store.replaced()) == {
        (hashlib.sha256(after[n].seal.encode()).hexdigest(), hashlib.sha256(before[n].seal.encode()).hexdigest())
        for n in range(22, 31)
    }
    now = store.pointer()
    assert now.trusted == pointer.trusted
    assert [one._replace(seal="", mark="") for one in now.entries.values()] == [
        one._replace(seal="", mark="") for one in pointer.entries.values()
    ]
    # The old seals and records are what a collector takes away; nothing else is wrong.
    scrubbed = fleet.scrub(str(store.folder), trust=store.trust, engine=engine)
    assert scrubbed.findings == ()
    again = rewrap(store, engine, f"{OF.app}@{OF.channel}:20-30")
    assert (again.renewed, again.already, again.findings) == (2, 9, ())


def test_only_what_is_trusted_logged_and_whole_is_signed_anew(
    store: Store, engine: Engine, signer2: PrivateKey
) -> None:
    # A rotated-out key's bundle, a trusted one that nobody logged, damage, and one that we cannot open.
    untrusted, unlogged, damaged, foreign = 4, 5, 6, 7
    pointer = store.pointer()
    entries = pointer.entries
    for sequence, key in ((untrusted, signer2), (unlogged, store.signer)):
        entry = entries[sequence]
        record = store.record(entry)
        seal = accept_detached((store.folder / record.seal_path).read_bytes(), store.trust, Expect()).seal
        data = replace(seal, envelope=sign(SEAL_TYPE, seal.statement.encode(), [key])).encode()
        digest = hashlib.sha256(data).hexdigest()
        (store.folder / record.seal_path).write_bytes(data)
        told = replace(record, release=replace(record.release, seal_digest=digest, seal_bytes=len(data)))
        (store.folder / record.path).write_bytes(told.encode())
        entries = entries.with_one(entry._replace(seal=digest))
    (store.folder / pointer.path).write_bytes(replace(pointer, entries=entries).encode())
    flip(store.folder / store.releases[damaged - 1].runs[0])
    rewrap(store, engine, f"{OF.app}@{OF.channel}:{foreign}")
    noted = len(store.replaced())

    kept = store.pointer().entries
    third = load_private_key(KEYS / "signer2.pem").public_key
    done = rewrap(store, engine, f"{OF.app}@{OF.channel}:3-8", recipients=[third])
    assert sorted(one.kind for one in done.findings) == ["damaged", "refused", "seal", "unlogged"]
    assert done.renewed == 2
    now = store.pointer().entries
    assert {n for n in now if now[n] != kept[n]} == {3, 8}
    assert len(store.replaced()) == noted + 2


def test_a_release_that_was_withdrawn_stays_and_one_that_changes_meanwhile_too(store: Store, engine: Engine) -> None:
    pointer = store.pointer()
    (store.folder / pointer.path).write_bytes(pointer.withdrawn(9, "2026-02-01T00:00:00Z").encode())

    def withdraw(progress: fleet.Progress) -> None:
        now = store.pointer()
        if now.entries[30].withdrawn is None:
            (store.folder / now.path).write_bytes(now.withdrawn(30, "2026-02-01T00:00:00Z").encode())

    watch = fleet.Watch(report=withdraw)
    done = rewrap(store, engine, f"{OF.app}@{OF.channel}:9-11", OF.app + "@production:30", watch=watch)
    assert [one.kind for one in done.findings] == ["changed"]
    assert store.renewed() == {10, 11}


@pytest.mark.parametrize("dry", [True, False])
def test_who_is_added_and_dropped_is_said_and_one_of_the_project_is_warned_of(store: Store, dry: bool) -> None:
    folder = store.folder.parent
    (folder / "capseal.toml").write_text(f'recipients = ["{KEYS}/recipient.pub.pem"]\n')
    words = ["fleet", "rewrap", str(store.folder), "--select", f"{OF.app}@{OF.channel}:1-2", "--log", "releases.log"]
    words += ["--trust", "trust.json", "-s", f"{KEYS}/signer.pem", "-i", f"{KEYS}/recipient.pem"]
    done = run(*words, "-r", f"{KEYS}/other.pub.pem", *(["--dry-run"] if dry else []), cwd=folder)
    assert done.code == 0
    old, new = (key.public_key.fingerprint[:16] for key in (store.old, store.new))
    assert done.out.decode().splitlines()[-2:] == [
        f"recipient {new}: added, 2 seals",
        f"recipient {old}: dropped, 2 seals",
    ]
    assert "recipient.pub.pem: is in 'recipients' in capseal.toml, and new seals are not for it" in done.err


def test_a_dry_run_changes_nothing(store: Store, engine: Engine) -> None:
    before = {path: path.read_bytes() for path in store.folder.parent.rglob("*") if path.is_file()}
    done = rewrap(store, engine, dry_run=True)
    assert (done.report.dry_run, done.renewed, done.findings) == (True, 0, ())
    assert done.report.bytes > 30 * 300
    assert {path: path.read_bytes() for path in store.folder.parent.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    "text", ["", "@production", "a:1", "a@b:", "a@b:x", "a@b:1-", "a@b:1-x", "a@b:-1", "a@b:1-2-3"]
)
def test_a_selection_that_says_nothing_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="not APP"):
        Selection.parse(text)


def test_a_large_release_is_signed_anew_only_where_each_of_its_runs_is_whole(store: Store, engine: Engine) -> None:
    # Each is too much for one task, and so the payload and the companion of each are read by other ones.
    flip(store.folder / store.releases[4].companion_runs[0])
    rewrap(store, engine, f"{OF.app}@{OF.channel}:5", task_bytes=1)
    assert store.renewed() == set()
    done = rewrap(store, engine, f"{OF.app}@{OF.channel}:5-6", task_bytes=1)
    assert [(one.kind, one.path) for one in done.findings] == [("damaged", store.releases[4].companion_runs[0])]
    assert store.renewed() == {6}


def test_a_log_that_is_signed_by_somebody_else_ends_it_before_it_begins(
    store: Store, engine: Engine, signer2: PrivateKey
) -> None:
    seals = [verified.seal for verified in store.verdicts().values()]
    store.log.unlink()
    with writing(store.log) as log:
        for seal in seals:
            log.prepare(seal, signer=signer2, now=NOW)
            log.count()
    with pytest.raises(SignatureError):
        rewrap(store, engine)
    assert store.renewed() == set()


def test_a_log_that_is_missing_or_altered_ends_it_before_it_begins(store: Store, engine: Engine) -> None:
    lines = store.log.read_bytes()
    store.log.write_bytes(lines.replace(b"payload", b"payl0ad", 1))
    with pytest.raises(FormatError):
        rewrap(store, engine)
    store.log.unlink()
    with pytest.raises(UsageError, match="no such log"):
        rewrap(store, engine)
    assert store.renewed() == set()


@pytest.mark.parametrize(
    ("releases", "step"),
    [(RELEASES, 12), pytest.param(1000, 200, marks=[pytest.mark.soak, pytest.mark.timeout(1800)])],
)
def test_killed_and_run_again_each_is_old_or_new_and_all_are_new_at_the_end(
    tmp_path: Path, original: Store, store: Store, releases: int, step: int
) -> None:
    if releases != RELEASES:
        store = made(tmp_path / "large" / "store", releases)
    words = ["fleet", "rewrap", "store", "--select", f"{OF.app}@{OF.channel}", "--log", "releases.log"]
    words += ["--trust", "trust.json", "--json", "-s", f"{KEYS}/signer.pem"]
    words += ["-i", f"{KEYS}/recipient.pem", "-r", f"{KEYS}/other.pub.pem"]
    rng = Random(5)
    kills = 0
    before: set[int] = set()
    while True:
        process = subprocess.Popen(
            [sys.executable, "-m", "capseal", *words],
            cwd=store.folder.parent,
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
        )
        enough = store.log.read_bytes().count(b"\n") + rng.randint(step // 2 + 3, step)
        while process.poll() is None and store.log.read_bytes().count(b"\n") < enough:
            time.sleep(0.002)
        process.kill()
        out, _ = process.communicate()
        renewed = store.renewed()
        assert renewed >= before
        before = renewed
        if process.returncode == 0:
            break
        kills += 1
    assert renewed == set(range(1, releases + 1))
    report = json.loads(out)
    assert (report["job"], report["renewed"] + report["already"], report["findings"]) == ("rewrap", releases, [])
    assert kills >= 2
    # Each seal that is served now is logged, in place of one that was.
    served = {entry.seal for entry in store.pointer().entries.values()}
    assert served <= {seal for seal, _ in store.replaced()}
    print(f"\n{kills} kills, {len(store.replaced())} entries for {releases} releases")
    assert run(*words, cwd=store.folder.parent).succeeded()
