"""Recipes sealed as companions: what they rebuild is exactly the payload that was signed, or nothing of it is kept."""

import io
import random
import zipfile
from contextlib import ExitStack
from dataclasses import replace

import pytest

import capseal
from capseal import TamperedError, TrustStore, delta
from capseal.bundle.companions import checked_index
from capseal.constants import HEADER_BYTES, SEGMENT_BYTES
from capseal.io.source import open_source
from capseal.recipes import rebuilding
from capseal.recipes._names import RECIPE_TYPE
from capseal.recipes.bases import open_known_base
from capseal.recipes.making import RecipeMaker
from support.updates import copy_tree, make_update, write_versions


def test_a_payload_is_rebuilt_from_the_old_bundle_by_far_less_than_its_size(update):
    made = update()
    out, missing, attempts = made.rebuild(bases=(made.old_sealed,))
    assert (bytes(out), missing) == (made.payload.read_bytes(), set())
    [attempt] = attempts
    assert (attempt.name, attempt.problem) == (made.from_old, None)
    assert attempt.downloaded == made.stored(made.from_old).stat().st_size + 32
    assert attempt.downloaded < len(out) / 100


def test_a_payload_is_rebuilt_from_nothing(update):
    made = update()
    out, missing, attempts = made.rebuild()
    assert (bytes(out), missing) == (made.payload.read_bytes(), set())
    assert [attempt.name for attempt in attempts] == ["recipe-fresh"]


@pytest.mark.parametrize("kind", ["folder", "zip", "deflated"])
def test_a_base_that_was_never_sealed_is_known_by_its_listing(update, tmp_path, kind):
    versions = write_versions(tmp_path)
    base = versions[0]
    if kind != "folder":
        base = tmp_path / "old.zip"
        with zipfile.ZipFile(base, "w", zipfile.ZIP_DEFLATED if kind == "deflated" else zipfile.ZIP_STORED) as packed:
            for path in versions[0].rglob("*"):
                packed.write(path, path.relative_to(versions[0]))
    made = update(bases=[base], versions=versions)
    with delta.open_base(versions[0]) as opened:
        assert made.from_old == f"recipe-{opened.digest.hex()[:16]}"
    for other in (versions[0], made.old_sealed):
        out, missing, attempts = made.rebuild(bases=(other,))
        assert (bytes(out), missing) == (made.payload.read_bytes(), set())
        assert [attempt.name for attempt in attempts] == [made.from_old]


def test_a_single_file_is_a_base_and_is_rebuilt(update, tmp_path):
    drawn = random.Random(3)
    old, new = tmp_path / "a.bin", tmp_path / "b.bin"
    old.write_bytes(drawn.randbytes(700_000))
    new.write_bytes(old.read_bytes()[:300_000] + b"new" + old.read_bytes()[300_000:])
    made = update(versions=(old, new))
    out, missing, attempts = made.rebuild(bases=(made.old_sealed,))
    assert (bytes(out), missing) == (made.payload.read_bytes(), set())
    assert attempts[0].downloaded < 1000


@pytest.mark.parametrize("size", [0, 1, 524_231, 524_232, 524_233, 1_048_503, 1_048_504, 1_048_505])
def test_content_of_every_edge_is_rebuilt(update, tmp_path, size):
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "a").write_bytes(random.Random(1).randbytes(max(0, size - 20)))
    (tmp_path / "new").write_bytes(random.Random(1).randbytes(size))
    made = update(versions=(tmp_path / "old", tmp_path / "new"))
    verified = capseal.verify(made.payload, trust=made.trust, seal=made.seal)
    assert verified.statement.content.size == size
    for bases in ((), (made.old_sealed,)):
        missing = {0} if size < 524_233 else None
        out, missing, attempts = made.rebuild(bases=bases, missing=missing)
        # What is no smaller than what it saves is not asked for.
        assert (not missing and bytes(out) == made.payload.read_bytes()) or not attempts


def test_every_recipe_has_a_salt_and_a_prefix_of_its_own_at_every_making(signer, recipient, tmp_path):
    headers = []
    for number in range(2):
        folder = tmp_path / str(number)
        folder.mkdir()
        made = make_update(folder, signer, recipient)
        headers += [made.stored(one.name).read_bytes()[:40] for one in made.made] + [made.payload.read_bytes()[:40]]
    assert len({header[1:33] for header in headers}) == len({header[33:] for header in headers}) == 6


def test_only_segments_that_are_missing_are_kept(update):
    made = update()
    out, missing, _ = made.rebuild(bases=(made.old_sealed,), missing={1})
    assert missing == set()
    payload = made.payload.read_bytes()
    assert out[SEGMENT_BYTES : 2 * SEGMENT_BYTES] == payload[SEGMENT_BYTES : 2 * SEGMENT_BYTES]
    assert not any(out[:SEGMENT_BYTES]) and not any(out[2 * SEGMENT_BYTES :])


def test_a_recipe_that_is_larger_than_what_is_missing_is_not_asked_for(update, tmp_path):
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "a").write_bytes(b"a")
    (tmp_path / "new").write_bytes(random.Random(2).randbytes(SEGMENT_BYTES))
    made = update(versions=(tmp_path / "old", tmp_path / "new"))
    _, missing, attempts = made.rebuild(bases=(made.old_sealed,))
    assert missing == {0, 1}
    assert attempts == []


# --- what is wrong with a recipe


def every_change(data: bytes):
    for at in range(len(data)):
        for flip in (0x01, 0xFF):
            yield data[:at] + bytes([data[at] ^ flip]) + data[at + 1 :]


def kept_rightly(made, out, missing):
    """Say how many segments came, all of which have to be the signed ones; what did not come is as it was."""
    payload = made.payload.read_bytes()
    for segment, at in enumerate(range(0, len(payload), SEGMENT_BYTES)):
        signed = payload[at : at + SEGMENT_BYTES]
        assert out[at : at + SEGMENT_BYTES] == (bytes(len(signed)) if segment in missing else signed), segment
    return -(-len(payload) // SEGMENT_BYTES) - len(missing)


def small_versions(folder):
    """A base, and a new content of more than one segment, whose recipe is so small that every byte can be tried."""
    old, new = folder / "old", folder / "new"
    noise = random.Random(5).randbytes(600_000)
    for place, text in ((old, b"".join(b"const a%d = %d;\n" % (i, i * i) for i in range(60))), (new, b"")):
        place.mkdir(parents=True)
        (place / "a.bin").write_bytes(noise)
        (place / "b.js").write_bytes(text or b"".join(b"const a%d = %d;\n" % (i, i * i + i % 7) for i in range(60)))
    return old, new


def test_every_byte_of_a_stored_recipe_changed_keeps_no_segment(update, tmp_path, capsys):
    made = update(versions=small_versions(tmp_path), from_folder=True)
    data = made.stored(made.from_old).read_bytes()
    refused = 0
    for at in range(len(data)):
        changed = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        _, missing, attempts = made.rebuild(
            bases=(made.old,), altered=lambda name, _, changed=changed: changed if name == made.from_old else b""
        )
        assert missing == {0, 1} and attempts[0].name == made.from_old
        assert all(attempt.problem for attempt in attempts)
        refused += 1
    for size in range(len(data)):
        _, missing, _ = made.rebuild(
            bases=(made.old,), altered=lambda name, _, size=size: data[:size] if name == made.from_old else b""
        )
        assert missing == {0, 1}
        refused += 1
    with capsys.disabled():
        print(f"\n{refused} sealed recipes changed or cut, no segment kept of any")


def test_whatever_a_signed_recipe_says_only_segments_as_signed_are_kept(update, tmp_path, capsys, monkeypatch):
    """By a publisher who signs anything: each byte changed, each truncation, and what is behind the end."""
    made = update(versions=small_versions(tmp_path), from_folder=True)
    plain = plaintext_of(made, made.from_old)
    counts = {"whole": 0, "in part": 0, "refused": 0}
    cut = [plain[:size] for size in range(len(plain))] + [plain + b"\0"]
    for changed in [*every_change(plain), *cut]:
        monkeypatch.setattr(rebuilding, "CompanionContent", lambda *a, changed=changed, **k: Plain(changed))
        out, missing, _ = made.rebuild(bases=(made.old,))
        came = kept_rightly(made, out, missing)
        counts["whole" if not missing else "in part" if came else "refused"] += 1
    with capsys.disabled():
        print(f"\n{sum(counts.values())} signed recipes changed or cut: {counts}")
    assert counts["refused"] > counts["whole"]


class Plain(io.BytesIO):
    """A recipe that was decrypted already."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.read_bytes = len(data)

    def read_into(self, offset, buffer):
        self.seek(offset)
        return self.readinto(buffer)

    def peek(self, offset, size):
        return self.getvalue()[offset : offset + size]


def plaintext_of(made, name):
    out = io.BytesIO()
    companion = next(one for one in capseal.inspect(made.seal)[1].companions if one.name == name)
    capseal.unseal_companion(
        made.stored(name),
        out,
        name=name,
        index=checked_index(companion, open_source(io.BytesIO(made.stored(name).read_bytes()))).entries,
        verified=capseal.verify(made.payload, trust=made.trust, seal=made.seal),
        identity=made.recipient,
        payload_header=made.payload.read_bytes()[:40],
    )
    return out.getvalue()


def test_recipes_of_other_bundles_keep_no_segment(update, tmp_path, monkeypatch):
    made = update(versions=small_versions(tmp_path), from_folder=True)
    folder = tmp_path / "other"
    other = make_update(folder, made.signer, made.recipient, versions=small_versions(folder), from_folder=True)
    for name in (other.from_old, "recipe-fresh"):
        stored, plain = other.stored(name).read_bytes(), plaintext_of(other, name)
        _, missing, _ = made.rebuild(bases=(made.old,), altered=lambda _, data, stored=stored: stored)
        assert missing == {0, 1}
        monkeypatch.setattr(rebuilding, "CompanionContent", lambda *a, plain=plain, **k: Plain(plain))
        _, missing, attempts = made.rebuild(bases=(made.old,))
        monkeypatch.undo()
        assert missing == {0, 1} and attempts and all(attempt.problem for attempt in attempts)
    # Those of one bundle cannot stand in for one another either: their keys hang on their names.
    swapped = {made.from_old: made.stored("recipe-fresh").read_bytes(), "recipe-fresh": b""}
    _, missing, _ = made.rebuild(bases=(made.old,), altered=lambda name, _: swapped[name])
    assert missing == {0, 1}


def test_a_damaged_base_keeps_only_segments_as_signed(update, tmp_path, capsys):
    made = update(from_folder=True)
    base = copy_tree(made.old, tmp_path / "base")
    payload = made.payload.read_bytes()
    counts = {"whole": 0, "in part": 0, "refused": 0}
    assert not made.rebuild(bases=(base,))[1]
    for path in [path for path in sorted(base.rglob("*")) if path.is_file()]:
        content = path.read_bytes()
        middle = len(content) // 2
        for changed in (
            content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
            content[1:] + content[:1],
            bytes(len(content)),
            content[:-1],
            content + b"x",
            b"",
        ):
            path.write_bytes(changed)
            out, missing, _ = made.rebuild(bases=(base,), altered=without_fresh)
            came = kept_rightly(made, out, missing)
            counts["whole" if not missing else "in part" if came else "refused"] += 1
            if len(changed) == len(content) and path.name == "assets.bin" and changed[0] == content[0]:
                # A bit in the middle of it costs the segments that it, its CRC-32 and the directory are in.
                assert 0 < len(missing) <= 3 < -(-len(payload) // SEGMENT_BYTES)
        path.write_bytes(content)
    with capsys.disabled():
        print(f"\n{sum(counts.values())} damaged bases: {counts}")
    assert counts["in part"] > 0


def without_fresh(name, data):
    return b"" if name == "recipe-fresh" else data


def test_what_a_damaged_base_spoils_comes_from_nothing(update, tmp_path):
    made = update(from_folder=True)
    base = copy_tree(made.old, tmp_path / "base")
    (base / "js" / "main.js").write_bytes(bytes((base / "js" / "main.js").stat().st_size))
    (base / "assets.bin").write_bytes(bytes((base / "assets.bin").stat().st_size))
    out, missing, attempts = made.rebuild(bases=(base,))
    assert (bytes(out), missing) == (made.payload.read_bytes(), set())
    assert [attempt.name for attempt in attempts] == [made.from_old, "recipe-fresh"]
    assert attempts[0].problem and attempts[1].problem is None


def test_what_differs_never_leaves_the_buffer_it_was_encrypted_in(update, tmp_path, monkeypatch):
    """It would be another plaintext under the same key and nonce."""
    made = update(from_folder=True)
    base = copy_tree(made.old, tmp_path / "base")
    (base / "assets.bin").write_bytes(bytes((base / "assets.bin").stat().st_size))
    buffers = []
    encrypt = rebuilding.SegmentCipher.encrypt_run

    def spied(self, first, plain, last, out):
        buffers.append(out)
        return encrypt(self, first, plain, last, out)

    monkeypatch.setattr(rebuilding.SegmentCipher, "encrypt_run", spied)
    payload = made.payload.read_bytes()
    kept = []
    check = rebuilding._Attempting._take

    def taken(self, segment, cipher, plain, out, *, last):
        check(self, segment, cipher, plain, out, last=last)
        if segment in self._missing:
            assert not any(out), segment
        else:
            kept.append(segment)

    monkeypatch.setattr(rebuilding._Attempting, "_take", taken)
    out, missing, _ = made.rebuild(bases=(base,), altered=without_fresh)
    assert missing and kept_rightly(made, out, missing) >= 0
    assert buffers and all(buffer.obj is buffers[0].obj for buffer in buffers)
    assert len(payload) // SEGMENT_BYTES > 1


def test_a_reader_declines_what_takes_more_memory_than_it_has_before_it_begins(update):
    made = update()
    limits = delta.RecipeLimits(frame_bytes=0, reference_bytes=0)
    _, missing, attempts = made.rebuild(bases=(made.old_sealed,), limits=limits)
    assert len(missing) == len(made.payload.read_bytes()) // SEGMENT_BYTES + 1
    assert all("are taken here" in attempt.problem for attempt in attempts)


def test_the_session_keys_commitment_is_checked_before_anything_is_encrypted(update, monkeypatch):
    made = update()
    encrypted = []
    monkeypatch.setattr(rebuilding.SegmentCipher, "encrypt_run", lambda *_: encrypted.append(1) or memoryview(b""))

    def refuse(*_):
        raise TamperedError("commitment")

    monkeypatch.setattr(rebuilding, "check_commitment", refuse)
    _, _, attempts = made.rebuild(bases=(made.old_sealed,))
    assert encrypted == []
    assert [attempt.problem for attempt in attempts] == ["commitment", "commitment"]


# --- making


def test_recipes_that_are_no_gain_are_left_out_of_the_seal(update, tmp_path):
    """Above half of the compressed full size, and one from nothing that is no smaller than the content."""
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "a").write_bytes(b"a")
    (tmp_path / "new").write_bytes(random.Random(2).randbytes(50_000))
    made = update(versions=(tmp_path / "old", tmp_path / "new"), keep_all=False)
    assert [(one.name, one.kept) for one in made.made] == [("recipe-fresh", False), (made.from_old, False)]
    assert capseal.inspect(made.seal)[1].companions == ()
    assert not list(tmp_path.glob("*recipe*"))


def test_all_recipes_together_tell_of_the_content_once(update):
    """So that a bar of its length is full when the last is made, and not before."""
    told = []
    made = update(progress=told.append)
    size = capseal.inspect(made.seal)[1].content.size
    assert len(made.made) == 2
    assert sum(told) == size + HEADER_BYTES
    assert min(told) >= 0 and len(told) > 4
    assert sum(told[:-1]) < sum(told)


def test_a_stream_makes_no_recipes(tmp_path, signer, recipient):
    class Stream(io.BytesIO):
        def seekable(self):
            return False

    with (
        RecipeMaker([], place=lambda name: tmp_path / name) as maker,
        pytest.raises(capseal.UsageError, match="a stream is read only once"),
    ):
        capseal.seal(
            Stream(b"x"),
            tmp_path / "out",
            signer=signer,
            recipients=[recipient.public_key],
            app="a",
            version="1",
            companions=[maker],
        )
    assert list(tmp_path.iterdir()) == []


def test_a_sealed_base_is_authenticated_before_it_is_opened(update):
    made = update()
    with ExitStack() as stack, pytest.raises(capseal.SignatureError):
        open_known_base(
            made.old_sealed, stack, identity=[made.recipient], trust=TrustStore.of(made.recipient.public_key)
        )
    with ExitStack() as stack, pytest.raises(capseal.UsageError, match="takes a key"):
        open_known_base(made.old_sealed, stack)


def test_what_is_called_a_recipe_and_is_not_sealed_is_none(update, tmp_path):
    """Its plaintext would be public."""
    made = update()
    verified, session_key = made.opened
    plain = tmp_path / "recipe-fresh"
    plain.write_bytes(plaintext_of(made, "recipe-fresh"))
    foreign = capseal.describe_companion(plain, media_type=RECIPE_TYPE)
    statement = replace(verified.statement, companions=(foreign,))
    asked = []

    def open_companion(companion):
        asked.append(companion)
        raise capseal.TransferError("asked for")

    attempts = rebuilding.rebuild_missing(
        replace(verified, seal=replace(verified.seal, statement=statement)),
        session_key,
        bases=[],
        open_companion=open_companion,
        missing={0, 1, 2, 3},
        keep=lambda at, data: None,
    )
    assert (attempts, asked) == ([], [])
