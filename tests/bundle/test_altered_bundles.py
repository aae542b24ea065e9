"""Whatever is altered in a sealed bundle, it is rejected, and nothing false is released before.

The counts are printed: pytest -s tests/bundle/test_altered_bundles.py
"""

import io
import itertools
import subprocess
import sys
import tracemalloc
from collections import Counter

import pytest

import capseal
from capseal import Expect, NotForUsError, RejectedError, Requires, Role, TamperedError, TruncatedError, Verifier
from capseal.bundle.reading_order import accept_seal, pull
from capseal.constants import SEGMENT_BYTES
from capseal.format.dsse import Envelope, Signature, pae
from capseal.format.seal import SEAL_TYPE, Seal, seal_bytes_of
from capseal.format.segment_layout import payload_bytes_of
from capseal.format.statement import Content, Encryption, Payload, Recipient, Statement
from capseal.io.source import open_source

CONTENT = bytes(range(256)) * 20  # 5 KiB: a payload of two blocks


class Judge:
    """Reads altered bundles as a recipient does and counts what happens."""

    def __init__(self, recipient, trust):
        self._keywords = {"identity": recipient, "trust": trust, "jobs": 1}
        self.rejected: Counter[str] = Counter()
        self.accepted: list[object] = []
        self.false_bytes = 0

    def read(self, bundle: bytes, original: bytes, what: object, **keywords) -> None:
        output = io.BytesIO()
        try:
            capseal.unseal(io.BytesIO(bundle), output, **(self._keywords | keywords))
        except RejectedError as error:
            self.rejected[type(error).__name__] += 1
        else:
            self.accepted.append(what)
        released = output.getvalue()
        self.false_bytes += sum(a != b for a, b in itertools.zip_longest(released, original[: len(released)]))

    def report(self, what: str) -> None:
        total = sum(self.rejected.values())
        kinds = ", ".join(f"{name} {count}" for name, count in sorted(self.rejected.items()))
        print(
            f"\n{what}: {total + len(self.accepted)} altered bundles, rejected {total} ({kinds}), "
            f"accepted {len(self.accepted)}, false plaintext bytes released {self.false_bytes}"
        )
        assert self.accepted == []
        assert self.false_bytes == 0


@pytest.fixture
def judge(recipient, trust):
    return Judge(recipient, trust)


@pytest.fixture(scope="module")
def bundle(seal_bytes):
    return seal_bytes(CONTENT, custom={"note": "é"}, allow_downgrade_to=3)


def test_every_single_byte_changed_is_rejected(judge, bundle):
    for at in range(len(bundle)):
        judge.read(bundle[:at] + bytes([bundle[at] ^ 1 << at % 8]) + bundle[at + 1 :], CONTENT, at)
    judge.report(f"every single byte changed, of {len(bundle)}")
    assert sum(judge.rejected.values()) == len(bundle)


@pytest.mark.soak
@pytest.mark.timeout(1200)
def test_every_single_bit_changed_is_rejected(judge, bundle):
    for at, bit in itertools.product(range(len(bundle)), range(8)):
        judge.read(bundle[:at] + bytes([bundle[at] ^ 1 << bit]) + bundle[at + 1 :], CONTENT, (at, bit))
    judge.report(f"every single bit changed, of {8 * len(bundle)}")


def test_every_truncation_is_rejected(judge, bundle):
    for size in range(len(bundle)):
        judge.read(bundle[:size], CONTENT, size)
    judge.report(f"every truncation, of {len(bundle)} bytes")


def test_every_truncation_is_rejected_by_a_streaming_verifier(bundle, trust):
    rejected = 0
    for size in range(0, len(bundle), 7):
        verifier = Verifier(trust=trust)
        assert verifier.feed(bundle[:size]) == (b"" if size < 4096 else bundle[:4096])
        with pytest.raises(TruncatedError):
            verifier.finish()
        rejected += 1
    print(f"\nstreaming verifier: {rejected} truncations, rejected {rejected}")


def test_appended_bytes_are_rejected(judge, bundle):
    for size in (1, 2, 16, 4096, SEGMENT_BYTES, 3 * SEGMENT_BYTES):
        for tail in (bytes(size), b"\xff" * size, (bundle * (size // len(bundle) + 1))[:size]):
            judge.read(bundle + tail, CONTENT, size)
    judge.report("bytes appended")


@pytest.mark.parametrize("tail", [b"x", b"xy"])
def test_a_stream_that_goes_on_after_its_end_is_rejected(bundle, recipient, trust, tail):
    class Stream(io.BytesIO):
        def seekable(self):
            return False

    with pytest.raises(TruncatedError, match="goes on after its end"):
        capseal.verify(Stream(bundle + tail), trust=trust)
    with pytest.raises(TruncatedError, match="goes on after its end"):
        capseal.unseal(Stream(bundle + tail), io.BytesIO(), identity=recipient, trust=trust)


def test_every_byte_dropped_or_doubled_is_rejected(judge, bundle):
    for at in range(0, len(bundle), 3):
        judge.read(bundle[:at] + bundle[at + 1 :], CONTENT, at)
        judge.read(bundle[:at] + bundle[at : at + 1] + bundle[at:], CONTENT, at)
    judge.report("a byte dropped or doubled")


@pytest.mark.parametrize("jobs", [1, 3])
def test_segments_swapped_doubled_dropped_or_spliced_are_rejected(judge, seal_bytes, recipient, jobs):
    # Six segments in two runs of the worker loop; the second bundle is for the same key, with the same size.
    contents = [bytes([i]) * (5 * SEGMENT_BYTES + 1000) for i in (1, 2)]
    key = {"entropy": lambda n: bytes(range(n))}
    first, second = (seal_bytes(content, **key) for content in contents)
    start = len(first) - payload_bytes_of(len(contents[0]))
    ours, theirs = (
        [bundle[at : at + SEGMENT_BYTES] for at in range(start, len(bundle), SEGMENT_BYTES)]
        for bundle in (first, second)
    )
    assert len(ours) == len(theirs) == 6
    assert ours[0][:40] == theirs[0][:40]

    def read(segments, what):
        judge.read(first[:start] + b"".join(segments), contents[0], what, jobs=jobs)

    for i, j in itertools.combinations(range(6), 2):
        swapped = list(ours)
        swapped[i], swapped[j] = ours[j], ours[i]
        read(swapped, ("swapped", i, j))
    for i in range(6):
        read([*ours[:i], *ours[i + 1 :]], ("dropped", i))
        read([*ours[: i + 1], *ours[i:]], ("doubled", i))
        read([*ours[:i], theirs[i], *ours[i + 1 :]], ("spliced", i))
        for j in range(6):
            if j != i:
                read([*ours[:i], ours[j], *ours[i + 1 :]], ("copied", i, j))
    read(theirs, "the other payload")
    judge.report(f"segments swapped, doubled, dropped, spliced with {jobs} jobs")
    judge.read(first, contents[0], "original")
    assert judge.accepted == ["original"]


def test_seals_and_payloads_of_different_bundles_do_not_mix(judge, seal_bytes):
    first, second = seal_bytes(CONTENT), seal_bytes(CONTENT)
    judge.read(first[:4096] + second[4096:], CONTENT, "mixed")
    judge.read(first[4096:], CONTENT, "detached", seal=second[:4096])
    judge.report("seal of one bundle, payload of another")


def test_a_path_never_appears_when_the_bundle_is_rejected(tmp_path, bundle, recipient, trust):
    for at in range(0, len(bundle), 211):
        bad = bundle[:at] + bytes([bundle[at] ^ 0x80]) + bundle[at + 1 :]
        with pytest.raises(RejectedError):
            capseal.unseal(io.BytesIO(bad), tmp_path / "out", identity=recipient, trust=trust)
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_path_never_appears_when_a_later_segment_is_bad(tmp_path, seal_bytes, recipient, trust, jobs):
    bad = bytearray(seal_bytes(bytes(range(256)) * 4096 * 9))
    bad[-1] ^= 1
    with pytest.raises(TamperedError):
        capseal.unseal(io.BytesIO(bad), tmp_path / "out", identity=recipient, trust=trust, jobs=jobs)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("jobs", [1, 2, 4])
def test_a_bad_payload_yields_no_byte_of_its_bad_segment_nor_after_it(seal_bytes, recipient, trust, jobs):
    content = bytes(range(256)) * 4096 * 9  # 9 MiB, five runs
    bundle = bytearray(seal_bytes(content))
    segment = 9
    bundle[len(bundle) - payload_bytes_of(len(content)) + segment * SEGMENT_BYTES + 5] ^= 1

    class Pipe(io.BytesIO):
        def seekable(self):
            return False

    output = Pipe()
    with pytest.raises(TamperedError) as caught:
        capseal.unseal(io.BytesIO(bundle), output, identity=recipient, trust=trust, jobs=jobs)
    assert caught.value.segment == segment
    assert content.startswith(output.getvalue())
    assert len(output.getvalue()) <= segment * SEGMENT_BYTES


def test_a_segment_with_a_good_tag_that_was_not_signed_is_not_unsealed(judge, seal_bytes):
    """Whoever has the session key can make one; only the index tells."""
    content, key = bytes(range(256)) * 4096, {"entropy": lambda n: bytes(range(n))}
    ours, theirs = seal_bytes(content, **key), seal_bytes(bytes(len(content)), **key)
    start = len(ours) - payload_bytes_of(len(content)) + SEGMENT_BYTES
    stop = start + SEGMENT_BYTES
    judge.read(ours[:start] + theirs[start:stop] + ours[stop:], content, "a segment that was encrypted again")
    judge.report("segments with good tags")


def _signed(signer, statement: Statement, index: bytes = b"") -> bytes:
    payload = statement.encode()
    signature = Signature(signer.public_key.fingerprint, signer.sign(pae(SEAL_TYPE, payload)))
    envelope = Envelope(SEAL_TYPE, payload, (signature,)).encode()
    return b"\x89CAPSEAL" + len(envelope).to_bytes(4, "big") + envelope + index


def _hostile(signer, recipient, bundle: bytes, content_bytes: int) -> bytes:
    """A seal, signed by a trusted key, that declares a huge content."""
    _, honest = capseal.inspect(io.BytesIO(bundle))
    return _signed(
        signer,
        Statement(
            app=honest.app, version="1", sequence=7, channel="production", role=Role.PRODUCTION, created=honest.created,
            content=Content("x", "application/zip", content_bytes),
            payload=Payload(payload_bytes_of(content_bytes), bytes(32)),
            encryption=Encryption(bytes(32), (Recipient(recipient.public_key.fingerprint, bytes(384)),)),
            requires=Requires(native_min="1.5", platforms=("android",)),
        ),
    )  # fmt: skip


@pytest.mark.parametrize("content_bytes", [2**40, 2**43, 2**32 * (SEGMENT_BYTES - 16) - 40])
def test_a_trusted_seal_that_declares_terabytes_makes_no_large_allocation(
    bundle, signer, recipient, trust, content_bytes
):
    hostile = _hostile(signer, recipient, bundle, content_bytes) + bytes(100_000)

    class Pipe(io.BytesIO):
        def seekable(self):
            return False

    def feed():
        verifier = Verifier(trust=trust)
        for at in range(0, len(hostile), 10_000):
            verifier.feed(hostile[at : at + 10_000])
        verifier.finish()

    keywords = {"trust": trust, "jobs": 2}
    peaks = []
    for read in (
        lambda: capseal.verify(io.BytesIO(hostile), **keywords),
        lambda: capseal.verify(Pipe(hostile), **keywords),
        lambda: capseal.unseal(Pipe(hostile), io.BytesIO(), identity=recipient, **keywords),
        lambda: capseal.open(io.BytesIO(hostile), identity=recipient, trust=trust),
        feed,
    ):
        tracemalloc.start()
        with pytest.raises(TruncatedError, match="seal ends early"):
            read()
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    print(f"\nseal that declares {content_bytes} bytes: peak allocations {[peak // 1024 for peak in peaks]} KiB")
    assert max(peaks) < 8 * 2**20


HOSTILE = """
import io, resource, sys
resource.setrlimit(resource.RLIMIT_AS, (2**31, 2**31))
import capseal
try:
    capseal.verify(sys.argv[1], trust=capseal.load_trust(sys.argv[2]))
except capseal.TruncatedError as error:
    with open("/proc/self/status") as status:  # ru_maxrss would count the process that started this one
        print(next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) // 1024, error)
"""


def test_a_process_that_reads_a_hostile_seal_stays_small(tmp_path, bundle, signer, recipient):
    (tmp_path / "bundle").write_bytes(_hostile(signer, recipient, bundle, 2**43) + bytes(4096))
    (tmp_path / "trust.pem").write_bytes(signer.public_key.pem)
    done = subprocess.run(
        [sys.executable, "-c", HOSTILE, tmp_path / "bundle", tmp_path / "trust.pem"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    peak, message = done.stdout.split(" ", 1)
    print(f"\npeak memory of a process that was shown a seal of 8 TiB: {peak} MiB")
    assert message.startswith("seal ends early")
    assert int(peak) < 128


def test_all_that_a_reader_expects_is_judged_before_the_index_is_read(bundle, signer, recipient, trust):
    """A hostile seal is refused at the first step that can refuse it."""
    hostile = io.BytesIO(_hostile(signer, recipient, bundle, 2**43))
    for expect, error in (
        (Expect(app="other"), NotForUsError),
        (Expect(channel="beta"), NotForUsError),
        (Expect(native="1.4"), NotForUsError),
        (Expect(platform="ios"), NotForUsError),
        (Expect(floor=7), capseal.RollbackError),
    ):
        hostile.seek(0)
        with pytest.raises(RejectedError) as caught:
            pull(accept_seal(trust, expect), open_source(hostile))
        assert type(caught.value) is error


def test_a_signed_statement_with_the_wrong_digest_is_tampering(bundle, signer, recipient, trust):
    seal = capseal.verify(io.BytesIO(bundle), trust=trust).seal
    assert isinstance(seal, Seal)
    other = _signed(signer, seal.statement, bytes(32)).ljust(
        seal_bytes_of(len(seal.envelope.encode()), seal.statement.payload.size), b"\0"
    )
    with pytest.raises(TamperedError, match="index gives digest"):
        capseal.verify(io.BytesIO(other + bundle[4096:]), trust=trust)
