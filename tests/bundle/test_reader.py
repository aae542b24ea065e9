"""capseal.open(): a seekable file over a sealed bundle."""

import io
import os
import random
import subprocess
import sys
import threading
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import capseal
from capseal import Detached, FormatError, NotForUsError, TamperedError, TruncatedError, UsageError
from capseal.constants import SEGMENT_BYTES
from capseal.format.segment_layout import plain_offset

CONTENT = random.Random(2).randbytes(3 * SEGMENT_BYTES + 1000)


@pytest.fixture(scope="module")
def bundle(seal_bytes):
    return seal_bytes(CONTENT)


@pytest.fixture(scope="module")
def paths(tmp_path_factory, signer, recipient, bundle):
    folder = tmp_path_factory.mktemp("bundles")
    (folder / "attached").write_bytes(bundle)
    detached = Detached(seal=folder / "seal", payload=folder / "payload")
    capseal.seal(io.BytesIO(CONTENT), detached, signer=signer, recipients=[recipient.public_key], app="a", version="1")
    return folder


operations = st.one_of(
    st.tuples(st.just("read"), st.integers(0, 600_000)),
    st.tuples(st.just("read"), st.integers(0, 40)),
    st.tuples(st.just("seek"), st.integers(0, len(CONTENT) + 10)),
    st.tuples(st.just("seek"), st.integers(-60, 60).map(lambda d: max(0, SEGMENT_BYTES + d))),
    st.tuples(st.just("relative"), st.integers(-1000, 1000)),
    st.tuples(st.just("end"), st.integers(-1000, 1000)),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(operations, max_size=12))
def test_reads_and_seeks_do_what_they_do_on_plain_bytes(bundle, trust, recipient, steps):
    plain = io.BytesIO(CONTENT)
    with capseal.open(io.BytesIO(bundle), identity=recipient, trust=trust) as sealed:
        for kind, value in steps:
            if kind == "read":
                assert sealed.read(value) == plain.read(value)
            else:
                whence = {"seek": 0, "relative": 1, "end": 2}[kind]
                if whence and value + (plain.tell() if whence == 1 else len(CONTENT)) < 0:
                    with pytest.raises(OSError, match="before the start"):
                        sealed.seek(value, whence)
                else:
                    assert sealed.seek(value, whence) == plain.seek(value, whence)
            assert sealed.tell() == plain.tell()


@pytest.mark.parametrize("size", [0, 1, 524231, 524232, 524233, 1048504, 1048505])
def test_every_size_reads_whole_and_ends(seal_bytes, trust, recipient, size):
    content = CONTENT[:size]
    with capseal.open(io.BytesIO(seal_bytes(content)), identity=recipient, trust=trust) as sealed:
        assert sealed.read() == content
        assert sealed.read() == b""
        assert sealed.read(1) == b""
        sealed.seek(0)
        assert sealed.readall() == content
        sealed.seek(size + 5)
        assert sealed.read() == b""


def test_paths_attached_and_detached_are_opened(paths, trust, recipient):
    with capseal.open(paths / "attached", identity=recipient, trust=trust) as sealed:
        assert sealed.read() == CONTENT
    with capseal.open(paths / "payload", seal=paths / "seal", identity=recipient, trust=trust) as sealed:
        assert sealed.read() == CONTENT
    with open(paths / "attached", "rb") as file:
        with capseal.open(file, identity=recipient, trust=trust) as sealed:
            assert sealed.read(10) == CONTENT[:10]
        assert not file.closed


def test_it_is_a_file_to_others(seal_bytes, trust, recipient, tmp_path):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.txt", b"hello" * 100_000)
    bundle = io.BytesIO(seal_bytes(packed.getvalue()))
    with capseal.open(bundle, identity=recipient, trust=trust) as sealed:
        assert sealed.readable()
        assert sealed.seekable()
        assert not sealed.writable()
        with zipfile.ZipFile(sealed) as archive:
            assert archive.read("a.txt") == b"hello" * 100_000
        with io.BufferedReader(sealed) as buffered:
            assert buffered.seek(-22, 2) > 0
            assert buffered.read()[:2] == b"PK"


class Counting(io.BytesIO):
    """Remembers which bytes were read."""

    def __init__(self, data):
        super().__init__(data)
        self.reads = []

    def readinto(self, buffer):
        start = self.tell()
        count = super().readinto(buffer)
        self.reads.append((start, start + count))
        return count


@pytest.mark.parametrize(
    ("position", "size", "segments"),
    [
        (0, 1, {0}),
        (plain_offset(1) - 1, 1, {0}),
        (plain_offset(1) - 1, 2, {0, 1}),
        (plain_offset(1), 1, {1}),
        (plain_offset(2), 524272, {2}),
        (plain_offset(2), 524273, {2, 3}),
        (len(CONTENT) - 1, 100, {3}),
        (len(CONTENT), 100, set()),
        (5, 0, set()),
    ],
)
def test_a_read_touches_only_the_segments_that_it_needs(bundle, trust, recipient, position, size, segments):
    file = Counting(bundle)
    with capseal.open(file, identity=recipient, trust=trust) as sealed:
        start = len(sealed.verified.seal.encode())
        file.reads.clear()
        sealed.seek(position)
        assert sealed.read(size) == CONTENT[position : position + size]
    touched = {(at - start) // SEGMENT_BYTES for first, end in file.reads for at in range(first, end, 4096)}
    # Opening read segment 0, for the payload's header, and kept it.
    assert touched | {0} == segments | {0}


def test_a_bad_segment_is_noticed_when_it_is_read_and_others_stay_readable(bundle, trust, recipient):
    at = len(bundle) - 1000 - SEGMENT_BYTES // 2  # in segment 2
    bad = bundle[:at] + bytes([bundle[at] ^ 1]) + bundle[at + 1 :]
    with capseal.open(io.BytesIO(bad), identity=recipient, trust=trust) as sealed:
        assert sealed.read(plain_offset(2)) == CONTENT[: plain_offset(2)]
        with pytest.raises(TamperedError) as caught:
            sealed.read(1)
        assert caught.value.segment == 2
        sealed.seek(plain_offset(3))
        assert sealed.read() == CONTENT[plain_offset(3) :]


def test_a_segment_with_a_good_tag_that_was_not_signed_is_noticed(seal_bytes, trust, recipient):
    """Whoever has the session key can make one; only the index tells."""
    key = {"entropy": lambda n: bytes(range(n))}
    content = bytes(len(CONTENT))
    ours, theirs = seal_bytes(CONTENT, **key), seal_bytes(content, **key)
    cut = len(ours) - 1000 - SEGMENT_BYTES
    mixed = io.BytesIO(ours[:cut] + theirs[cut:])
    with capseal.open(mixed, identity=recipient, trust=trust) as sealed:
        sealed.seek(-10, 2)
        with pytest.raises(TamperedError, match=r"digest .* differs from .* in the signed index"):
            sealed.read(10)


def test_a_read_that_fails_does_not_move_the_position(bundle, trust, recipient):
    at = len(bundle) - 1000 - SEGMENT_BYTES // 2
    bad = bytearray(bundle)
    bad[at] ^= 1
    file = io.BytesIO(bad)
    with capseal.open(file, identity=recipient, trust=trust) as sealed:
        sealed.seek(plain_offset(2) - 5)
        with pytest.raises(TamperedError):
            sealed.read(10)
        assert sealed.tell() == plain_offset(2) - 5
        file.getbuffer()[at] ^= 1  # what was wrong was passing
        assert sealed.read(10) == CONTENT[plain_offset(2) - 5 : plain_offset(2) + 5]


def test_a_file_cut_after_opening_is_truncated(bundle, trust, recipient):
    file = io.BytesIO(bundle)
    with capseal.open(file, identity=recipient, trust=trust) as sealed:
        file.truncate(len(bundle) - 500)
        with pytest.raises(TruncatedError, match="payload ends early"):
            sealed.seek(-1, 2)
            sealed.read(1)


def test_what_cannot_seek_is_the_callers_mistake(bundle, trust, recipient):
    class Pipe(io.BytesIO):
        def seekable(self):
            return False

    with pytest.raises(UsageError, match="cannot seek"):
        capseal.open(Pipe(bundle), identity=recipient, trust=trust)


def test_wrong_keys_and_bad_bundles_fail_at_once(bundle, trust, recipient, other_recipient):
    with pytest.raises(NotForUsError, match="no identity fits"):
        capseal.open(io.BytesIO(bundle), identity=other_recipient, trust=trust)
    with pytest.raises(FormatError):
        capseal.open(io.BytesIO(bytes(5000)), identity=recipient, trust=trust)
    with capseal.open(io.BytesIO(bundle), identity=[other_recipient, recipient], trust=trust) as sealed:
        assert sealed.read(1) == CONTENT[:1]


def test_a_file_that_failed_to_open_is_dropped_silently(tmp_path):
    code = (
        "import io, capseal; key = capseal.PrivateKey.generate(3072)\n"
        "try: capseal.open(io.BytesIO(b'x' * 5000), identity=key, trust=capseal.TrustStore.of(key.public_key))\n"
        "except capseal.FormatError: pass"
    )
    done = subprocess.run([sys.executable, "-X", "dev", "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""


def test_a_closed_file_cannot_be_read(bundle, trust, recipient):
    sealed = capseal.open(io.BytesIO(bundle), identity=recipient, trust=trust)
    sealed.close()
    sealed.close()
    for call in (lambda: sealed.read(1), sealed.readall, lambda: sealed.readinto(bytearray(1))):
        with pytest.raises(ValueError, match="closed"):
            call()
    with pytest.raises(ValueError, match="whence"):
        capseal.open(io.BytesIO(bundle), identity=recipient, trust=trust).seek(0, 9)


def test_threads_share_one_file(paths, trust, recipient):
    failures = []
    with capseal.open(paths / "attached", identity=recipient, trust=trust) as sealed:

        def work(seed):
            buffer = bytearray(1000)
            for _ in range(20):
                count = sealed.readinto(buffer)
                if count and bytes(buffer[:count]) not in CONTENT:
                    failures.append(seed)
                sealed.seek(random.Random(seed).randrange(len(CONTENT)))

        threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not failures


def test_descriptors_are_closed(paths, trust, recipient):
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        capseal.open(paths / "payload", seal=paths / "seal", identity=recipient, trust=trust).close()
        with pytest.raises(NotForUsError):
            capseal.open(paths / "payload", seal=paths / "seal", identity=[], trust=trust)
    assert len(os.listdir("/proc/self/fd")) == before
