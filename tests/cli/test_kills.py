"""Whatever is killed whenever, the names have what they had before, or what was to come: never a mixture."""

import itertools
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import capseal
from capseal import TrustStore
from support.command import Desk, run
from support.dying import Killed, commands_that_die
from support.server_fixtures import BundleMaker
from support.serving import Bundle, Live, live_server, some_bytes


@pytest.fixture(scope="module")
def killed() -> Iterator[Killed]:
    with commands_that_die() as killed:
        yield killed


def _content_of(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def _sequence_of(payload: Path, seal: Path, trust: TrustStore) -> int | None:
    """Return the sequence of a pair, or None where the two do not belong together."""
    try:
        return capseal.verify(payload, seal=seal, trust=trust).statement.sequence
    except capseal.RejectedError:
        return None


def test_a_pair_that_is_replaced_is_never_a_payload_beside_a_seal_of_another(
    killed: Killed, desk: Desk, trust: TrustStore, tmp_path: Path
) -> None:
    def words(sequence: int) -> list[str]:
        output = ["-o", "payload", "--seal", "seal", "-f", "--sequence", str(sequence)]
        return ["seal", str(desk.path("dist.zip")), *output, *map(str, desk.sealing)]

    before = tmp_path / "before"
    before.mkdir()
    assert killed(before, words(1), 0) == 0
    old = {(before / name).read_bytes() for name in ("payload", "seal")}
    seen = set()
    for step in itertools.count(1):
        work = tmp_path / str(step)
        shutil.copytree(before, work)
        code = killed(work, words(2), step)
        payload, seal = _content_of(work / "payload"), _content_of(work / "seal")
        hidden = {path.read_bytes() for path in work.glob(".*.part*")}
        if seal is None:
            seen.add("no seal")
            assert old - {payload} <= hidden  # nothing is lost as long as the new pair is not there
        else:
            seen.add(_sequence_of(work / "payload", work / "seal", trust))
        if code == 0:
            assert hidden == set()
            break
        assert code == -signal.SIGKILL, step
        if seal is None and payload is not None:
            told = run("verify", "payload", "--seal", "seal", *desk.trusting, cwd=work)
            told.failed_with(
                2, "seal: is not there, since a run that was to replace the pair was killed; run that again"
            )
        assert killed(work, words(3), 0) == 0  # and the next run goes through
        assert capseal.verify(work / "payload", seal=work / "seal", trust=trust).statement.sequence == 3
        shutil.rmtree(work)
    assert seen == {1, "no seal", 2}


def _sent_bytes(live: Live) -> int:
    return int(live.app.state.server.metrics.sent._value.get())


def _fetching(live: Live, trust: TrustStore, folder: Path) -> Callable[[Path], list[str]]:
    (folder / "trust.json").write_bytes(trust.to_json())
    options = ["--trust", str(folder / "trust.json"), "--app", "com.example.game", "--channel", "production"]
    return lambda work: ["fetch", live.url, "-o", str(work), *options]


def test_fetching_again_leaves_the_pair_whole_wherever_it_is_killed(
    killed: Killed, live: Live, bundle: Bundle, trust: TrustStore, tmp_path: Path
) -> None:
    live.publish(bundle)
    words = _fetching(live, trust, tmp_path)
    out = tmp_path / "out"
    out.mkdir()
    assert killed(tmp_path, words(out), 0) == 0
    (payload,), (seal,) = out.glob("*.payload"), out.glob("*.seal")
    inode = payload.stat().st_ino
    for step in itertools.count(1):
        code = killed(tmp_path, words(out), step)
        assert (payload.stat().st_ino, payload.read_bytes()) == (inode, bundle.payload)
        capseal.verify(payload, seal=seal, trust=trust)
        if code == 0:
            break
    assert sorted(out.iterdir()) == [payload, seal]


def _verifies(payload: Path, seal: Path, trust: TrustStore) -> bool:
    try:
        capseal.verify(payload, seal=seal, trust=trust)
    except capseal.RejectedError:
        return False
    return True


def test_a_fetch_over_another_release_never_leaves_a_payload_beside_its_seal(
    killed: Killed, store: Path, trust: TrustStore, sealed: BundleMaker, tmp_path: Path
) -> None:
    """As from two servers that gave out the same sequence; and what has arrived is not asked for again."""
    first, second = (sealed(sequence=7, content=some_bytes(4)) for _ in range(2))
    before = tmp_path / "before"
    before.mkdir()
    with live_server(str(tmp_path / "one"), trust) as live:
        live.publish(first)
        assert killed(tmp_path, _fetching(live, trust, tmp_path)(before), 0) == 0
    seen = set()
    with live_server(str(tmp_path / "other"), trust) as live:
        live.publish(second)
        words = _fetching(live, trust, tmp_path)
        for step in itertools.count(1):
            work = tmp_path / str(step)
            shutil.copytree(before, work)
            code = killed(tmp_path, words(work), step)
            ((payload,), seals) = work.glob("*.payload"), list(work.glob("*.seal"))
            assert all(_verifies(payload, seal, trust) for seal in seals)
            seen.add(
                (payload.read_bytes() == second.payload, tuple(seal.read_bytes() == second.seal for seal in seals))
            )
            whole = second.payload in [path.read_bytes() for path in (payload, *work.glob(".*.part"))]
            if code == 0:
                break
            sent = _sent_bytes(live)
            assert killed(tmp_path, words(work), 0) == 0
            assert (_sent_bytes(live) == sent) or not whole
            assert payload.read_bytes() == second.payload
            shutil.rmtree(work)
    assert seen == {(False, (False,)), (False, ()), (True, ()), (True, (True,))}
