"""Keys that are not files: in a SoftHSM2 token through PKCS#11, and behind a command."""

import io
import json
import os
import shlex
import subprocess
import sys

import pytest

import capseal
from capseal import CertifiedSigner, KeyFileError, TrustStore
from capseal.trust.certificates import make_certificate
from capseal.trust.external_signers import CommandSigner, Pkcs11Signer, Pkcs11Uri
from support.command import run
from support.softhsm import PIN, softhsm_token
from support.tools import require_tool

_SIGN = ("-sha256", "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:32", "-sigopt", "rsa_mgf1_md:sha256")


# --- PKCS#11


@pytest.fixture(scope="module")
def token(tmp_path_factory):
    """A SoftHSM2 token with an RSA key that was made in it, and the URI of that key."""
    folder = tmp_path_factory.mktemp("softhsm")
    with softhsm_token(folder, key="release") as (uri, module):
        yield uri, module, folder


@pytest.fixture(scope="module")
def hardware(token):
    return Pkcs11Signer(token[0])


def test_a_bundle_signed_in_a_token_verifies_everywhere(hardware, seal_bytes, unseal_bytes, tmp_path):
    openssl = require_tool("openssl")
    bundle = seal_bytes(b"content", signer=hardware)
    assert unseal_bytes(bundle, trust=TrustStore.of(hardware.public_key)) == b"content"
    envelope, _ = capseal.inspect(io.BytesIO(bundle))
    (tmp_path / "pub.pem").write_bytes(hardware.public_key.pem)
    (tmp_path / "sig").write_bytes(envelope.signatures[0].sig)
    check = [openssl, "dgst", *_SIGN, "-verify", "pub.pem", "-signature", "sig"]
    subprocess.run(check, cwd=tmp_path, input=envelope.message, check=True, capture_output=True)


def test_a_key_in_a_token_is_shown_and_trusted_by_its_uri(token, hardware, tmp_path):
    fingerprint = hardware.public_key.fingerprint
    shown = run("key", "show", token[0], cwd=tmp_path).succeeded().out.decode()
    assert shown == f"{fingerprint}  RSA-3072  hardware  pkcs11:token=ci;object=release\n"
    [told] = json.loads(run("key", "show", token[0], "--json", cwd=tmp_path).succeeded().out)
    assert told == {"fingerprint": fingerprint, "bits": 3072, "kind": "hardware"}
    trust = tmp_path / "trust.json"
    TrustStore.of(capseal.PrivateKey.generate(3072).public_key).save(trust)
    run("trust", "add", token[0], "--trust", trust, cwd=tmp_path).succeeded()
    assert fingerprint in {one.key.fingerprint for one in capseal.load_trust(trust).keys}


def test_a_private_key_in_a_token_never_leaves_it(token, hardware):
    import pkcs11

    with hardware._key() as key:
        assert key[pkcs11.Attribute.SENSITIVE] and not key[pkcs11.Attribute.EXTRACTABLE]
        with pytest.raises(pkcs11.AttributeSensitive):
            key[pkcs11.Attribute.PRIVATE_EXPONENT]
    assert PIN not in repr(hardware)


def test_a_token_key_can_be_found_by_its_id_and_asked_for_its_pin(token, hardware):
    uri = Pkcs11Uri(token[1], "ci", id=b"\x01")
    assert Pkcs11Signer(uri, pin=PIN.encode).public_key == hardware.public_key


def test_a_token_key_can_have_certificates(hardware, signer, seal_bytes):
    with pytest.raises(KeyFileError, match=r"is for key .*, the signer is"):
        CertifiedSigner(hardware, make_certificate(signer, name="another"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("token=ci", "token=other"), "in token 'other': NoSuchToken"),
        (("object=release", "object=other"), "key 'other' in token 'ci': NoSuchKey"),
        (("libsofthsm2.so", "nothing.so"), "cannot open shared object file"),
    ],
)
def test_what_is_not_there_is_named(token, change, message):
    with pytest.raises(KeyFileError, match=message):
        Pkcs11Signer(token[0].replace(*change))


def test_a_wrong_pin_is_named_but_not_shown(token):
    uri = token[0].partition("&")[0]
    with pytest.raises(KeyFileError, match="PinIncorrect") as caught:
        Pkcs11Signer(uri, pin=lambda: b"secret-but-wrong")
    assert "secret-but-wrong" not in str(caught.value)


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("pkcs11:token=ci;object=a", "module-path is missing"),
        ("pkcs11:object=a?module-path=/m", "token is missing"),
        ("pkcs11:token=ci?module-path=/m", "object or id is missing"),
        ("pkcs11:token=ci;token=ci;object=a?module-path=/m", "'token' is not one of"),
        ("pkcs11:token=ci;objekt=a?module-path=/m", "'objekt' is not one of"),
        ("pkcs11:token=ci;object=a?module-path=/m&pin-value=1234", "PIN does not belong on a command line"),
    ],
)
def test_unusable_uris_are_refused(uri, message):
    with pytest.raises(KeyFileError, match=message):
        Pkcs11Uri.parse(uri)


def test_uris_are_percent_decoded():
    uri = Pkcs11Uri.parse("pkcs11:token=My%20token;id=%01%ff;type=private?module-path=/m&pin-source=file:/a%20b")
    assert uri == Pkcs11Uri("/m", "My token", id=b"\x01\xff", pin_source="/a b")


def test_a_file_that_is_no_pin_is_refused(token, tmp_path):
    (tmp_path / "pin").write_bytes(b"x" * 257)
    with pytest.raises(KeyFileError, match="larger than 256 bytes, not a PIN"):
        Pkcs11Signer(Pkcs11Uri(token[1], "ci", "release", pin_source=str(tmp_path / "pin")))


# --- a command


@pytest.fixture(scope="module")
def command(tmp_path_factory, signer):
    """Signs with openssl: stands in for a KMS, and is a program that somebody else wrote."""
    key = tmp_path_factory.mktemp("kms") / "key.pem"
    key.write_bytes(signer.pem())
    return [require_tool("openssl"), "dgst", *_SIGN, "-sign", str(key)]


def test_a_bundle_signed_by_a_command_verifies(command, signer, seal_bytes, unseal_bytes):
    bundle = seal_bytes(b"content", signer=CommandSigner(command, signer.public_key))
    assert unseal_bytes(bundle) == b"content"


def _python(code):
    return [sys.executable, "-c", code]


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["/nowhere/signer"], "signer command /nowhere/signer: No such file or directory"),
        (_python("import sys; sys.exit('no such key')"), "ended with 1: no such key"),
        (_python(""), "wrote 0 bytes, a signature by this key has 384"),
        (_python("print('x' * 383)"), "returned a signature that its public key does not verify"),
        (_python("import time; time.sleep(60)"), "no answer within 0.5 s"),
    ],
)
def test_a_command_that_does_not_sign_is_named(command, message, signer, seal_bytes):
    timeout_s = 0.5 if "sleep" in command[-1] else 60.0
    with pytest.raises(KeyFileError, match=message):
        seal_bytes(b"content", signer=CommandSigner(command, signer.public_key, timeout_s=timeout_s))


def test_a_command_gets_the_message_on_standard_input_and_not_in_its_arguments(tmp_path, command, signer, seal_bytes):
    script = tmp_path / "kms"
    script.write_text(f'#!/bin/sh\necho "$#" > {tmp_path}/count\ntee {tmp_path}/message | {shlex.join(command)}\n')
    os.chmod(script, 0o700)
    bundle = seal_bytes(b"content", signer=CommandSigner([str(script)], signer.public_key))
    envelope, _ = capseal.inspect(io.BytesIO(bundle))
    assert (tmp_path / "message").read_bytes() == envelope.message
    assert (tmp_path / "count").read_text() == "0\n"
