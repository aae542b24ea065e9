"""The release log: chained, signed, append-only."""

import fcntl
import io
import json
import os
import threading
import tracemalloc
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest

import capseal
from capseal import (
    CertifiedSigner,
    Detached,
    Envelope,
    FormatError,
    SignatureError,
    TamperedError,
    TruncatedError,
    TrustedCertificate,
    TrustStore,
    UsageError,
)
from capseal.project._log_writer import writing
from capseal.project.log import ENTRY_TYPE, FIRST, Entry, ReleaseEntry, verify_log
from capseal.project.release import log_seal, log_store
from capseal.trust.certificates import make_certificate
from capseal.trust.signing import sign
from support.release_log import append_entry

NOW = datetime(2026, 11, 22, 21, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def seal(signer, recipient, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sealed")
    return capseal.seal(
        io.BytesIO(b"content"),
        Detached(seal=folder / "seal", payload=folder / "payload"),
        signer=signer,
        recipients=[recipient.public_key],
        app="com.example.game",
        version="1.2.3",
        sequence=7,
        name="dist.zip",
        unpackable=False,
    )


@pytest.fixture
def log(tmp_path, seal, signer):
    """A log of three entries."""
    path = tmp_path / "releases.log"
    for hours in range(3):
        append_entry(path, seal, signer=signer, now=NOW + timedelta(hours=hours))
    return path


@pytest.mark.parametrize("first_lines", [0, 3])
def test_a_log_takes_the_memory_of_one_line_however_long_it_is(log, trust, seal, signer, first_lines):
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(lines[:first_lines]))
    with log.open("r+b") as file:
        file.truncate(log.stat().st_size + 4 * 1024**3)  # sparse, without the end of a line
    tracemalloc.start()
    try:
        with pytest.raises(FormatError, match=f"line {first_lines + 1}: more than 1048576 bytes"):
            verify_log(log, trust=[trust])
        with pytest.raises(FormatError, match=f"line {first_lines + 1}: more than 1048576 bytes"):
            append_entry(log, seal, signer=signer, now=NOW)
        assert tracemalloc.get_traced_memory()[1] < 16 * 1024**2
    finally:
        tracemalloc.stop()


def test_a_log_tells_who_signed_what_when(log, trust, signer, seal):
    logged = verify_log(log, trust=[trust])
    assert [item.entry.number for item in logged] == [1, 2, 3]
    assert [item.entry.time for item in logged] == [NOW + timedelta(hours=hours) for hours in range(3)]
    assert logged[0].entry.previous == FIRST
    assert [item.digest for item in logged[:-1]] == [item.entry.previous for item in logged[1:]]
    entry = logged[-1].entry
    assert (entry.app, entry.channel, entry.version, entry.sequence) == ("com.example.game", "production", "1.2.3", 7)
    assert entry.payload == seal.statement.payload.digest.hex()
    assert entry.signers == (signer.public_key.fingerprint,)
    assert [trusted.key for trusted in logged[-1].by] == [signer.public_key]


def test_an_empty_log_is_a_log(tmp_path, trust):
    (tmp_path / "log").touch()
    assert verify_log(tmp_path / "log", trust=[trust]) == []


def test_no_byte_of_a_log_can_be_altered(log, trust):
    data = log.read_bytes()
    for position in range(0, len(data), 5):
        altered = bytearray(data)
        altered[position] ^= 1
        log.write_bytes(altered)
        with pytest.raises(capseal.RejectedError):
            verify_log(log, trust=[trust])


def test_lines_cannot_be_removed_added_or_reordered(log, trust):
    a, b, c = log.read_bytes().splitlines(keepends=True)
    for lines in ([b, c], [a, c], [a, c, b], [a, a, b, c], [a, b, b, c]):
        log.write_bytes(b"".join(lines))
        with pytest.raises(TamperedError, match="lines were altered, removed or added"):
            verify_log(log, trust=[trust])


def test_entries_of_two_histories_do_not_fit_together(log, trust, seal, signer, tmp_path):
    other = tmp_path / "other.log"
    for minutes in range(3):  # signed by the same key
        append_entry(other, seal, signer=signer, now=NOW + timedelta(minutes=minutes))
    ours, theirs = (path.read_bytes().splitlines(keepends=True) for path in (log, other))
    for lines in ([ours[0], theirs[1]], [theirs[0], ours[1]], [*ours[:2], theirs[2]]):
        log.write_bytes(b"".join(lines))
        with pytest.raises(TamperedError, match="the line before is"):
            verify_log(log, trust=[trust])


def test_a_shortened_log_is_noticed_by_who_knows_a_later_head(log, trust):
    head = verify_log(log, trust=[trust])[-1].digest
    assert len(verify_log(log, trust=[trust], head=head)) == 3
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:2]))
    assert len(verify_log(log, trust=[trust])) == 2
    with pytest.raises(TruncatedError, match="the log was shortened or replaced"):
        verify_log(log, trust=[trust], head=head)


def test_a_log_that_was_cut_off_in_a_line_is_refused_and_not_added_to(log, trust, seal, signer):
    data = log.read_bytes()[:-1]
    log.write_bytes(data)
    with pytest.raises(TruncatedError, match=r"releases\.log: line 3 has no end"):
        verify_log(log, trust=[trust])
    with pytest.raises(TruncatedError, match="line 3 has no end"):
        append_entry(log, seal, signer=signer, now=NOW)
    assert log.read_bytes() == data


def test_an_entry_by_a_stranger_is_refused(log, trust, seal, signer2):
    append_entry(log, seal, signer=signer2, now=NOW + timedelta(days=1))
    with pytest.raises(SignatureError, match=r"releases\.log: entry 4: signed by .*, which no trusted key matches"):
        verify_log(log, trust=[trust])
    assert len(verify_log(log, trust=[trust, TrustStore.of(signer2.public_key)])) == 4


@pytest.fixture(scope="module")
def rotated(trust, signer2):
    """The store of `trust` after an update: another key, and the old one no longer."""
    return replace(TrustStore.of(signer2.public_key), version=2)


def _append(log, store, seal, signer, *, days):
    with writing(log, trust=store) as writer:
        writer.prepare(seal, signer=signer, now=NOW + timedelta(days=days))
        writer.count()


def _forged(log, signer, **changes):
    """Add an entry that says what its signer likes, chained to the last one; return what the log was."""
    data = log.read_bytes()
    with writing(log) as writer:
        line = data.splitlines()[-1]
        entry = replace(
            Entry.parse(Envelope.parse(line).payload_of(ENTRY_TYPE), "entry"),
            number=writer.last.number + 1,
            previous=sha256(line).hexdigest(),
            **changes,
        )
    with open(log, "ab") as file:
        file.write(sign(ENTRY_TYPE, entry.encode(), [signer]).encode() + b"\n")
    return data


def test_a_key_that_was_rotated_out_writes_no_entry_under_any_version(log, trust, rotated, seal, signer, signer2):
    _append(log, rotated, seal, signer2, days=1)
    stores = [trust, rotated]
    logged = verify_log(log, trust=stores)
    assert [(type(one.entry), one.entry.trust) for one in logged[2:]] == [
        (ReleaseEntry, 1),
        (Entry, 2),
        (ReleaseEntry, 2),
    ]
    for version, message in (
        (1, "entry 6 is under trust store version 1, after version 2"),
        (2, "entry 6: signed by .*, which no trusted key matches"),
        (3, "entry 6 is the first under trust store version 3, and notes a release"),
    ):
        before = _forged(log, signer, trust=version)
        with pytest.raises(capseal.RejectedError, match=message):
            verify_log(log, trust=stores)
        log.write_bytes(before)
    with pytest.raises(UsageError, match="last entry is under trust store version 2, the store here has version 1"):
        _append(log, trust, seal, signer, days=2)


def test_until_an_update_is_noted_the_log_does_not_verify(log, trust, rotated, signer2):
    with pytest.raises(TruncatedError, match="ends under trust store version 1, version 2 is here"):
        verify_log(log, trust=[trust, rotated])
    assert log_store(log, trust=rotated, signer=signer2, now=NOW + timedelta(days=1))
    assert not log_store(log, trust=rotated, signer=signer2, now=NOW + timedelta(days=1))
    assert [one.entry.trust for one in verify_log(log, trust=[rotated, trust])] == [1, 1, 1, 2]


def test_a_log_that_is_not_there_is_made_by_a_release_alone(tmp_path, rotated, signer2, seal):
    now = NOW + timedelta(days=1)
    assert not log_store(tmp_path / "log", trust=rotated, signer=signer2, now=now)
    assert not log_seal(tmp_path / "log", seal, replaces=seal, trust=rotated, signer=signer2, now=now)
    assert os.listdir(tmp_path) == []


def test_only_a_key_of_the_new_store_notes_that_it_begins(log, trust, rotated, signer):
    before = log.read_bytes()
    with pytest.raises(SignatureError, match=r"entry 4: signed by .*, which no trusted key matches"):
        log_store(log, trust=rotated, signer=signer, now=NOW + timedelta(days=1))
    assert log.read_bytes() == before
    assert not (log.parent / "releases.log.pending").exists()


def test_an_entry_of_a_version_whose_store_is_not_given_is_refused(log, rotated):
    with pytest.raises(SignatureError, match="entry 1: is under trust store version 1; those given have 2"):
        verify_log(log, trust=[rotated])


def test_a_version_begins_once(log, trust, signer):
    last = verify_log(log, trust=[trust])[-1]
    again = Entry(number=4, previous=last.digest, time=last.entry.time, trust=1)
    with open(log, "ab") as file:
        file.write(sign(ENTRY_TYPE, again.encode(), [signer]).encode() + b"\n")
    with pytest.raises(TamperedError, match="entry 4 notes that trust store version 1 begins, which the one before"):
        verify_log(log, trust=[trust])


def test_a_seal_that_replaces_another_is_logged_where_that_one_is(log, trust, seal, signer, recipient):
    other = capseal.seal(
        io.BytesIO(b"other"),
        io.BytesIO(),
        signer=signer,
        recipients=[recipient.public_key],
        app="com.example.game",
        version="1",
        sequence=8,
        name="dist.zip",
        unpackable=False,
    )
    now = NOW + timedelta(days=1)
    assert not log_seal(log, other, replaces=other, trust=trust, signer=signer, now=now)
    assert log_seal(log, seal, replaces=seal, trust=trust, signer=signer, now=now)
    last = verify_log(log, trust=[trust])[-1].entry
    assert last.replaces == last.seal == sha256(seal.encode()).hexdigest()
    for changes in ({"replaces": "0" * 64}, {"replaces": last.seal, "payload": "0" * 64}):
        before = _forged(log, signer, **changes)
        with pytest.raises(TamperedError, match=r"entry 5 replaces seal .*, which the log has not of its payload"):
            verify_log(log, trust=[trust])
        log.write_bytes(before)


@pytest.mark.parametrize("kept", [0, 1, 300, 10**9])
def test_what_was_cut_off_between_two_lines_of_an_update_is_mended(log, trust, rotated, seal, signer2, kept):
    with writing(log, trust=rotated) as writer:
        writer.prepare(seal, signer=signer2, now=NOW + timedelta(days=1))
        first, line = writer.pending.lines
    with open(log, "ab") as file:  # the power went in the middle
        both = first + b"\n" + line + b"\n"
        file.write(both[: min(kept, len(first) + 1 + len(line) // 2)])
    with writing(log, trust=rotated) as writer:
        writer.settle(lambda pending: True, signer=signer2)
    assert [one.entry.trust for one in verify_log(log, trust=[trust, rotated])] == [1, 1, 1, 2, 2]
    assert not (log.parent / "releases.log.pending").exists()


def test_what_was_pending_when_the_key_was_rotated_out_is_signed_by_the_new_one(
    log, trust, rotated, seal, signer, signer2
):
    with writing(log, trust=trust) as writer:
        writer.prepare(seal, signer=signer, now=NOW + timedelta(days=1))
    with writing(log, trust=rotated) as writer:
        writer.settle(lambda pending: True, signer=signer2)
    assert [one.by[0].key for one in verify_log(log, trust=[trust, rotated])] == [
        *[signer.public_key] * 3,
        *[signer2.public_key] * 2,
    ]


def test_a_development_key_writes_no_release_log(tmp_path, seal, development_signer, development_trust):
    append_entry(tmp_path / "log", seal, signer=development_signer, now=NOW)
    with pytest.raises(SignatureError, match="development key only"):
        verify_log(tmp_path / "log", trust=[development_trust])


def test_one_signature_is_enough_for_an_entry_whatever_the_threshold(log, trust_both):
    assert len(verify_log(log, trust=[trust_both])) == 3


def test_time_does_not_go_backwards(log, trust, signer):
    last = verify_log(log, trust=[trust])[-1]
    entry = replace(last.entry, number=4, previous=last.digest, time=NOW)
    with open(log, "ab") as file:
        file.write(sign(ENTRY_TYPE, entry.encode(), [signer]).encode() + b"\n")
    with pytest.raises(TamperedError, match="entry 4 is of 2026-11-22T21:30:00Z, the one before of 2026-11-22T23:30"):
        verify_log(log, trust=[trust])


def test_an_entry_after_one_of_a_fast_clock_has_its_time(log, trust, seal, signer):
    append_entry(log, seal, signer=signer, now=NOW + timedelta(days=365))
    entry = append_entry(log, seal, signer=signer, now=NOW + timedelta(hours=4))
    assert entry.time == NOW + timedelta(days=365)
    assert len(verify_log(log, trust=[trust])) == 5


@pytest.mark.parametrize("wrong", [timedelta(days=-1), timedelta(days=2)])
def test_what_would_not_verify_at_its_time_is_not_written(tmp_path, seal, signer, wrong):
    chain = make_certificate(signer, name="Ada", days=1, now=NOW)
    store = TrustStore(certificates=(TrustedCertificate(chain.certificates[0]),))
    certified = CertifiedSigner(signer, chain)
    append_entry(tmp_path / "log", seal, signer=certified, now=NOW + timedelta(hours=1))
    before = (tmp_path / "log").read_bytes()
    with writing(tmp_path / "log", trust=store) as writer:
        if wrong > timedelta():
            with pytest.raises(SignatureError, match="entry 2: certificate 'CN=Ada' expired"):
                writer.prepare(seal, signer=certified, now=NOW + wrong)
        else:  # of the time of the entry before, at which it was valid
            writer.prepare(seal, signer=certified, now=NOW + wrong)
            writer.count()
    if wrong > timedelta():
        assert (tmp_path / "log").read_bytes() == before
        assert not (tmp_path / "log.pending").exists()
    assert verify_log(tmp_path / "log", trust=[store])


def test_a_clock_that_was_fast_once_is_named_where_a_certificate_does_not_reach(tmp_path, seal, signer):
    chain = make_certificate(signer, name="Ada", days=1, now=NOW)
    store = TrustStore(certificates=(TrustedCertificate(chain.certificates[0]),))
    append_entry(tmp_path / "log", seal, signer=signer, now=NOW + timedelta(days=365))
    with writing(tmp_path / "log", trust=store) as writer:
        told = "the entry before is of 2027-11-22T21:30:00Z, the clock says 2026-11-22T21:30:00Z: one of them is wrong"
        with pytest.raises(SignatureError, match=told):
            writer.prepare(seal, signer=CertifiedSigner(signer, chain), now=NOW)


def test_certificates_are_judged_at_the_time_of_the_entry(tmp_path, seal, signer):
    chain = make_certificate(signer, name="Ada", days=1, now=NOW)
    store = TrustStore(certificates=(TrustedCertificate(chain.certificates[0]),))
    append_entry(tmp_path / "log", seal, signer=CertifiedSigner(signer, chain), now=NOW)
    assert len(verify_log(tmp_path / "log", trust=[store])) == 1
    append_entry(tmp_path / "log", seal, signer=CertifiedSigner(signer, chain), now=NOW + timedelta(days=2))
    with pytest.raises(SignatureError, match="entry 2: certificate 'CN=Ada' expired"):
        verify_log(tmp_path / "log", trust=[store])


def test_another_signed_document_is_no_entry(log, trust, seal, signer):
    log.write_bytes(seal.envelope.encode() + b"\n")
    with pytest.raises(FormatError, match=r"line 1: envelope.payloadType: .* is unknown"):
        verify_log(log, trust=[trust])


@pytest.mark.parametrize("change", [{"number": 0}, {"time": "today"}, {"signers": []}, {"signers": [7]}, {"more": 1}])
def test_what_is_no_entry_is_refused_even_if_it_is_signed(log, trust, signer, change):
    entry = json.loads(verify_log(log, trust=[trust])[0].entry.encode()) | change
    log.write_bytes(sign(ENTRY_TYPE, json.dumps(entry).encode(), [signer]).encode() + b"\n")
    with pytest.raises(FormatError, match=r"releases\.log: line 1: entry"):
        verify_log(log, trust=[trust])


def test_an_entry_comes_back_equal(log, trust):
    entry = verify_log(log, trust=[trust])[1].entry
    assert Entry.parse(entry.encode(), "entry") == entry


def test_who_adds_to_a_log_waits_for_whoever_does_already(log, trust, seal, signer):
    with open(log, "rb") as held:
        fcntl.flock(held, fcntl.LOCK_SH)
        adding = threading.Thread(
            target=append_entry, args=(log, seal), kwargs={"signer": signer, "now": NOW + timedelta(days=1)}
        )
        adding.start()
        adding.join(0.5)
        assert adding.is_alive()
        assert len(verify_log(log, trust=[trust])) == 3
    adding.join(60)
    assert len(verify_log(log, trust=[trust])) == 4
