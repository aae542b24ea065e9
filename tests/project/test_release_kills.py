"""Killed at any step, a release is in the log if the server has it, and only then, once the next one was made."""

import bisect
import dataclasses
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import capseal
from capseal import PrivateKey, TransferError, TrustStore, UsageError
from capseal.client import Connection, publish
from capseal.project._unfinished import settle_unfinished, unfinished_release
from capseal.project.log import load_pending, pending_path, verify_log
from support.release_worker import release
from support.serving import Live, live_server

WORKER = Path(__file__).parents[1] / "support" / "release_worker.py"

Killed = Callable[..., int]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, signer: PrivateKey, recipient: PrivateKey) -> Path:
    folder = tmp_path_factory.mktemp("place")
    signer.save(folder / "signer.pem")
    (folder / "trust.pem").write_bytes(signer.public_key.pem)
    (folder / "device.pub.pem").write_bytes(recipient.public_key.pem)
    (folder / "web").mkdir()
    (folder / "web" / "index.html").write_text("hello")
    (folder / "much").mkdir()
    (folder / "much" / "index.html").write_text("hello\n" * 20_000)
    return folder


@pytest.fixture(scope="module")
def killed(place: Path) -> Iterator[Killed]:
    """Return killed(folder, url, step) -> exit code of a release that is killed before that step."""
    paths = [str(WORKER.parents[1]), str(Path(capseal.__file__).parents[1])]
    command = [sys.executable, str(WORKER), str(place)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    with subprocess.Popen(command, env=environment, **pipes) as process:

        def killed(folder: Path, url: str | None, step: int, **keywords: Any) -> int:
            job = {"folder": str(folder), "url": url, "kill_at": step}
            job |= {"sequence": None, "log": True, "web": "web", "recipes": False} | keywords
            process.stdin.write(json.dumps(job) + "\n")
            process.stdin.flush()
            return os.waitstatus_to_exitcode(int(process.stdout.readline()))

        yield killed
        process.stdin.close()


def _logged(folder: Path, trust: TrustStore) -> list[tuple[int, str]]:
    return sorted((one.entry.sequence, one.entry.seal) for one in verify_log(folder / "releases.log", trust=[trust]))


def _published(live: Live) -> list[tuple[int, str]]:
    listed = live.client.get("/v1/apps/com.example.game/channels/production/releases").json()["releases"]
    return sorted((one["sequence"], one["seal"]["digest"]["sha256"]) for one in listed)


def test_the_log_holds_what_the_server_took_wherever_a_release_was_killed(
    killed: Killed, place: Path, live: Live, trust: TrustStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    kills = pendings = taken = 0
    for step in itertools.count(1):
        before = len(_published(live)) if kills else 0
        code = killed(folder, live.url, step)
        if code == 0:
            break
        assert code == -signal.SIGKILL, step
        kills += 1
        pendings += load_pending(folder / "releases.log") is not None
        release(place, folder, live.url)
        assert load_pending(folder / "releases.log") is None
        assert _logged(folder, trust) == _published(live), step
        taken += len(_published(live)) - before - 1
    with capsys.disabled():
        print(f"\n{kills} kills; {pendings} left an entry pending; {taken} of those releases had been taken")
    assert 0 < taken < pendings < kills


def test_without_a_server_the_log_holds_what_is_in_the_folder_wherever_a_release_was_killed(
    killed: Killed, place: Path, trust: TrustStore, tmp_path: Path
) -> None:
    outcomes = set()
    for step in itertools.count(1):
        folder = tmp_path / str(step)
        folder.mkdir()
        if killed(folder, None, step) == 0:
            break
        seals = len(list((folder / "releases").glob("*.seal")))
        release(place, folder, None)
        named = {int(path.stem.rpartition("-")[2]) for path in (folder / "releases").glob("*.seal")}
        assert {sequence for sequence, _ in _logged(folder, trust)} == named, step
        outcomes.add((seals, len(named)))
        shutil.rmtree(folder)
    assert outcomes == {(0, 1), (1, 2)}


def test_what_a_killed_release_left_of_its_recipes_is_taken_back(
    killed: Killed, place: Path, trust: TrustStore, tmp_path: Path
) -> None:
    """Killed between the names of its recipe and of its seal; what the seal does not vouch for stays."""

    def recipe_of(step: int) -> Path | None:
        folder = tmp_path / str(step)
        if not folder.exists():
            folder.mkdir()
            killed(folder, None, step, web="much", recipes=True)
        return next((folder / "releases").glob("*.attachment.recipe-fresh"), None)

    first = bisect.bisect_left(range(200), True, lo=1, key=lambda step: recipe_of(step) is not None)
    left = 0
    for step in itertools.count(first):
        recipe = recipe_of(step)
        assert recipe is not None
        if list(recipe.parent.glob("*.seal")):
            break
        left += 1
        whole = recipe.read_bytes()
        recipe.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        settle_unfinished(recipe.parent, trust)
        left_over = [path.name for path in recipe.parent.iterdir()]
        assert left_over == [recipe.name]
        shutil.rmtree(tmp_path / str(step))
        again = recipe_of(step)
        assert again is not None
        settle_unfinished(again.parent, trust)
        assert os.listdir(again.parent) == []
    assert left


@pytest.fixture(scope="module")
def first_pending(killed: Killed, trust: TrustStore, tmp_path_factory: pytest.TempPathFactory) -> int:
    """The first step of a first release before which its entry is pending."""
    with live_server(str(tmp_path_factory.mktemp("store")), trust) as live:
        for step in itertools.count(1):
            folder = tmp_path_factory.mktemp("killed")
            assert killed(folder, live.url, step) == -signal.SIGKILL
            if load_pending(folder / "releases.log") is not None:
                return step
    raise AssertionError


@pytest.fixture
def pending(killed: Killed, first_pending: int, live: Live, tmp_path: Path) -> Path:
    """A folder with a release whose fate is not known."""
    folder = tmp_path / "killed"
    folder.mkdir()
    assert killed(folder, live.url, first_pending) == -signal.SIGKILL
    assert load_pending(folder / "releases.log") is not None
    return folder


def test_what_is_pending_for_a_server_is_settled_by_that_server_only(
    pending: Path, place: Path, live: Live, trust: TrustStore, tmp_path: Path
) -> None:
    before = {path: path.read_bytes() for path in pending.rglob("*") if path.is_file()}
    with pytest.raises(UsageError, match=f"whether {live.url} took sequence [0-9]+ of com.example.game is not known"):
        release(place, pending, None)
    with live_server(str(tmp_path / "other"), trust) as other, pytest.raises(UsageError, match="is not known"):
        release(place, pending, other.url)
    assert {path: path.read_bytes() for path in pending.rglob("*") if path.is_file()} == before


def test_what_is_pending_for_one_server_is_logged_where_another_has_it(
    killed: Killed, first_pending: int, place: Path, live: Live, trust: TrustStore, tmp_path: Path
) -> None:
    """As after a wrong URL behind which something listened: the pair was published to the right one by itself."""
    for step in itertools.count(first_pending):
        folder = tmp_path / str(step)
        folder.mkdir()
        assert killed(folder, live.url, step) == -signal.SIGKILL
        if seals := list((folder / "releases").glob("com.*.seal")):
            break
    waiting = load_pending(folder / "releases.log")
    elsewhere = dataclasses.replace(waiting, server="http://127.0.0.1:9")
    Path(pending_path(folder / "releases.log")).write_bytes(elsewhere.encode())
    with Connection(live.url) as connection:
        publish(seals[0].with_suffix(".payload"), connection, seal=seals[0])
    release(place, folder, live.url)
    assert _logged(folder, trust) == _published(live)
    assert len(_published(live)) == 2


def test_a_server_that_cannot_be_asked_leaves_it_pending_and_releases_nothing(
    pending: Path, place: Path, live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise TransferError("no answer")

    before = sorted(os.listdir(pending / "releases"))
    monkeypatch.setattr(Connection, "ask", refuse)
    with pytest.raises(TransferError, match="no answer"):
        release(place, pending, live.url)
    assert load_pending(pending / "releases.log") is not None
    assert sorted(os.listdir(pending / "releases")) == before


def test_a_line_that_a_power_cut_left_half_written_is_written_again(
    pending: Path, place: Path, live: Live, trust: TrustStore
) -> None:
    waiting = load_pending(pending / "releases.log")
    with open(pending / "releases.log", "ab") as file:
        file.write(waiting.line[:100])
    release(place, pending, live.url)
    assert _logged(pending, trust) == _published(live)


def test_entries_that_came_meanwhile_do_not_stop_what_is_pending(
    killed: Killed, first_pending: int, place: Path, live: Live, trust: TrustStore, tmp_path: Path
) -> None:
    """As by a pull: the log has grown since the entry was signed."""
    for step in itertools.count(first_pending):
        ours = tmp_path / str(step)
        ours.mkdir()
        assert killed(ours, live.url, step) == -signal.SIGKILL
        waiting = load_pending(ours / "releases.log")
        if _listed(live):
            break
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    release(place, theirs, None)
    shutil.copy(theirs / "releases.log", ours / "releases.log")
    release(place, ours, live.url)
    logged = [one.entry.seal for one in verify_log(ours / "releases.log", trust=[trust])]
    assert len(logged) == 3 and logged[1] == waiting.entry.seal


def _listed(live: Live) -> list[object]:
    return live.client.get("/v1/apps").json()["latest"]


def test_a_refused_release_is_not_pending(place: Path, live: Live, tmp_path: Path, signer2: PrivateKey) -> None:
    stranger = tmp_path / "stranger"
    shutil.copytree(place, stranger)
    (stranger / "signer.pem").unlink()
    signer2.save(stranger / "signer.pem")
    (stranger / "trust.pem").write_bytes(signer2.public_key.pem)
    with pytest.raises(capseal.SignatureError):
        release(stranger, tmp_path, live.url)
    assert not os.path.exists(pending_path(tmp_path / "releases.log"))
    assert not (tmp_path / "releases.log").exists()


def test_what_is_pending_and_cannot_be_read_stops_a_release(pending: Path, place: Path, live: Live) -> None:
    Path(pending_path(pending / "releases.log")).write_text('{"line":"x","seal":"y"}')
    with pytest.raises(capseal.FormatError, match=r"releases\.log\.pending: envelope"):
        release(place, pending, live.url)


def test_what_a_killed_release_left_is_settled_by_the_next_one_of_the_same_sequence(
    killed: Killed, place: Path, trust: TrustStore, tmp_path: Path
) -> None:
    """Without a log: the files alone tell. A payload without its seal is no release, and stands in nobody's way."""
    outcomes = set()
    for step in itertools.count(1):
        folder = tmp_path / str(step)
        folder.mkdir()
        code = killed(folder, None, step, sequence=5, log=False)
        releases = folder / "releases"
        there = {path.suffix for path in releases.glob("com.*")}
        if there == {".payload", ".seal"}:
            with pytest.raises(UsageError, match="exists already"):
                release(place, folder, None, sequence=5, log=False)
        else:
            release(place, folder, None, sequence=5, log=False)
        assert sorted(os.listdir(releases)) == [f"com.example.game@production-5{end}" for end in (".payload", ".seal")]
        capseal.verify(*releases.glob("*.payload"), seal=next(releases.glob("*.seal")), trust=trust)
        outcomes.add(frozenset(there))
        shutil.rmtree(folder)
        if code == 0:
            break
    assert outcomes == {frozenset(), frozenset({".payload"}), frozenset({".payload", ".seal"})}


def test_what_another_release_is_at_and_what_is_not_ours_stays(place: Path, trust: TrustStore, tmp_path: Path) -> None:
    releases = tmp_path / "releases"
    with unfinished_release(tmp_path) as held, tempfile.TemporaryDirectory() as elsewhere:
        releases.mkdir()
        (tmp_path / "releases" / ".release-linkxxxx").symlink_to(elsewhere)
        (tmp_path / "releases" / ".release-openxxxx").mkdir(0o755)
        (tmp_path / "releases" / ".release-deadxxxx").mkdir(0o700)
        shutil.copytree(held, releases / ".release-file")
        os.rename(held, releases / ".release-heldxxxx")
        release(place, tmp_path, None)
        left = {name for name in os.listdir(releases) if name.startswith(".")}
        assert left == {".release-linkxxxx", ".release-openxxxx", ".release-file", ".release-heldxxxx"}
        os.rename(releases / ".release-heldxxxx", held)


def test_a_payload_that_the_seal_left_behind_does_not_fit_is_nobodys_to_delete(place: Path, tmp_path: Path) -> None:
    release(place, tmp_path, None, sequence=5, log=False)
    releases = tmp_path / "releases"
    base = "com.example.game@production-5"
    left = releases / ".release-deadxxxx"
    left.mkdir(0o700)
    os.rename(releases / f"{base}.seal", left / f"{base}.seal")
    (releases / f"{base}.payload").write_bytes(b"another's")
    release(place, tmp_path, None, sequence=6, log=False)
    found = {path.name: path.read_bytes() for path in releases.glob("*.payload")}
    assert found.get(f"{base}.payload") == b"another's"
