"""A scrub finds every defect of a store, whatever its kind, and nothing else; it goes on after each."""

import json
import os
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from capseal import Expect, TrustStore, fleet
from capseal.bundle.opened import accept_detached
from capseal.errors import TransferError, UsageError
from capseal.fleet import Engine
from capseal.fleet import _places as places
from capseal.format.seal import SEAL_TYPE
from capseal.io.regular import read_at
from capseal.trust.signing import sign
from fleet.conftest import Keys
from support.command import run
from support.large_store import Release, flip, make_store, plant, plant_special

NOW = datetime.now(UTC) + timedelta(hours=1)
NO_GRACE = {"grace": timedelta(0), "now": NOW}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, keys: Keys) -> tuple[Path, list[Release]]:
    folder = tmp_path_factory.mktemp("made") / "store"
    return folder, make_store(folder, keys.signer, keys.recipient, releases=60)


@pytest.fixture
def store(tmp_path: Path, made: tuple[Path, list[Release]]) -> tuple[Path, list[Release]]:
    return Path(shutil.copytree(made[0], tmp_path / "store")), made[1]


def found(scrubbed: fleet.Scrubbed) -> list[tuple[str, str]]:
    return sorted((one.kind, one.path) for one in scrubbed.findings)


def test_a_sound_store_has_no_findings(store: tuple[Path, list[Release]], trust: TrustStore, engine: Engine) -> None:
    scrubbed = fleet.scrub(str(store[0]), trust=trust, engine=engine, **NO_GRACE)
    assert (scrubbed.findings, scrubbed.releases, scrubbed.checked) == ((), 60, 60)


@pytest.mark.parametrize("task_segments", [1, 512])
def test_two_defects_of_every_kind_are_found_and_nothing_else(
    store: tuple[Path, list[Release]], trust: TrustStore, engine: Engine, task_segments: int
) -> None:
    folder, releases = store
    wanted = plant(folder, releases)
    task_bytes = task_segments * 512 * 1024
    scrubbed = fleet.scrub(str(folder), trust=trust, engine=engine, task_bytes=task_bytes, **NO_GRACE)
    assert found(scrubbed) == sorted(wanted)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_in_ten_thousand_releases_all_defects_are_found_and_nothing_else(
    tmp_path: Path, keys: Keys, trust: TrustStore, engines: dict[str, Engine]
) -> None:
    releases = make_store(tmp_path / "store", keys.signer, keys.recipient, releases=10_000)
    wanted = plant(tmp_path / "store", releases[4_000:])
    scrubbed = fleet.scrub(str(tmp_path / "store"), trust=trust, engine=engines["two workers"], **NO_GRACE)
    assert found(scrubbed) == sorted(wanted)
    print(f"\n{scrubbed.releases} releases in {scrubbed.report.seconds} s, {len(wanted)} findings")


@pytest.mark.parametrize("planted", ["link", "pipe", "folder"])
def test_what_is_planted_in_place_of_an_object_is_found_and_neither_read_nor_waited_for(
    tmp_path: Path, store: tuple[Path, list[Release]], trust: TrustStore, engines: dict[str, Engine], planted: str
) -> None:
    folder, releases = store
    bad = [releases[0].runs[0], releases[1].companion_runs[0], releases[2].index, releases[3].seal, releases[4].record]
    for number, path in enumerate(bad):
        plant_special(folder / path, planted, tmp_path / str(number))
    scrubbed = fleet.scrub(str(folder), trust=trust, engine=engines["threads"], **NO_GRACE)
    kinds = ["damaged", "damaged", "index", "seal", "record"]
    assert found(scrubbed) == sorted(zip(kinds, bad, strict=True))


def test_of_an_object_that_is_too_large_no_byte_is_read(
    store: tuple[Path, list[Release]],
    trust: TrustStore,
    engines: dict[str, Engine],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder, releases = store
    bad = [releases[0].runs[0], releases[2].index, releases[3].seal, releases[4].record]
    for path in bad:
        os.truncate(folder / path, 64 * 1024**2)
    read: list[int] = []

    def reading(fd: int, offset: int, size: int) -> bytes:
        read.append(size)
        return read_at(fd, offset, size)

    monkeypatch.setattr(places, "read_at", reading)
    scrubbed = fleet.scrub(str(folder), trust=trust, engine=engines["threads"], **NO_GRACE)
    assert found(scrubbed) == sorted(zip(["size", "index", "seal", "record"], bad, strict=True))
    assert 0 < max(read) < 64 * 1024**2


def test_what_came_of_late_may_be_on_its_way_in(
    store: tuple[Path, list[Release]], trust: TrustStore, engines: dict[str, Engine]
) -> None:
    folder, releases = store
    wanted = plant(folder, releases)
    scrubbed = fleet.scrub(str(folder), trust=trust, engine=engines["threads"])
    assert found(scrubbed) == sorted(one for one in wanted if one[0] not in ("extra", "orphan", "misplaced"))


def test_a_state_lets_a_scrub_read_only_what_was_not_found_whole_of_late(
    store: tuple[Path, list[Release]], trust: TrustStore, engines: dict[str, Engine], tmp_path: Path
) -> None:
    folder, releases = store
    settings = {"trust": trust, "engine": engines["threads"], "state": str(tmp_path / "state.json"), **NO_GRACE}
    flip(folder / releases[3].runs[0])
    first = fleet.scrub(str(folder), **settings, again_after=timedelta(days=30))
    assert (len(first.findings), first.checked) == (1, 60)
    # What is rotten stays on the list; what was found whole is listed, which shows what is lost.
    (folder / releases[5].runs[0]).unlink()
    flip(folder / releases[7].runs[0])
    second = fleet.scrub(str(folder), **settings, again_after=timedelta(days=30))
    assert second.checked == 1
    assert found(second) == [("damaged", releases[3].runs[0]), ("missing", releases[5].runs[0])]
    later = fleet.scrub(str(folder), **settings | {"now": NOW + timedelta(days=31)}, again_after=timedelta(days=30))
    assert later.checked == 60
    assert {path for _, path in found(later)} == {releases[n].runs[0] for n in (3, 5, 7)}


def test_a_damaged_pointer_is_found_and_makes_no_orphans(
    store: tuple[Path, list[Release]], trust: TrustStore, engines: dict[str, Engine]
) -> None:
    folder, _ = store
    (pointer,) = (path for path in (folder / "channels").rglob("*") if path.is_file())
    pointer.write_bytes(b"{}")
    scrubbed = fleet.scrub(str(folder), trust=trust, engine=engines["threads"], **NO_GRACE)
    assert found(scrubbed) == [("pointer", str(pointer.relative_to(folder)))]


@pytest.mark.parametrize("planted", ["link", "pipe", "folder"])
def test_what_is_planted_in_place_of_a_pointer_is_found_and_makes_no_orphans(
    tmp_path: Path, store: tuple[Path, list[Release]], trust: TrustStore, engines: dict[str, Engine], planted: str
) -> None:
    folder, _ = store
    (pointer,) = (path for path in (folder / "channels").rglob("*") if path.is_file())
    plant_special(pointer, planted, tmp_path / "elsewhere")
    scrubbed = fleet.scrub(str(folder), trust=trust, engine=engines["threads"], **NO_GRACE)
    assert found(scrubbed) == [("pointer", str(pointer.relative_to(folder)))]


def test_seals_of_others_are_findings(store: tuple[Path, list[Release]], signer2, engines: dict[str, Engine]) -> None:
    trust = TrustStore.of(signer2.public_key)
    scrubbed = fleet.scrub(str(store[0]), trust=trust, engine=engines["threads"], **NO_GRACE)
    assert {one.kind for one in scrubbed.findings} == {"seal"}
    assert len(scrubbed.findings) == 60


def test_seals_of_a_key_that_was_rotated_out_are_found_unless_a_store_of_the_past_is_given(
    store: tuple[Path, list[Release]], trust: TrustStore, signer2, development_signer, engines: dict[str, Engine]
) -> None:
    folder, releases = store
    settings = {"trust": TrustStore.of(signer2.public_key), "engine": engines["threads"], **NO_GRACE}
    other = TrustStore.of(development_signer.public_key)
    assert fleet.scrub(str(folder), past=[other, trust], **settings).findings == ()
    assert {one.kind for one in fleet.scrub(str(folder), past=[other], **settings).findings} == {"seal"}
    flip(folder / releases[3].seal)
    flip(folder / releases[4].runs[0])
    scrubbed = fleet.scrub(str(folder), past=[other, trust], **settings)
    assert found(scrubbed) == sorted([("seal", releases[3].seal), ("damaged", releases[4].runs[0])])


def test_what_is_no_store_is_refused(tmp_path: Path, trust: TrustStore, engines: dict[str, Engine]) -> None:
    with pytest.raises(TransferError, match="is no store"):
        fleet.scrub(str(tmp_path), trust=trust, engine=engines["threads"])
    with pytest.raises(UsageError, match="lies in the store"):
        fleet.scrub(str(tmp_path), trust=trust, engine=engines["threads"], state=str(tmp_path / "state"))


def test_a_scrub_keeps_to_its_rate(
    store: tuple[Path, list[Release]], trust: TrustStore, engines: dict[str, Engine]
) -> None:
    watch = fleet.Watch(bytes_per_s=2_000_000)
    scrubbed = fleet.scrub(str(store[0]), trust=trust, engine=engines["threads"], watch=watch, **NO_GRACE)
    assert scrubbed.findings == ()
    assert scrubbed.report.seconds > 0.2


def test_the_command_lists_all_and_tells_by_its_exit_code(
    store: tuple[Path, list[Release]], trust: TrustStore, signer2, tmp_path: Path
) -> None:
    trust.save(tmp_path / "trust.json")
    TrustStore.of(signer2.public_key).save(tmp_path / "next.json")
    words = ("fleet", "scrub", "store", "--trust", "trust.json", "--state", "state.json", "--again-after", "30")
    assert b"60 releases, 60 read, 0 findings" in run(*words, cwd=tmp_path).succeeded().out
    rotated = run("fleet", "scrub", "store", "--trust", "next.json", cwd=tmp_path)
    assert (rotated.code, b"60 findings" in rotated.out) == (1, True)
    run("fleet", "scrub", "store", "--trust", "next.json", "--trust", "trust.json", cwd=tmp_path).succeeded()
    flip(tmp_path / "store" / store[1][2].seal)
    assert b"60 releases, 0 read, 0 findings" in run(*words, cwd=tmp_path).succeeded().out
    done = run(*words[:5], "--json", cwd=tmp_path)
    assert done.code == 1
    report = json.loads(done.out)
    assert [(one["kind"], one["path"]) for one in report["findings"]] == [("seal", store[1][2].seal)]
    assert (report["job"], report["releases"], report["checked"]) == ("scrub", 60, 60)


def test_another_seal_of_the_same_release_is_not_the_one_that_was_published(
    store: tuple[Path, list[Release]], keys: Keys, engines: dict[str, Engine]
) -> None:
    path = store[0] / store[1][4].seal
    seal = accept_detached(path.read_bytes(), keys.trust, Expect()).seal
    path.write_bytes(replace(seal, envelope=sign(SEAL_TYPE, seal.statement.encode(), [keys.signer])).encode())
    scrubbed = fleet.scrub(str(store[0]), trust=keys.trust, engine=engines["threads"], **NO_GRACE)
    assert found(scrubbed) == [("seal", store[1][4].seal)]
