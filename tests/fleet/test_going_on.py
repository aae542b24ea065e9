"""What may cost a job with a state its key, what may not, and whose parts nobody sweeps."""

import os
import random
import shutil
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from capseal import Seal, TransferError, UsageError, fleet
from capseal.cli.framework.exit_codes import Interrupted
from capseal.constants import SEGMENT_BYTES
from capseal.crypto.keys import Signer
from capseal.errors import KeyFileError, SourceChangedError
from capseal.fleet import Progress, Watch
from capseal.fleet import _claims as claiming
from capseal.fleet import _places as places
from capseal.fleet import _sealing as sealing
from capseal.fleet import _state as states
from capseal.format.requires import Requires
from capseal.format.segment_layout import plain_offset
from capseal.trust.external_signers import CommandSigner
from fleet.conftest import STATEMENT, Keys

S = SEGMENT_BYTES
CONTENT = random.Random(6).randbytes(plain_offset(6) + 5)
PARTS = 4


@dataclass(frozen=True)
class Job:
    """Seals `content` into parts below `out`, with a state."""

    folder: Path
    keys: Keys

    @property
    def source(self) -> Path:
        return self.folder / "content"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def claims(self) -> Path:
        return self.folder / sealing.CLAIMS_FOLDER

    def seal(self, *, out: str = "out", **settings: Any) -> fleet.Sealed:
        asked = {"state": str(self.state), "entropy": os.urandom, "part_bytes": 2 * S, "task_bytes": 2 * S}
        with fleet.threads(1) as engine:
            return self.keys.seal(
                self.source, f"file://{self.folder}/{out}", engine, **(asked | {"unpackable": False} | settings)
            )

    def parts(self) -> dict[str, bytes]:
        found = sorted((self.folder / "out").rglob("*-0*"))
        return {f"{path.parent.name}/{path.name}": path.read_bytes() for path in found}

    def change_source(self) -> None:
        changed = bytearray(CONTENT)
        changed[7] ^= 1
        self.source.write_bytes(changed)

    def broken_off(self) -> dict[str, bytes]:
        """Have the job fail after two parts, and return them."""

        def unreachable(progress: Progress) -> None:
            if progress.done_tasks == 2:
                raise TransferError("out of reach")

        with pytest.raises(TransferError, match="out of reach"):
            self.seal(watch=Watch(report=unreachable))
        parts = self.parts()
        assert 2 <= len(parts) < PARTS
        assert self.state.exists()
        return parts


@pytest.fixture
def job(tmp_path: Path, keys: Keys) -> Job:
    made = Job(tmp_path, keys)
    made.source.write_bytes(CONTENT)
    return made


@pytest.fixture
def unable(keys: Keys) -> Signer:
    return CommandSigner(["false"], keys.signer.public_key)


@pytest.mark.parametrize("how", ["source", "signer", "nothing"])
def test_what_was_sealed_keeps_its_parts_when_the_same_job_is_run_again(
    job: Job, unable: Signer, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(states, "remove", lambda state: None)  # the driver died before it
        folder = Path(job.seal().report.place.removeprefix("file://"))
    parts = job.parts()
    assert len(parts) == PARTS and job.state.exists()
    (folder / "seal").unlink()  # as a server does, beside parts that are published
    if how == "source":
        job.change_source()
        with pytest.raises(SourceChangedError, match=f"{folder} was sealed before, and is left as it is"):
            job.seal()
    elif how == "signer":
        with pytest.raises(KeyFileError):
            job.seal(signers=[unable])
    else:
        again = job.seal()
        assert any("was sealed before" in warning for warning in again.report.warnings)
    assert job.parts() == parts
    assert job.state.exists() == (how == "signer")
    assert not (job.claims / folder.name / "closed").exists()


def test_a_job_that_died_between_claim_and_putting_of_its_seal_is_sealed_by_the_next(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(folder: str, seal: Seal) -> None:
        raise TransferError("out of reach")

    with monkeypatch.context() as patch, pytest.raises(TransferError):
        patch.setattr(sealing, "_put_seal", dies)
        job.seal()
    parts = job.parts()
    (folder,) = (job.folder / "out").iterdir()
    assert not (folder / "seal").exists()
    job.seal()
    assert (folder / "seal").exists() and job.parts() == parts and not job.state.exists()


@pytest.mark.parametrize("error", [Interrupted(15), KeyboardInterrupt(), MemoryError()])
def test_a_job_that_is_told_to_stop_goes_on(job: Job, error: BaseException) -> None:
    def stopping(progress: Progress) -> None:
        raise error

    with pytest.raises(type(error)):
        job.seal(watch=Watch(report=stopping))
    before = job.parts()
    assert before and job.state.exists()
    job.seal()
    assert before.items() <= job.parts().items()
    assert not job.state.exists() and len(job.parts()) == PARTS


def test_a_signer_that_fails_at_the_end_costs_nothing(job: Job, unable: Signer) -> None:
    with pytest.raises(KeyFileError):
        job.seal(signers=[unable])
    parts = job.parts()
    assert len(parts) == PARTS and job.state.exists()
    job.seal()
    assert job.parts() == parts and not job.state.exists()


def sent_by(job: Job, patch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that gets the name of each part that is sent."""
    put, sent = places.put_new, []

    def noted(folder: str, name: str, data: memoryview) -> bytes | None:
        if folder.startswith(f"{job.folder}/out/"):
            sent.append(name)
        return put(folder, name, data)

    patch.setattr(places, "put_new", noted)
    return sent


def test_a_job_whose_claims_are_gone_sends_nothing_and_drops_its_key(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = job.broken_off()
    shutil.rmtree(job.claims)
    job.change_source()
    sent = sent_by(job, monkeypatch)
    with pytest.raises(SourceChangedError, match="has lost the claims of what was sent"):
        job.seal()
    assert sent == [] and not job.state.exists() and not job.claims.exists()
    assert job.parts() == parts  # for claims would tell whether they were sealed
    job.seal()
    assert len(job.parts()) == len(parts) + PARTS


def test_a_part_that_was_sent_and_whose_claim_is_gone_is_not_claimed_anew(job: Job) -> None:
    job.broken_off()
    (folder,) = (job.folder / "out").iterdir()
    (job.claims / folder.name / "0000000002-02").unlink()
    with pytest.raises(SourceChangedError, match="its claim is gone"):
        job.seal()
    assert not job.state.exists() and not (job.claims / folder.name / "0000000002-02").exists()


def test_of_two_jobs_with_one_state_the_second_is_refused(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    put_seal, refused = sealing._put_seal, []

    def meeting(folder: str, seal: Seal) -> None:
        job.change_source()
        with pytest.raises((UsageError, SourceChangedError)) as error:
            job.seal()
        assert "another job has it now" in str(error.value)
        refused.append(error.value)
        put_seal(folder, seal)

    job.broken_off()
    monkeypatch.setattr(sealing, "_put_seal", meeting)
    job.seal()
    assert len(refused) == 1
    assert len(job.parts()) == PARTS and not job.state.exists()


def test_a_job_that_was_given_up_is_not_sealed(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    index = sealing._index

    def given_up(*arguments: Any, **options: Any) -> bytes:
        done = index(*arguments, **options)
        (folder,) = job.claims.iterdir()
        claiming.ClaimsInStore(str(folder)).close()  # as a driver with a copy of the state does
        return done

    monkeypatch.setattr(sealing, "_index", given_up)
    with pytest.raises(SourceChangedError, match="the job was given up"):
        job.seal()
    assert not list((job.folder / "out").rglob("seal")) and not job.state.exists()


def test_a_state_that_is_another_jobs_by_then_stays(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    put_seal = sealing._put_seal

    def replaced(folder: str, seal: Seal) -> None:
        job.state.unlink()
        monkeypatch.setattr(sealing, "_put_seal", put_seal)
        job.broken_off()
        put_seal(folder, seal)

    monkeypatch.setattr(sealing, "_put_seal", replaced)
    monkeypatch.setattr(Job, "parts", lambda self: dict.fromkeys(range(3), b""))  # there are two jobs' of them
    job.seal()
    assert job.state.exists()


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (replace(STATEMENT, sequence=8), "sequence 7, not 8"),
        (replace(STATEMENT, sequence=int(STATEMENT.created.timestamp())), "sequence 7, not by time"),
        (replace(STATEMENT, content=replace(STATEMENT.content, name="other")), "content name content, not other"),
        (replace(STATEMENT, requires=Requires(native_min="9.0")), "requires None, not .*9.0"),
    ],
)
def test_a_state_is_not_taken_over_by_a_job_that_would_say_something_else(job: Job, other: Any, told: str) -> None:
    parts = job.broken_off()
    with pytest.raises(UsageError, match=told):
        job.seal(statement=other)
    assert job.state.exists() and job.parts() == parts


def test_a_sequence_by_time_is_the_one_that_it_was(job: Job) -> None:
    def at(later: timedelta) -> Any:
        created = STATEMENT.created + later
        return replace(STATEMENT, created=created, sequence=int(created.timestamp()))

    with pytest.raises(KeyboardInterrupt):
        job.seal(statement=at(timedelta(0)), watch=Watch(report=interrupting))
    sealed = job.seal(statement=at(timedelta(hours=1)))
    assert sealed.seal is not None and sealed.seal.statement.sequence == int(STATEMENT.created.timestamp())


def interrupting(progress: Progress) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("where", ["store/parts/state", "store/state", "store/link/state"])
def test_a_state_within_the_destination_or_its_store_is_refused(job: Job, where: str) -> None:
    parts = job.folder / "store" / "parts"
    parts.mkdir(parents=True)
    (job.folder / "store" / "store.json").touch()
    (job.folder / "store" / "link").symlink_to(parts)
    with pytest.raises(UsageError, match=f"{where}: lies in"):
        job.seal(out="store/parts", state=str(job.folder / where))
    assert list(parts.iterdir()) == [] and not job.claims.exists()
