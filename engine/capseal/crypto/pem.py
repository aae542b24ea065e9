"""PEM (RFC 7468) that was mangled on its way: its lines lost in a CI's variable, in UTF-16, or in base64 as a whole.

Loaded only where a file is not what it should be, and says then what it looks like.
"""

import base64
import binascii
import re

from ..format.text_encoding import as_utf8

_BEGIN = b"-----BEGIN "
_BLOCK = re.compile(rb"(-----BEGIN [A-Z0-9 ]+-----)([^\n-]*)(-----END [A-Z0-9 ]+-----)")

# What a file that is no PEM of ours begins with, what that is, and what to do. The first that fits counts.
_LOOKS: tuple[tuple[bytes, str], ...] = (
    (rb"-----BEGIN OPENSSH PRIVATE KEY", "OpenSSH's own format; convert a copy: ssh-keygen -p -m PKCS8 -f COPY"),
    (rb"(ssh|ecdsa)-[a-z0-9-]+ ", "OpenSSH's format of public keys; convert it: ssh-keygen -e -m PKCS8 -f FILE"),
    (
        rb"---- BEGIN SSH2",
        "an SSH2 public key; convert it with 'ssh-keygen -i' to OpenSSH's, and that to PKCS8",
    ),
    (rb"PuTTY-User-Key-File", "PuTTY's format; export it with puttygen as an OpenSSH key, and convert that"),
    (rb"-----BEGIN PGP", "OpenPGP, which has no key that could be used here"),
    (rb"AGE-SECRET-KEY|# created: [^\n]*\n# public key: age1", "a key of age, which has no RSA"),
    (rb"-----BEGIN (NEW )?CERTIFICATE REQUEST", "a certificate request; the key is in a file of its own"),
    (rb"-----BEGIN (TRUSTED |X509 )?CERTIFICATE", "a certificate; the key is in a file of its own"),
    (rb"\s*\{.*\"kty\"", "a JSON Web Key; convert it to PEM"),
    (rb"\s*<", "XML or HTML, perhaps the error page of a download"),
    # DER: a SEQUENCE that starts with INTEGER 3 is PKCS#12, RFC 7292; with INTEGER 0, a private key.
    (
        rb"0(?:\x80|[\x81-\x84].{1,4}?|.)\x02\x01\x03",
        "PKCS#12; convert it: openssl pkcs12 -in FILE -nodes",
    ),
    # A SEQUENCE that starts with the AlgorithmIdentifier of an RSA key is a SubjectPublicKeyInfo, RFC 3279, 2.3.1.
    (
        rb"0(?:\x80|[\x81-\x84].{1,4}?|.)0.\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01",
        "DER of a public key, which is binary; convert it: openssl pkey -pubin -inform DER",
    ),
    (
        rb"0(?:\x80|[\x81-\x84].{1,4}?|.)[\x02\x30]",
        "DER, which is binary; convert it: openssl pkey -inform DER",
    ),
)


def as_pem(data: bytes) -> bytes:
    """Return PEM with its lines, in UTF-8, where data is PEM that was mangled; anything else as it is.

    Undone are UTF-16 and byte order marks, base64 around the whole, line ends that were escaped (``\\\\n``) or
    became blanks, and quotes around the whole.
    """
    data = as_utf8(data)
    if _BEGIN not in data:
        try:
            decoded = as_utf8(base64.b64decode(b"".join(data.split()), validate=True))
        except binascii.Error:
            return data
        if _BEGIN not in decoded:
            return data
        data = decoded
    if b"\n" not in data:
        data = data.replace(b"\r", b"\n")
    if re.search(rb"-----(?:\\r)?\\n", data):
        data = data.replace(b"\\r", b"").replace(b"\\n", b"\n").strip(b" \t\r\n\"'")
    return _BLOCK.sub(lambda block: b"\n".join([block[1], *block[2].split(), block[3]]), data)


def hint_at(data: bytes) -> str:
    """Return what data looks like that is not the PEM that was wanted, to go on a message with, or nothing."""
    if not data.strip():
        return "; it is empty"
    return next((f"; it looks like {what}" for start, what in _LOOKS if re.match(start, data, re.DOTALL)), "")
