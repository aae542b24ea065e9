"""Keys as CI stores, Windows and other programs leave them: read where they are PEM at heart, named where not."""

import base64
import json
import random
import re
import shutil
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    pkcs12,
)

from capseal import KeyFileError, load_private_key, load_public_key, load_trust
from capseal.crypto.keys import is_encrypted, load_public_keys
from capseal.crypto.pem import as_pem
from capseal.format.text_encoding import as_utf8
from capseal.trust.certificates import load_certificates, make_certificate, make_request
from support.places import VECTORS
from support.tools import require_tool

MANGLED = {
    "as it is": lambda pem: pem,
    "escaped line ends": lambda pem: pem.replace(b"\n", rb"\n"),
    "escaped, quoted, and a line end": lambda pem: b'"' + pem.replace(b"\n", rb"\n") + b'"\n',
    "escaped as on Windows": lambda pem: pem.replace(b"\n", rb"\r\n"),
    "blanks for line ends": lambda pem: pem.replace(b"\n", b" "),
    "Windows' line ends": lambda pem: pem.replace(b"\n", b"\r\n"),
    "an old Mac's line ends": lambda pem: pem.replace(b"\n", b"\r"),
    "indented": lambda pem: b"    " + pem.replace(b"\n", b"\n    "),
    "base64": lambda pem: base64.b64encode(pem),
    "base64 in lines": lambda pem: base64.encodebytes(pem).replace(b"\n", b"\r\n"),
    "UTF-8 with a mark": lambda pem: b"\xef\xbb\xbf" + pem,
    "UTF-16": lambda pem: pem.decode().encode("utf-16"),
    "UTF-16, big end first": lambda pem: b"\xfe\xff" + pem.decode().encode("utf-16-be"),
    "base64 of UTF-16": lambda pem: base64.b64encode(pem.decode().encode("utf-16")),
    "with attributes": lambda pem: b"Bag Attributes\n    friendlyName: not ENCRYPTED, PUBLIC KEY\n" + pem,
}


@pytest.mark.parametrize("how", MANGLED)
def test_a_key_is_read_however_it_was_stored(how, signer, tmp_path):
    for pem in (signer.pem(), signer.rsa.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())):
        (tmp_path / "key").write_bytes(MANGLED[how](pem))
        assert load_private_key(tmp_path / "key").public_key == signer.public_key
    (tmp_path / "public").write_bytes(MANGLED[how](signer.public_key.pem))
    assert load_public_key(tmp_path / "public") == signer.public_key
    assert load_trust(tmp_path / "public").keys[0].key == signer.public_key


@pytest.mark.parametrize("how", [how for how in MANGLED if how not in ("blanks for line ends", "indented")])
@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_an_encrypted_key_is_read_however_it_was_stored(how, form, signer):
    pem = signer.rsa.private_bytes(Encoding.PEM, form, BestAvailableEncryption(b"secret"))
    mangled = MANGLED[how](pem)
    assert is_encrypted(as_pem(mangled))
    assert load_private_key(mangled, passphrase=lambda: b"secret").public_key == signer.public_key


@pytest.mark.parametrize("how", MANGLED)
def test_a_certificate_is_trusted_however_it_was_stored(how, signer, tmp_path):
    (tmp_path / "ca.pem").write_bytes(MANGLED[how](make_certificate(signer, name="Ada", days=1).pem))
    assert len(load_trust(tmp_path / "ca.pem").certificates) == 1


def _odd(pieces, rng):
    """Put blocks together as people do who comment one out, move it to the right or lose a line's end."""
    wrappings = (
        lambda pem: pem,
        lambda pem: pem,
        lambda pem: pem.replace("\n", "\r\n"),
        lambda pem: "# " + pem.rstrip().replace("\n", "\n# ") + "\n",
        lambda pem: "#" + pem.replace("\n", "") + "\n",
        lambda pem: "#" + pem.replace("\n", "\\n") + "\n",
        lambda pem: "  " + pem.rstrip().replace("\n", "\n  ") + "\n",
        lambda pem: " " + pem,
        lambda pem: "was: " + pem,
        lambda pem: "x" + pem,
        lambda pem: "words\n" + pem.replace("-----\n", "-----  \n") + "more words\n",
        lambda pem: pem.replace("\n", " ") + "\n",
        lambda pem: pem.replace("\n", "") + "\n",
        lambda pem: pem.replace("\n", "\\n") + "\n",
        lambda pem: pem.replace("-----END", "\n-----END"),
        lambda pem: pem.replace("-----BEGIN ", "-----BEGIN THE "),
        lambda pem: pem.replace("KEY", "key"),
        lambda pem: pem[: len(pem) // 2],
    )
    return "".join(rng.choice(wrappings)(rng.choice(pieces)) for _ in range(rng.randint(1, 4)))


@pytest.mark.parametrize("kind", ["public", "private"])
def test_of_a_file_in_which_openssl_finds_a_key_no_other_is_used(kind, tmp_path):
    """The keys are always the same: behind lines of some lengths OpenSSL 3.0 begins in the middle of one."""
    openssl, path, rng = require_tool("openssl"), tmp_path / "odd.pem", random.Random(7468)
    keys = [load_private_key(VECTORS / "keys" / f"{name}.pem") for name in ("signer", "signer2")]
    public, private = ([key.public_key.pem, key.pem()][kind == "private"].decode() for key in keys)
    agreed = 0
    for _ in range(250):
        path.write_text(_odd((public, private), rng), newline="")
        words = [openssl, "pkey", *(["-pubin"] if kind == "public" else []), "-in", path, "-pubout", "-passin", "pass:"]
        told = subprocess.run(words, capture_output=True, check=False)
        try:
            ours = load_public_keys(path)[0] if kind == "public" else load_private_key(path).public_key
        except KeyFileError:
            continue  # one line, and nobody's key
        if told.returncode == 0:
            assert ours.pem == told.stdout, path.read_text()
            agreed += 1
        else:
            assert not re.search(r"^-----BEGIN [A-Z ]+-----\s*$", path.read_text(), re.MULTILINE), path.read_text()
    assert agreed > 30


DISABLED = {
    "in lines": lambda pem: b"# " + pem.rstrip().replace(b"\n", b"\n# ") + b"\n",
    "in one line": lambda pem: b"#" + pem.replace(b"\n", b"") + b"\n",
    "in one line with escapes": lambda pem: b"#" + pem.replace(b"\n", rb"\n") + b"\n",
    "in one line with blanks": lambda pem: b"# " + pem.replace(b"\n", b" ") + b"\n",
    "behind a word": lambda pem: b"old: " + pem,
    "to the right": lambda pem: b"  " + pem,
}


@pytest.mark.parametrize("how", DISABLED)
def test_a_key_that_is_commented_out_is_not_used(how, signer, signer2, tmp_path):
    path = tmp_path / "keys.pem"
    out = DISABLED[how]
    for pem in (
        signer.public_key.pem + out(signer2.public_key.pem),
        out(signer2.public_key.pem) + signer.public_key.pem,
    ):
        path.write_bytes(pem)
        assert load_public_keys(path) == [signer.public_key]
        assert [key.key for key in load_trust(path).keys] == [signer.public_key]
    for private in (signer.pem() + out(signer2.pem()), out(signer2.pem()) + signer.pem()):
        path.write_bytes(private)
        assert load_private_key(path).public_key == signer.public_key
    if how != "to the right":  # as all of a file may be, which was indented
        path.write_bytes(out(signer.public_key.pem))
        for load in (load_public_keys, load_trust):
            with pytest.raises(
                KeyFileError, match=r"keys\.pem: no line is '-----BEGIN \.\.\.-----': what is commented out"
            ):
                load(path)


def test_a_certificate_that_is_commented_out_is_not_trusted(signer, signer2, tmp_path):
    own, other = (make_certificate(key, name="Ada", days=1).pem for key in (signer, signer2))
    for out in DISABLED.values():
        (tmp_path / "ca.pem").write_bytes(own + out(other))
        assert [one.public_bytes(Encoding.PEM) for one in load_certificates(tmp_path / "ca.pem")] == [own]


def test_a_block_in_one_line_among_whole_ones_is_not_passed_over(signer, signer2):
    with pytest.raises(KeyFileError, match="the line of a '-----BEGIN' goes on behind it"):
        load_public_keys(signer2.public_key.pem.replace(b"\n", b"") + b"\n" + signer.public_key.pem)


def test_several_keys_are_read_that_were_mangled_together(signer, signer2):
    both = signer.public_key.pem + signer2.public_key.pem
    for how, mangle in MANGLED.items():
        assert load_public_keys(mangle(both)) == [signer.public_key, signer2.public_key], how


def _others(signer):
    private, public = signer.rsa, signer.public_key.rsa
    certificate = x509.load_pem_x509_certificate(make_certificate(signer, name="Ada", days=1).pem)
    edwards = ed25519.Ed25519PrivateKey.generate()
    return {
        "OpenSSH's own format": private.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()),
        "OpenSSH's format of public keys": public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH),
        "DER": private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),
        "DER of a public key, which is binary; convert it: openssl pkey -pubin -inform DER": public.public_bytes(
            Encoding.DER, PublicFormat.SubjectPublicKeyInfo
        ),
        "DER, which": edwards.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),
        "PKCS#12": pkcs12.serialize_key_and_certificates(b"a", private, certificate, None, NoEncryption()),
        "a certificate;": certificate.public_bytes(Encoding.PEM),
        "a certificate request": make_request(signer, name="Ada"),
        "a JSON Web Key": json.dumps({"use": "sig", "kty": "RSA"}).encode(),
        "XML or HTML": b"<!doctype html><title>404</title>",
        "PuTTY's format": b"PuTTY-User-Key-File-3: ssh-rsa\r\n",
        "an SSH2 public key": b"---- BEGIN SSH2 PUBLIC KEY ----\n",
        "OpenPGP": b"-----BEGIN PGP PRIVATE KEY BLOCK-----\n",
        "a key of age": b"AGE-SECRET-KEY-1QQQ",
    }


def test_what_is_no_pem_key_is_called_by_its_name(signer):
    for what, data in _others(signer).items():
        for load in (load_private_key, load_public_key):
            with pytest.raises(KeyFileError, match=f"looks like {what}|this is a private key"):
                load(data)
    with pytest.raises(KeyFileError, match="it is empty"):
        load_private_key(b" \n")


def test_what_is_advised_for_opensshs_format_makes_a_key(signer, tmp_path):
    keygen = shutil.which("ssh-keygen")
    if keygen is None:
        pytest.skip("no ssh-keygen here")
    copy = tmp_path / "copy"
    copy.write_bytes(signer.rsa.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
    copy.chmod(0o600)
    subprocess.run([keygen, "-p", "-m", "PKCS8", "-N", "", "-f", copy], check=True, capture_output=True)
    assert load_private_key(copy).public_key == signer.public_key


def test_base64_of_something_else_is_no_key(signer):
    der = base64.b64encode(signer.rsa.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(KeyFileError, match="not a PEM private key"):
        load_private_key(der)


def test_text_that_only_begins_like_utf_16_stays_as_it_is():
    assert as_utf8(b"\xff\xfex") == b"\xff\xfex"
    assert as_utf8(b"\xff\xfe\x00\xd8") == b"\xff\xfe\x00\xd8"
