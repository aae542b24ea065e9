"""What goes in comes out, at every size where the format has an edge, as path, as pipe and as folder."""

import io
import os
import random
import subprocess
import sys
import threading
import zipfile

import pytest

import capseal
from capseal import Detached
from capseal.constants import SEGMENT_BYTES
from capseal.format.segment_layout import FIRST_PLAIN_BYTES, plain_offset

AROUND_A_SEGMENT = [SEGMENT_BYTES + d for d in range(-57, 58)]
EDGES = sorted(
    {0, 1, 4040, 4041, *(plain_offset(3) + d for d in (-1, 0, 1)), *(3 * SEGMENT_BYTES + d for d in (-1, 0, 1))}
    | {FIRST_PLAIN_BYTES + d for d in (-1, 0, 1)}
)
CONTENT = random.Random(3).randbytes(3 * SEGMENT_BYTES + 1)


@pytest.fixture(scope="module")
def settings(signer, recipient):
    return {"signer": signer, "recipients": [recipient.public_key], "app": "com.example.game", "version": "1"}


def test_every_size_from_segment_minus_57_to_segment_plus_57(seal_bytes, unseal_bytes):
    for size in AROUND_A_SEGMENT:
        assert unseal_bytes(seal_bytes(CONTENT[:size])) == CONTENT[:size]
    print(f"\nround trips around one segment: {len(AROUND_A_SEGMENT)}")


@pytest.mark.parametrize("size", EDGES)
@pytest.mark.parametrize("jobs", [1, 3])
def test_paths(tmp_path, settings, recipient, trust, size, jobs):
    (tmp_path / "in").write_bytes(CONTENT[:size])
    reported = []
    seal = capseal.seal(tmp_path / "in", tmp_path / "sealed", **settings, jobs=jobs, progress=reported.append)
    assert sum(reported) == size
    assert (tmp_path / "sealed").stat().st_size == len(seal.encode()) + seal.statement.payload.size
    assert capseal.verify(tmp_path / "sealed", trust=trust, jobs=jobs).seal == seal
    capseal.unseal(tmp_path / "sealed", tmp_path / "out", identity=recipient, trust=trust, jobs=jobs)
    assert (tmp_path / "out").read_bytes() == CONTENT[:size]


@pytest.mark.parametrize("size", EDGES)
def test_detached_pairs(tmp_path, settings, recipient, trust, size):
    (tmp_path / "in").write_bytes(CONTENT[:size])
    pair = Detached(seal=tmp_path / "seal", payload=tmp_path / "payload")
    seal = capseal.seal(tmp_path / "in", pair, **settings)
    assert (tmp_path / "seal").read_bytes() == seal.encode()
    joined = (tmp_path / "seal").read_bytes() + (tmp_path / "payload").read_bytes()
    for bundle, given in ((tmp_path / "payload", tmp_path / "seal"), (io.BytesIO(joined), None)):
        output = io.BytesIO()
        capseal.unseal(bundle, output, identity=recipient, trust=trust, seal=given)
        assert output.getvalue() == CONTENT[:size]


class Pipe:
    """A real pipe with a thread at its far end."""

    def __init__(self, data: bytes | None = None) -> None:
        read, write = os.pipe()
        self.data = data
        if data is None:
            self.end, self._far = open(write, "wb"), open(read, "rb")
        else:
            self.end, self._far = open(read, "rb"), open(write, "wb")
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def _work(self) -> None:
        with self._far:
            if self.data is None:
                self.data = self._far.read()
            else:
                self._far.write(self.data)

    def finish(self) -> bytes:
        self.end.close()
        self._thread.join()
        return self.data


@pytest.mark.parametrize("size", EDGES)
@pytest.mark.parametrize("jobs", [1, 3])
def test_pipes_in_and_out(settings, recipient, trust, size, jobs):
    source, sealed = Pipe(CONTENT[:size]), Pipe()
    capseal.seal(source.end, sealed.end, **settings, jobs=jobs)
    source.finish()
    bundle = sealed.finish()

    again, plain = Pipe(bundle), Pipe()
    verified = capseal.unseal(again.end, plain.end, identity=recipient, trust=trust, jobs=jobs)
    again.finish()
    assert plain.finish() == CONTENT[:size]
    assert verified.statement.content.size == size


def test_a_folder_comes_back_as_a_zip(tmp_path, settings, recipient, trust):
    (tmp_path / "dist" / "assets").mkdir(parents=True)
    (tmp_path / "dist" / "index.html").write_bytes(b"<!doctype html>")
    (tmp_path / "dist" / "assets" / "big").write_bytes(CONTENT)
    for sink in (tmp_path / "sealed", io.BytesIO()):
        capseal.seal(tmp_path / "dist", sink, **settings)
        output = io.BytesIO()
        bundle = sink if sink == tmp_path / "sealed" else io.BytesIO(sink.getvalue())
        capseal.unseal(bundle, output, identity=recipient, trust=trust)
        with zipfile.ZipFile(output) as archive:
            assert archive.read("assets/big") == CONTENT


def test_the_same_entropy_gives_the_same_payload_however_it_is_sealed(tmp_path, settings):
    (tmp_path / "in").write_bytes(CONTENT)
    payloads = set()
    for jobs in (1, 4):
        for source in (tmp_path / "in", io.BytesIO(CONTENT), Pipe(CONTENT)):
            output = io.BytesIO()
            stream = source.end if isinstance(source, Pipe) else source
            seal = capseal.seal(stream, output, **settings, jobs=jobs, entropy=lambda n: bytes(n))
            if isinstance(source, Pipe):
                source.finish()
            payloads.add(output.getvalue()[len(seal.encode()) :])
    assert len(payloads) == 1


def test_every_bundle_has_its_own_key_salt_and_nonces(seal_bytes, recipient, trust):
    heads, keys = set(), set()
    for _ in range(5):
        bundle = seal_bytes(b"same")
        seal = capseal.verify(io.BytesIO(bundle), trust=trust).seal
        heads.add(bundle[len(seal.encode()) :][:40])
        keys.add(recipient.unwrap(seal.statement.encryption.recipients[0].encrypted_key))
    assert (len(heads), len(keys)) == (5, 5)


def test_rewrap_and_cosign_keep_the_payload(
    seal_bytes, unseal_bytes, trust, trust_both, signer, signer2, recipient, other_recipient
):
    bundle = seal_bytes(CONTENT)
    size = len(bundle) - 4096
    cosigned = io.BytesIO()
    capseal.cosign(io.BytesIO(bundle), cosigned, signer=signer2, trust=trust)
    assert cosigned.getvalue()[-size:] == bundle[-size:]
    assert unseal_bytes(cosigned.getvalue(), trust=trust_both) == CONTENT
    with pytest.raises(capseal.UsageError, match="has signed this bundle already"):
        capseal.cosign(io.BytesIO(cosigned.getvalue()), io.BytesIO(), signer=signer2, trust=trust)

    wrapped = io.BytesIO()
    capseal.rewrap(
        io.BytesIO(bundle), wrapped, identity=recipient, signer=signer2,
        recipients=[other_recipient.public_key], trust=trust,
    )  # fmt: skip
    assert wrapped.getvalue()[-size:] == bundle[-size:]
    theirs = capseal.TrustStore.of(signer2.public_key)
    assert unseal_bytes(wrapped.getvalue(), identity=other_recipient, trust=theirs) == CONTENT
    with pytest.raises(capseal.NotForUsError):
        unseal_bytes(wrapped.getvalue(), trust=theirs)


@pytest.mark.parametrize("verb", ["rewrap", "cosign"])
def test_rewrap_and_cosign_vouch_only_for_payloads_that_they_checked(
    tmp_path, seal_bytes, trust, signer2, recipient, verb
):
    bundle = bytearray(seal_bytes(CONTENT))
    bundle[-5] ^= 1
    more = {"identity": recipient, "recipients": [recipient.public_key]} if verb == "rewrap" else {}
    with pytest.raises(capseal.TamperedError):
        getattr(capseal, verb)(io.BytesIO(bundle), tmp_path / "out", signer=signer2, trust=trust, **more)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("verb", ["rewrap", "cosign"])
def test_a_seal_alone_is_made_anew_only_for_a_payload_that_was_checked(
    tmp_path, seal_bytes, trust, signer2, recipient, verb
):
    bundle = bytearray(seal_bytes(CONTENT))
    seal = bytes(bundle[: len(bundle) - capseal.inspect(io.BytesIO(bundle))[1].payload.size])
    payload = bundle[len(seal) :]
    payload[-5] ^= 1
    more = {"identity": recipient, "recipients": [recipient.public_key]} if verb == "rewrap" else {}
    with pytest.raises(capseal.TamperedError):
        getattr(capseal, verb)(io.BytesIO(payload), tmp_path / "out", seal=seal, signer=signer2, trust=trust, **more)
    assert list(tmp_path.iterdir()) == []


LARGE = """
import hashlib, os, resource, sys, time
import capseal
from capseal import PrivateKey, TrustStore

folder, mib, chunk_mib = sys.argv[1], int(sys.argv[2]), 64
path = os.path.join(folder, "in")
with open(path, "wb") as file:  # sparse, with random salt in every chunk
    for i in range(0, mib, chunk_mib):
        file.seek(i * 2**20 + i)
        file.write(os.urandom(4096))
    file.truncate(mib * 2**20)
signer = recipient = PrivateKey.generate(3072)
trust = TrustStore.of(signer.public_key)
sealed, out = os.path.join(folder, "sealed"), os.path.join(folder, "out")
common = dict(identity=recipient, trust=trust)

def peak_mib():  # of this process alone; ru_maxrss would count the one that started it
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) // 1024

def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "blake2b").hexdigest()

base = peak_mib()
start = time.perf_counter()
capseal.seal(path, sealed, signer=signer, recipients=[recipient.public_key], app="a", version="1")
first = digest(path)
os.unlink(path)
capseal.verify(sealed, trust=trust)
capseal.unseal(sealed, out, **common)
assert digest(out) == first
os.unlink(out)
read, write = os.pipe()
if os.fork() == 0:  # the same again, through a pipe into a pipe
    os.close(read)
    with open(write, "wb") as pipe, open(sealed, "rb") as bundle:
        capseal.unseal(bundle, pipe, **common)
    os._exit(0)
os.close(write)
with open(read, "rb") as pipe:
    capseal.seal(pipe, capseal.Detached(seal=out + ".seal", payload=out), signer=signer,
                 recipients=[recipient.public_key], app="a", version="1")
assert os.wait()[1] == 0
os.unlink(sealed)
with capseal.open(out, seal=out + ".seal", **common) as file:
    check = hashlib.blake2b()
    while data := file.read(2**20):
        check.update(data)
assert check.hexdigest() == first
peak = peak_mib()
child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
print(mib, base, max(peak, child), round(time.perf_counter() - start, 1))
"""


def _large(folder, mib: int) -> None:
    done = subprocess.run([sys.executable, "-c", LARGE, folder, str(mib)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    size, base, peak, seconds = done.stdout.split()
    print(f"\n{size} MiB by path and pipe: peak memory {peak} MiB, {base} MiB of it the interpreter, {seconds} s")
    assert int(peak) < 256


def test_100_mib_by_path_and_pipe_in_less_than_256_mib_of_memory(tmp_path):
    _large(tmp_path, 100)


@pytest.mark.soak
@pytest.mark.timeout(1200)
def test_4_gib_by_path_and_pipe_in_less_than_256_mib_of_memory(tmp_path):
    _large(tmp_path, 4096)


def test_verifying_a_payload_reads_each_byte_once(seal_bytes, trust):
    class Counting(io.BytesIO):
        taken = 0

        def readinto(self, buffer):
            count = super().readinto(buffer)
            self.taken += count
            return count

        def seekable(self):
            return False

    bundle = Counting(seal_bytes(CONTENT))
    capseal.verify(bundle, trust=trust)
    assert bundle.taken == len(bundle.getvalue())
