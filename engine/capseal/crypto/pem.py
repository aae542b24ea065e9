"""PEM (RFC 7468) that was mangled on its way: its lines lost in a CI's variable, in UTF-16, or in base64 as a whole.

Loaded only where a file is not what it should be, and says then what it looks like.
"""

import base64
import binascii
import re

from ..errors import KeyFileError
from ..format.text_encoding import as_utf8

_BEGIN = b"-----BEGIN "
_BEGIN_LINE = re.compile(rb"^-----BEGIN [A-Z0-9 ]+-----[ \t\r]*$", re.MULTILINE)
_LABEL = re.compile(rb"-----BEGIN [A-Z0-9 ]+-----")
_BROKEN_LINE = re.compile(rb"^-----BEGIN (?![A-Z0-9 ]+-----[ \t\r]*$)", re.MULTILINE)
_BLOCK = re.compile(
    rb"^(-----BEGIN [A-Z0-9 ]+-----)[ \t\r]*\n(.*?)(?:^(-----END [A-Z0-9 ]+-----)[ \t\r]*$|\Z)",
    re.MULTILINE | re.DOTALL,
)
_BLOCK_IN_A_LINE = re.compile(rb"(-----BEGIN [A-Z0-9 ]+-----)([^\n-]*)(-----END [A-Z0-9 ]+-----)")

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
    """Return the blocks of PEM with their lines, in UTF-8, and nothing around them; what has none as it is.

    A block begins where a line does, as OpenSSL reads it: one that is commented out, or indented below others, is text
    around the blocks. Only where no line is the beginning of a block was the whole mangled, and undone are base64
    around it, line ends that were escaped (``\\\\n``), became blanks or are missing, indentation and quotes; UTF-16
    and byte order marks always. Raises KeyFileError where it cannot be told what a block is.
    """
    data = as_utf8(data)
    if not _BEGIN_LINE.search(data):
        data = _with_lines(data)
    if _BEGIN not in data:
        return data
    blocks = _BLOCK.findall(data)
    if not blocks and not _LABEL.search(data):
        return data
    if not blocks:
        raise KeyFileError("no line is '-----BEGIN ...-----': what is commented out or behind other text is not read")
    if _BROKEN_LINE.search(data):
        raise KeyFileError("the line of a '-----BEGIN' goes on behind it; give each PEM block lines of its own")
    if any(_BEGIN in body for _, body, _ in blocks):
        raise KeyFileError("a PEM block is damaged: another begins before it ends")
    return b"".join(b"%b\n%b%b\n" % block for block in blocks)


def _with_lines(data: bytes) -> bytes:
    """Undo what was done to PEM in which no line is the beginning of a block."""
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
        data = data.replace(b"\\r", b"").replace(b"\\n", b"\n")
    data = _BLOCK_IN_A_LINE.sub(lambda block: b"\n".join([block[1], *block[2].split(), block[3], b""]), data)
    return b"\n".join(line.strip(b" \t\r\"'") for line in data.split(b"\n"))


def hint_at(data: bytes) -> str:
    """Return what data looks like that is not the PEM that was wanted, to go on a message with, or nothing."""
    if not data.strip():
        return "; it is empty"
    return next((f"; it looks like {what}" for start, what in _LOOKS if re.match(start, data, re.DOTALL)), "")
