"""Signers that are more than a PEM key: with certificates, in a hardware module, behind a command."""

from dataclasses import dataclass

from .certificates import Chain
from .errors import KeyFileError
from .keys import PublicKey, Signer


@dataclass(frozen=True)
class CertifiedSigner:
    """A signer whose signatures carry its certificates (x5c)."""

    signer: Signer
    chain: Chain

    def __post_init__(self) -> None:
        ours, certified = self.signer.public_key.fingerprint, self.chain.key.fingerprint
        if ours != certified:
            raise KeyFileError(
                f"certificate {self.chain.subject!r} is for key {certified[:16]}, the signer is {ours[:16]}"
            )

    @property
    def public_key(self) -> PublicKey:
        return self.signer.public_key

    def sign(self, message: bytes) -> bytes:
        return self.signer.sign(message)


def certificates_of(signer: Signer) -> tuple[bytes, ...]:
    """Return the certificates, in DER, that go with a signer's signatures; none for most signers."""
    return signer.chain.der if isinstance(signer, CertifiedSigner) else ()
