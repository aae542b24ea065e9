"""A job with a state goes on after its driver died: the same bytes, claims kept, and the key nowhere else."""

import base64
import json
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from distributed import Client
from obstore.store import from_url

from capseal import TransferError, UsageError, fleet
from capseal.constants import SEGMENT_BYTES
from capseal.errors import FormatError, KeyFileError, SourceChangedError, TamperedError
from capseal.fleet import Engine
from capseal.fleet import _places as places
from capseal.fleet import _state as states
from capseal.fleet._sources import PinnedObject
from capseal.format.segment_layout import plain_offset
from fleet.conftest import BUCKET, Keys, entropy
from support.command import run
from support.large_store import plant_special

S = SEGMENT_BYTES
CONTENT = random.Random(6).randbytes(plain_offset(12) + 5)
SIZES = {"part_bytes": 2 * S, "task_bytes": 4 * S}


@pytest.fixture
def threads(engines: dict[str, Engine]) -> Engine:
    return engines["threads"]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "content"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def sealing(tmp_path: Path, keys: Keys, threads: Engine) -> Callable[..., fleet.Sealed]:
    """Seals parts below `out`, with a state."""

    def seal(source: Path | str, **settings: Any) -> fleet.Sealed:
        asked = {"state": str(tmp_path / "state"), "entropy": os.urandom} | SIZES | settings
        return keys.seal(source, f"file://{tmp_path}/out", threads, **asked)

    return seal


def parts_below(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.rglob("*-0*"))}


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], None]]:
    """Lets a destination be out of reach after so many parts."""
    put, lock = places.put_new, threading.Lock()
    left = 1 << 30

    def counted(folder: str, name: str, data: memoryview) -> bytes | None:
        nonlocal left
        # The first part is there: a job that claimed it and did not get to send it begins anew.
        if "/out/" in folder and "-" in name and name != "0000000000-02":
            with lock:
                left -= 1
                if left < 0:
                    raise TransferError("the store is out of reach")
        return put(folder, name, data)

    def after(parts: int) -> None:
        nonlocal left
        left = parts

    monkeypatch.setattr(places, "put_new", counted)
    yield after


def interrupted(seal: Callable[..., fleet.Sealed], source: Path | str, failing: Callable[[int], None]) -> None:
    failing(4)
    with pytest.raises(TransferError, match="out of reach"):
        seal(source)
    failing(1 << 30)


def test_a_job_goes_on_with_its_key_and_claims_and_then_the_state_is_gone(
    tmp_path: Path, keys: Keys, source: Path, sealing: Callable[..., fleet.Sealed], failing: Callable[[int], None]
) -> None:
    interrupted(lambda one: sealing(one, entropy=entropy()), source, failing)
    before = parts_below(tmp_path / "out")
    assert 0 < len(before) < 7
    sealed = sealing(source)
    plain = keys.plain(source)
    assert sealed.seal is not None and sealed.seal.index == plain.seal.index
    after = parts_below(tmp_path / "out")
    assert b"".join(after.values()) == plain.payload
    assert before.items() <= after.items()
    assert {path.name for path in (tmp_path / ".capseal-claims").rglob("*-0*")} == set(after)
    assert not (tmp_path / "state").exists()


def test_the_key_is_in_the_state_for_its_owner_and_nowhere_else(
    tmp_path: Path, source: Path, sealing: Callable[..., fleet.Sealed], failing: Callable[[int], None]
) -> None:
    interrupted(sealing, source, failing)
    state = tmp_path / "state"
    assert state.stat().st_mode & 0o777 == 0o600
    key = base64.b64decode(json.loads(state.read_bytes())["session_key"])
    shown = (key, base64.b64encode(key), key.hex().encode())
    others = [path for path in tmp_path.rglob("*") if path.is_file() and path != state]
    assert len(others) > 5
    assert not any(one in path.read_bytes() for one in shown for path in others)
    sealing(source)
    assert not any(one in path.read_bytes() for one in shown for path in tmp_path.rglob("*") if path.is_file())


def test_of_a_pinned_object_only_what_was_not_sent_is_read_again(
    s3: str,
    monkeypatch: pytest.MonkeyPatch,
    keys: Keys,
    source: Path,
    sealing: Callable[..., fleet.Sealed],
    failing: Callable[[int], None],
    tmp_path: Path,
) -> None:
    url = f"s3://{BUCKET}/with-state/content"
    from_url(f"s3://{BUCKET}").put("with-state/content", CONTENT)
    interrupted(lambda one: sealing(one, entropy=entropy()), url, failing)
    there = len(parts_below(tmp_path / "out"))
    offsets = []
    read = PinnedObject.read
    monkeypatch.setattr(PinnedObject, "read", lambda self, at, into: offsets.append(at) or read(self, at, into))
    sealed = sealing(url)
    assert sealed.seal is not None and sealed.seal.index == keys.plain(source).seal.index
    assert len(offsets) == 7 - there


def test_a_source_that_is_another_one_by_then_gets_another_key(
    tmp_path: Path, source: Path, sealing: Callable[..., fleet.Sealed], failing: Callable[[int], None]
) -> None:
    interrupted(sealing, source, failing)
    (first,) = (tmp_path / "out").iterdir()
    changed = bytearray(CONTENT)
    changed[7] ^= 1
    source.write_bytes(changed)
    with pytest.raises(SourceChangedError, match="another ciphertext was claimed"):
        sealing(source)
    assert not (tmp_path / "state").exists()
    assert parts_below(first) == {}
    assert (tmp_path / ".capseal-claims" / first.name / "closed").exists()
    sealed = sealing(source)
    assert sealed.seal is not None and sealed.seal.statement.encryption.commitment.hex() != first.name


def test_a_source_of_another_size_or_pin_is_another_one(
    s3: str, tmp_path: Path, source: Path, sealing: Callable[..., fleet.Sealed], failing: Callable[[int], None]
) -> None:
    interrupted(sealing, source, failing)
    with source.open("ab") as file:
        file.write(b"x")
    with pytest.raises(SourceChangedError, match="is another one than when the job began"):
        sealing(source)
    url = f"s3://{BUCKET}/pinned/content"
    from_url(f"s3://{BUCKET}").put("pinned/content", CONTENT)
    interrupted(sealing, url, failing)
    from_url(f"s3://{BUCKET}").put("pinned/content", CONTENT[:-1] + b"x")
    with pytest.raises(SourceChangedError, match="is another one than when the job began"):
        sealing(url)
    assert not (tmp_path / "state").exists()
    assert parts_below(tmp_path / "out") == {}


def test_a_folder_that_lost_its_first_part_is_not_gone_on_with(
    tmp_path: Path, source: Path, sealing: Callable[..., fleet.Sealed], failing: Callable[[int], None]
) -> None:
    interrupted(sealing, source, failing)
    (folder,) = (tmp_path / "out").iterdir()
    (folder / "0000000000-02").unlink()
    with pytest.raises(SourceChangedError, match="has lost its first part"):
        sealing(source)
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("planted", ["link", "pipe", "folder"])
def test_what_is_planted_in_place_of_a_part_that_was_sent_is_refused_and_the_job_goes_on_without_it(
    tmp_path: Path,
    keys: Keys,
    source: Path,
    sealing: Callable[..., fleet.Sealed],
    failing: Callable[[int], None],
    planted: str,
) -> None:
    interrupted(lambda one: sealing(one, entropy=entropy()), source, failing)
    (folder,) = (tmp_path / "out").iterdir()
    part = sorted(folder.iterdir())[-1]
    plant_special(part, planted, tmp_path / "elsewhere")
    with pytest.raises(FormatError, match=rf"{part.name}: is (a symbolic link|no file)"):
        sealing(source)
    part.rmdir() if planted == "folder" else part.unlink()
    sealing(source)
    assert b"".join(parts_below(tmp_path / "out").values()) == keys.plain(source).payload


def test_parts_of_another_size_are_sent_again_and_refused(
    tmp_path: Path, source: Path, sealing: Callable[..., fleet.Sealed], failing: Callable[[int], None]
) -> None:
    interrupted(sealing, source, failing)
    (folder,) = (tmp_path / "out").iterdir()
    (folder / "0000000000-02").write_bytes(b"short")
    with pytest.raises(TamperedError, match="other bytes"):
        sealing(source)
    assert not (tmp_path / "state").exists()


def test_a_driver_that_died_just_after_the_seal_is_followed_by_one_that_ends_the_job(
    tmp_path: Path, source: Path, sealing: Callable[..., fleet.Sealed], failing: Callable[[int], None]
) -> None:
    interrupted(sealing, source, failing)
    state = (tmp_path / "state").read_bytes()
    first = sealing(source)
    (tmp_path / "state").write_bytes(state)
    (tmp_path / "state").chmod(0o600)
    again = sealing(source)
    assert first.seal is not None and again.seal is not None
    assert (again.seal.statement, again.seal.index) == (first.seal.statement, first.seal.index)


@pytest.mark.parametrize("how", ["readable", "writable", "link", "pipe", "empty", "another key"])
def test_a_state_that_others_may_read_or_that_is_none_is_refused_and_stays(
    tmp_path: Path, source: Path, sealing: Callable[..., fleet.Sealed], failing: Callable[[int], None], how: str
) -> None:
    interrupted(sealing, source, failing)
    state = tmp_path / "state"
    if how == "readable":
        state.chmod(0o640)
    elif how == "writable":
        state.chmod(0o620)
    elif how == "link":
        state.rename(tmp_path / "other")
        state.symlink_to(tmp_path / "other")
    elif how == "pipe":
        state.unlink()
        os.mkfifo(state, 0o600)
    elif how == "empty":
        state.write_bytes(b"")
    else:
        said = json.loads(state.read_bytes())
        state.write_bytes(json.dumps(said | {"session_key": base64.b64encode(bytes(32)).decode()}).encode())
    before = parts_below(tmp_path / "out")
    with pytest.raises(KeyFileError, match=str(state)), states.held(str(state)):
        pass
    with pytest.raises(KeyFileError, match=str(state)):
        sealing(source)
    assert os.path.lexists(state) and parts_below(tmp_path / "out") == before


def test_a_state_is_of_one_job(
    tmp_path: Path, source: Path, sealing: Callable[..., fleet.Sealed], failing: Callable[[int], None], keys: Keys
) -> None:
    interrupted(sealing, source, failing)
    for settings in ({"part_bytes": S}, {"claims": str(tmp_path / "elsewhere")}):
        with pytest.raises(UsageError, match="the state is of a job with"):
            sealing(source, **settings)
    with pytest.raises(UsageError, match="a state is for parts"):
        keys.seal(source, tmp_path / "out.sealed", Engine("x", None, False, lambda: 1), state=str(tmp_path / "state"))  # type: ignore[arg-type]
    assert (tmp_path / "state").exists()
    assert sealing(source).seal is not None


KILLED = """
import os, signal, sys, threading
from datetime import UTC, datetime
from capseal import fleet
from capseal.bundle.plan import OPEN_ENCRYPTION, OPEN_PAYLOAD
from capseal.crypto.keys import load_private_key
from capseal.fleet import _places as places
from capseal.fleet import _state as states
from capseal.format.statement import Content, Statement
from capseal.format.strictjson import Role

address, folder, key, part, task, *steps = sys.argv[1:]
key = load_private_key(key)
statement = Statement(
    app="com.example.game", version="1", sequence=7, channel="production", role=Role.PRODUCTION,
    created=datetime(2026, 1, 2, tzinfo=UTC), content=Content("content", "application/octet-stream", 0),
    payload=OPEN_PAYLOAD, encryption=OPEN_ENCRYPTION,
)


def dying(left):
    lock = threading.Lock()

    def counting(call):
        def counted(*arguments):
            nonlocal left
            for _ in range(2):  # before it, and after it
                with lock:
                    left -= 1
                    if not left:
                        os.kill(os.getpid(), signal.SIGKILL)
                if _ == 0:
                    done = call(*arguments)
            return done

        return counted

    places.put_new = counting(places.put_new)
    states.save = counting(states.save)
    states.remove = counting(states.remove)


for step in map(int, steps):
    pid = os.fork()
    if not pid:
        dying(step)
        with fleet.dask(address) if address else fleet.threads(2) as engine:
            fleet.seal(
                f"{folder}/content", f"file://{folder}/out", statement=statement, signers=[key],
                recipients=[key.public_key], engine=engine, part_bytes=int(part), task_bytes=int(task),
                state=f"{folder}/state", unpackable=False,
            )
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


def test_a_driver_that_is_killed_anywhere_goes_on_with_the_same_bytes(tmp_path: Path, source: Path, keys: Keys) -> None:
    keys.signer.save(tmp_path / "key.pem")
    # Parts, claims, two more claims, the seal and the state are put, and it is removed, each of them twice a step.
    steps = [*random.sample(range(1, 30), 4), random.randint(33, 38), 1 << 30, 1 << 30]
    words = ["", str(tmp_path), str(tmp_path / "key.pem"), str(2 * S), str(4 * S), *map(str, steps)]
    done = subprocess.run([sys.executable, "-c", KILLED, *words], capture_output=True, text=True, check=True)
    codes = done.stdout.split()
    # Between claim and sending of the first part a kill costs the key.
    assert set(codes[:-1]) <= {"-9", "0", "1"} and codes[-1] == "0", (steps, done)
    # Of each the last line: a traceback also shows the line of code that has these words.
    told = [line for line in done.stderr.splitlines() if line.startswith("capseal.errors.SourceChangedError: ")]
    assert codes.count("1") == sum("has lost its first part; run it again" in line for line in told), (steps, done)
    assert check_sealed(tmp_path, keys), steps


def check_sealed(folder: Path, keys: Keys) -> list[Path]:
    """Check that what has a seal opens to the content, and that no state is left; return its folders."""
    assert not (folder / "state").exists()
    whole = [one for one in (folder / "out").iterdir() if (one / "seal").exists()]
    for one in whole:
        with fleet.threads(1) as engine:
            opened = folder / one.name
            fleet.unseal(f"file://{one}", str(opened), identity=keys.signer, trust=keys.trust, engine=engine)
        assert opened.read_bytes() == (folder / "content").read_bytes()
    return whole


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_a_driver_of_a_cluster_that_is_killed_again_and_again_gets_there(
    tmp_path: Path, keys: Keys, cluster: Client
) -> None:
    """Short of this, the one above kills drivers of threads."""
    (tmp_path / "content").write_bytes(random.Random(8).randbytes(64 * 1024**2))
    keys.signer.save(tmp_path / "key.pem")
    sizes = [str(2 * S), str(4 * S)]
    words = [cluster.scheduler.address, str(tmp_path), str(tmp_path / "key.pem"), *sizes, str(1 << 30)]
    command = [sys.executable, "-c", KILLED.replace("pid = os.fork()", "pid = 0"), *words]
    began = time.monotonic()
    subprocess.run(command, check=True)
    whole_s = time.monotonic() - began
    killed = 0
    while killed < 12:
        process = subprocess.Popen(command)
        try:
            process.wait(random.uniform(0, whole_s))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            killed += 1
    # Between claim and sending of the first part a kill costs the key, and the next run begins anew.
    codes = [subprocess.run(command).returncode for _ in range(2)]
    assert codes in ([0, 0], [1, 0])
    folders = check_sealed(tmp_path, keys)
    print(f"\n{killed} drivers killed, {len(folders)} bundles")
    assert folders


def test_the_command_takes_a_state(tmp_path: Path, source: Path, keys: Keys) -> None:
    keys.signer.save(tmp_path / "key.pem")
    (tmp_path / "to.pem").write_bytes(keys.recipient.public_key.pem)
    words = ("fleet", "seal", "content", f"file://{tmp_path}/out", "--version", "1", "--app", "com.example.game")
    keyed = ("-s", "key.pem", "-r", "to.pem", "--state", "state")
    assert run(*words, *keyed, cwd=tmp_path).code == 0
    assert not (tmp_path / "state").exists()
    (tmp_path / "state").write_bytes(b"{}")
    refused = run(*words, *keyed, cwd=tmp_path)
    assert refused.code != 0 and "state" in refused.err and (tmp_path / "state").exists()
