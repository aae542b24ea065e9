"""Making and adding signatures, of whatever type of payload."""

import subprocess
import sys

import pytest

from capseal import CertifiedSigner, KeyFileError, UsageError
from capseal.format.dsse import Envelope
from capseal.trust.certificates import make_certificate
from capseal.trust.signing import add_signature, envelope_bytes, sign

TYPE = "application/example"


def test_every_signer_signs_type_and_payload(signer, signer2):
    envelope = sign(TYPE, b"said", [signer, signer2])
    assert Envelope.parse(envelope.encode()) == envelope
    assert (envelope.payload_type, envelope.payload) == (TYPE, b"said")
    for key, signature in zip((signer, signer2), envelope.signatures, strict=True):
        assert signature.keyid == key.public_key.fingerprint
        key.public_key.verify(signature.sig, b"DSSEv1 19 application/example 4 said")


def test_the_size_of_an_envelope_is_known_before_anybody_signs(signer, signer2):
    certified = CertifiedSigner(signer2, make_certificate(signer2, name="two"))
    for signers in ([signer], [certified], [signer, certified]):
        assert envelope_bytes(TYPE, bytes(1000), signers) == len(sign(TYPE, bytes(1000), signers).encode())


class Never:
    """A signer that must not be asked."""

    def __init__(self, public_key):
        self.public_key = public_key

    def sign(self, message):
        raise AssertionError("was asked to sign")


def test_nobody_is_asked_to_sign_what_nobody_could_accept(signer, signer2):
    never = Never(signer.public_key)
    with pytest.raises(UsageError, match="no signer"):
        sign(TYPE, b"said", [])
    with pytest.raises(UsageError, match="2 signers of 1 keys, from 1 to 16"):
        sign(TYPE, b"said", [never, never])
    with pytest.raises(UsageError, match="17 signers of 1 keys, from 1 to 16"):
        sign(TYPE, b"said", [never] * 17)
    with pytest.raises(UsageError, match=r"envelope of \d+ bytes, at most 1048576"):
        sign(TYPE, bytes(2**20), [never])
    nearly = sign(TYPE, bytes(785_000), [signer2])
    with pytest.raises(UsageError, match=r"envelope of \d+ bytes, at most 1048576"):
        add_signature(Envelope(TYPE, bytes(786_000), nearly.signatures), never, what="thing")


def test_a_signature_is_added_behind_those_that_are_there(signer, signer2):
    both = add_signature(sign(TYPE, b"said", [signer]), signer2, what="thing")
    assert [s.keyid for s in both.signatures] == [k.public_key.fingerprint for k in (signer, signer2)]
    signer2.public_key.verify(both.signatures[1].sig, both.message)


def test_a_key_signs_once_and_sixteen_are_the_most(signer, signer2):
    one = sign(TYPE, b"said", [signer])
    with pytest.raises(UsageError, match="has signed this thing already"):
        add_signature(one, Never(signer.public_key), what="thing")
    full = Envelope(TYPE, b"said", one.signatures * 16)
    with pytest.raises(UsageError, match="thing has 16 signatures already, which is the most"):
        add_signature(full, Never(signer2.public_key), what="thing")


def test_a_signature_that_its_own_key_does_not_verify_is_not_used(signer, signer2):
    class Wrong:
        public_key = signer.public_key

        def sign(self, message):
            return signer2.sign(message)

    with pytest.raises(KeyFileError, match="returned a signature that its public key does not verify"):
        sign(TYPE, b"said", [Wrong()])


def test_trust_updates_load_nothing_that_moves_or_encrypts_payloads():
    code = "import sys, capseal.trust.updates; print(*sorted(m for m in sys.modules if m.startswith('capseal.')))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "capseal.trust.signing" in loaded
    rooms = {name.split(".")[1] for name in loaded}
    assert rooms <= {"_version", "constants", "crypto", "errors", "format", "trust"}
    assert "capseal.crypto.segment_cipher" not in loaded
    assert "capseal.format.statement" not in loaded
