"""RSA keys: files, passphrases, strength, OAEP and PSS."""

import base64
import os
import random
import stat
from hashlib import sha256

import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_public_key,
)

from capseal import (
    Identity,
    KeyFileError,
    NotForUsError,
    PrivateKey,
    PublicKey,
    SignatureError,
    Signer,
    load_private_key,
    load_public_key,
)
from capseal.crypto.keys import MAX_PEM_BYTES, load_public_keys


@pytest.fixture(scope="module")
def rsa2048():
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(scope="module")
def rsa_e3():
    return rsa.generate_private_key(public_exponent=3, key_size=3072)


def _private_pem(key, form=PrivateFormat.PKCS8, passphrase=None) -> bytes:
    encryption = NoEncryption() if passphrase is None else BestAvailableEncryption(passphrase)
    return key.private_bytes(Encoding.PEM, form, encryption)


def test_a_private_key_is_a_signer_and_an_identity(signer):
    assert isinstance(signer, Signer)
    assert isinstance(signer, Identity)


def test_a_saved_key_loads_again_and_only_its_owner_can_read_it(signer, tmp_path):
    path = tmp_path / "key.pem"
    old = os.umask(0)
    try:
        signer.save(path)
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_bytes().startswith(b"-----BEGIN PRIVATE KEY-----\n")
    assert load_private_key(path).public_key == signer.public_key
    assert load_private_key(path.read_bytes()).public_key == signer.public_key


def test_saving_never_replaces_a_file_nor_follows_a_link(signer, tmp_path):
    (tmp_path / "key.pem").write_text("precious")
    with pytest.raises(FileExistsError):
        signer.save(tmp_path / "key.pem")
    assert (tmp_path / "key.pem").read_text() == "precious"
    (tmp_path / "link.pem").symlink_to("elsewhere.pem")
    with pytest.raises(FileExistsError):
        signer.save(tmp_path / "link.pem")
    assert not (tmp_path / "elsewhere.pem").exists()


def test_a_failed_save_leaves_no_file(signer, tmp_path, monkeypatch):
    def fail(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space"):
        signer.save(tmp_path / "key.pem")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
@pytest.mark.parametrize("passphrase", [None, b"open sesame"])
def test_pkcs8_and_pkcs1_load_with_and_without_passphrase(signer, form, passphrase):
    pem = _private_pem(signer.rsa, form, passphrase)
    assert load_private_key(pem, passphrase=lambda: b"open sesame").public_key == signer.public_key


def test_the_passphrase_is_asked_for_only_where_the_key_is_encrypted(signer):
    load_private_key(signer.pem(), passphrase=lambda: pytest.fail("asked"))
    with pytest.raises(KeyFileError, match="encrypted and no passphrase was given"):
        load_private_key(signer.pem(passphrase=b"x"))


@pytest.mark.parametrize("given", [b"wrong", b""])
def test_a_wrong_passphrase_is_named_as_the_likely_cause(signer, tmp_path, given):
    path = tmp_path / "key.pem"
    signer.save(path, passphrase=b"right")
    with pytest.raises(KeyFileError, match=r"key\.pem: .*wrong passphrase") as caught:
        load_private_key(path, passphrase=lambda: given)
    assert "right" not in str(caught.value)


def test_an_empty_passphrase_does_not_silently_leave_the_key_unencrypted(signer):
    with pytest.raises(KeyFileError, match="passphrase is empty"):
        signer.pem(passphrase=b"")


def test_public_keys_load_from_spki_and_pkcs1(signer, tmp_path):
    path = tmp_path / "key.pub.pem"
    for form in (PublicFormat.SubjectPublicKeyInfo, PublicFormat.PKCS1):
        path.write_bytes(signer.public_key.rsa.public_bytes(Encoding.PEM, form))
        assert load_public_key(path) == signer.public_key
    assert load_public_key(signer.public_key.pem) == signer.public_key


def test_a_file_of_many_public_keys_gives_them_in_order(signer, recipient):
    pem = b"# ours\n" + signer.public_key.pem + b"\n# theirs\n" + recipient.public_key.pem
    assert load_public_keys(pem) == [signer.public_key, recipient.public_key]
    with pytest.raises(KeyFileError, match="2 public keys found, expected 1"):
        load_public_key(pem)


def test_private_and_public_keys_are_not_taken_for_one_another(signer):
    with pytest.raises(KeyFileError, match="it is a public key"):
        load_private_key(signer.public_key.pem)
    with pytest.raises(KeyFileError, match="this is a private key"):
        load_public_key(signer.pem())


@pytest.mark.parametrize("junk", [b"", b"hello", b"\x89CAPSEAL", b"-----BEGIN nothing"])
def test_junk_is_no_key(junk):
    with pytest.raises(KeyFileError):
        load_public_key(junk)
    with pytest.raises(KeyFileError, match="not a PEM private key"):
        load_private_key(junk)


def test_damaged_keys_are_refused(signer):
    with pytest.raises(KeyFileError, match="damaged"):
        load_private_key(signer.pem().replace(b"\nM", b"\nN"))
    with pytest.raises(KeyFileError, match="damaged"):
        load_public_key(signer.public_key.pem[:200])


def test_a_key_whose_private_half_does_not_fit_is_refused(signer):
    numbers = signer.rsa.private_numbers()
    halves = {name: getattr(numbers, name) for name in ("p", "q", "d", "dmp1", "dmq1", "iqmp")}
    halves |= {"d": numbers.d ^ 1 << 40, "dmp1": numbers.dmp1 ^ 1 << 40}
    damaged = rsa.RSAPrivateNumbers(**halves, public_numbers=numbers.public_numbers)
    key = damaged.private_key(unsafe_skip_rsa_key_validation=True)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(KeyFileError, match="damaged"):
        load_private_key(pem)


def test_a_huge_file_is_not_read_as_a_key(tmp_path):
    path = tmp_path / "huge"
    with path.open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(KeyFileError, match=f"larger than {MAX_PEM_BYTES} bytes"):
        load_public_key(path)


def test_a_missing_file_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_private_key(tmp_path / "none.pem")


def test_rsa_2048_is_refused_in_every_form(rsa2048):
    with pytest.raises(KeyFileError, match="2048 bits, from 3072 to 8192"):
        PrivateKey(rsa2048)
    with pytest.raises(KeyFileError, match="2048 bits"):
        load_private_key(_private_pem(rsa2048))
    with pytest.raises(KeyFileError, match="2048 bits"):
        load_public_key(rsa2048.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


def test_exponent_3_is_refused_in_every_form(rsa_e3):
    with pytest.raises(KeyFileError, match="exponent is 3, only 65537"):
        PublicKey(rsa_e3.public_key())
    with pytest.raises(KeyFileError, match="exponent is 3"):
        load_private_key(_private_pem(rsa_e3))


def test_other_kinds_of_keys_are_refused():
    key = ec.generate_private_key(ec.SECP256R1())
    with pytest.raises(KeyFileError, match="not an RSA key"):
        load_private_key(_private_pem(key))
    with pytest.raises(KeyFileError, match="not an RSA key"):
        load_public_key(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


@pytest.mark.parametrize("bits", [0, 2048, 3071, 8193])
def test_generate_refuses_sizes_out_of_bounds(bits):
    with pytest.raises(KeyFileError, match=f"{bits} bits"):
        PrivateKey.generate(bits)


def test_the_fingerprint_is_the_sha256_of_the_spki(signer):
    der = signer.public_key.rsa.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert signer.public_key.fingerprint == sha256(der).hexdigest()


def test_equal_keys_are_equal_and_hash_alike(signer, recipient):
    again = load_public_key(signer.public_key.pem)
    assert again == signer.public_key
    assert hash(again) == hash(signer.public_key)
    assert again != recipient.public_key
    assert again != "key"


def test_no_representation_shows_the_private_key(signer):
    numbers = signer.rsa.private_numbers()
    for text in (repr(signer), str(signer), f"{signer!r}"):
        assert str(numbers.d) not in text
        assert "PRIVATE" not in text
        assert "RSAPrivateKey" not in text


def test_a_wrapped_key_opens_for_its_recipient_only(recipient, other_recipient):
    wrapped = recipient.public_key.wrap(bytes(range(32)))
    assert len(wrapped) == recipient.public_key.signature_bytes
    assert recipient.unwrap(wrapped) == bytes(range(32))
    with pytest.raises(NotForUsError):
        other_recipient.unwrap(wrapped)


@pytest.mark.parametrize("size", [0, 1, 31, 33])
def test_an_unwrapped_key_of_another_size_is_refused(recipient, size):
    with pytest.raises(NotForUsError):
        recipient.unwrap(recipient.public_key.wrap(bytes(size)))


@pytest.mark.parametrize("size", [0, 1, 383, 385, 512])
def test_wrapped_keys_of_a_wrong_size_are_refused(recipient, size):
    with pytest.raises(NotForUsError):
        recipient.unwrap(bytes(size))


def test_oaep_with_sha1_or_a_label_is_refused(recipient):
    public = recipient.public_key.rsa
    for hash_, mgf, label in (
        (hashes.SHA1(), hashes.SHA1(), None),
        (hashes.SHA256(), hashes.SHA1(), None),
        (hashes.SHA256(), hashes.SHA256(), b"label"),
    ):
        wrapped = public.encrypt(bytes(32), padding.OAEP(padding.MGF1(mgf), hash_, label))
        with pytest.raises(NotForUsError):
            recipient.unwrap(wrapped)


def test_pss_signatures_verify_only_with_the_same_key_and_message(signer, signer2):
    signature = signer.sign(b"message")
    signer.public_key.verify(signature, b"message")
    for key, message in ((signer2, b"message"), (signer, b"massage")):
        with pytest.raises(SignatureError):
            key.public_key.verify(signature, message)
    for bad in (b"", signature[:-1], signature + b"\0", b"\xff" * len(signature)):
        with pytest.raises(SignatureError):
            signer.public_key.verify(bad, b"message")


@pytest.mark.parametrize("salt", [0, 20, 31, 33, 64, padding.PSS.MAX_LENGTH])
def test_pss_salts_of_any_length_but_32_are_refused(signer, salt):
    signature = signer.rsa.sign(b"m", padding.PSS(padding.MGF1(hashes.SHA256()), salt), hashes.SHA256())
    with pytest.raises(SignatureError):
        signer.public_key.verify(signature, b"m")


def test_other_signature_schemes_are_refused(signer):
    for scheme, hash_ in (
        (padding.PKCS1v15(), hashes.SHA256()),
        (padding.PSS(padding.MGF1(hashes.SHA1()), 32), hashes.SHA256()),
        (padding.PSS(padding.MGF1(hashes.SHA512()), 32), hashes.SHA512()),
    ):
        with pytest.raises(SignatureError):
            signer.public_key.verify(signer.rsa.sign(b"m", scheme, hash_), b"m")


def _as_the_library_reads(pem: bytes) -> int | None:
    """Return the modulus that cryptography's own loader finds in a key that capseal may take."""
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        return None
    if not isinstance(key, rsa.RSAPublicKey) or key.public_numbers().e != 65537 or not 3072 <= key.key_size <= 8192:
        return None
    return key.public_numbers().n


def _as_we_read(pem: bytes) -> int | None:
    try:
        keys = load_public_keys(pem)
    except KeyFileError:
        return None
    return keys[0].rsa.public_numbers().n


@pytest.mark.parametrize("bits", [3072, 3073, 3080, 4095, 4096, 8191, 8192])
def test_a_public_key_is_written_as_the_library_writes_it(bits):
    odd = random.Random(bits).getrandbits(bits) | 1 << bits - 1 | 1
    key = rsa.RSAPublicNumbers(65537, odd).public_key()
    ours = PublicKey(key)
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert ours.fingerprint == sha256(der).hexdigest()
    assert ours.pem == key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    assert load_public_key(ours.pem) == ours


def test_a_public_key_with_one_byte_altered_is_read_as_the_library_reads_it(signer):
    pem = signer.public_key.pem
    dice = random.Random(1)
    places = [*range(90), *dice.sample(range(90, len(pem) - 90), 150), *range(len(pem) - 90, len(pem))]
    for at in places:
        altered = bytearray(pem)
        altered[at] = dice.choice(b"ABMQgw/+=\n -")
        assert _as_we_read(bytes(altered)) == _as_the_library_reads(bytes(altered)), at


def test_a_public_key_that_is_cut_or_goes_on_is_read_as_the_library_reads_it(signer):
    pem = signer.public_key.pem
    begin, end = pem.index(b"\n") + 1, pem.index(b"-----END")
    der = signer.public_key.rsa.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    for altered in (
        *(der[:cut] for cut in (0, 1, 32, 33, 34, len(der) - 5, len(der) - 1)),
        *(der + more for more in (b"\0", b"\x02\x03\x01\x00\x01")),
        der[:33] + b"\0" + der[33:],
        der[:-1] + b"\x03",
    ):
        spelled = pem[:begin] + base64.encodebytes(altered) + pem[end:]
        assert _as_we_read(spelled) == _as_the_library_reads(spelled), altered.hex()
