"""A sealing plan: what will be sealed and with which keys, before a byte is encrypted; and how it becomes the seal."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from ..constants import DIGEST_BYTES, KEY_BYTES, NONCE_PREFIX_BYTES, SALT_BYTES
from ..crypto.keys import FilePath, PublicKey, Signer, public_keys_of
from ..crypto.segment_cipher import Header, SegmentCipher, commitment
from ..errors import FormatError, UsageError
from ..format.seal import SEAL_TYPE, Seal, seal_bytes_of
from ..format.segment_layout import payload_bytes_of
from ..format.statement import Companion, Encryption, Payload, Recipient, Statement
from ..format.tree import digest
from ..trust.signing import envelope_bytes, sign

OPEN_PAYLOAD = Payload(0, bytes(DIGEST_BYTES))
"""The payload of a statement that make() is given: what it will be, sealing tells."""

OPEN_ENCRYPTION = Encryption(bytes(KEY_BYTES), ())
"""The encryption of a statement that make() is given: make() draws the key."""


@dataclass(frozen=True, slots=True)
class SealingPlan:
    """One bundle to be sealed. Its key is for one payload: what is encrypted again must be the same bytes.

    statement: what will be signed, but for the payload's digest and, where the content's size is not known
    yet (then it is 0), the sizes. session_key: 32 bytes; header: the payload's first bytes.
    """

    statement: Statement
    session_key: bytes = field(repr=False)
    header: Header

    @classmethod
    def make(
        cls,
        statement: Statement,
        *,
        recipients: Sequence[PublicKey | FilePath],
        entropy: Callable[[int], bytes] = os.urandom,
    ) -> "SealingPlan":
        """Draw the key of a statement whose payload and encryption are open, and wrap it for its recipients.

        entropy: gives so many random bytes; asked for the salt, the nonce prefix and the session key, in that
        order. Raises UsageError where no reader would accept the statement.
        """
        try:
            statement.app.encode()
        except UnicodeEncodeError:
            raise UsageError(f"statement.app: {statement.app[:64]!r} is not UTF-8") from None
        header = Header(entropy(SALT_BYTES), entropy(NONCE_PREFIX_BYTES))
        session_key = entropy(KEY_BYTES)
        statement = replace(
            statement,
            payload=replace(statement.payload, size=payload_bytes_of(statement.content.size)),
            encryption=Encryption(
                commitment(session_key, header, statement.app), wrap_session_key(session_key, recipients)
            ),
        )
        return cls(acceptable(statement), session_key, header)

    @property
    def cipher(self) -> SegmentCipher:
        """What encrypts the payload."""
        return SegmentCipher(self.session_key, self.header, self.statement.app)

    def with_companions(self, companions: Sequence[Companion]) -> "SealingPlan":
        """Return the plan of a seal that vouches for further companions. Raises UsageError as make() does."""
        statement = replace(self.statement, companions=(*self.statement.companions, *companions))
        return replace(self, statement=acceptable(statement))

    def seal_bytes(self, signers: Sequence[Signer]) -> int:
        """Return the seal's size, where the content's is known. Raises UsageError where sign() would."""
        statement = self.statement
        return seal_bytes_of(envelope_bytes(SEAL_TYPE, statement.encode(), signers), statement.payload.size)

    def sign(self, index: bytes, content_bytes: int, signers: Sequence[Signer]) -> Seal:
        """Return the signed seal of the payload that came of it.

        index: 32 bytes per segment; content_bytes: how much plaintext there was. Raises UsageError, KeyFileError.
        """
        size = payload_bytes_of(content_bytes)
        statement = replace(
            self.statement,
            content=replace(self.statement.content, size=content_bytes),
            payload=Payload(size, digest(index, size)),
        )
        return Seal(sign(SEAL_TYPE, statement.encode(), signers), statement, index)


def wrap_session_key(session_key: bytes, recipients: Sequence[PublicKey | FilePath]) -> tuple[Recipient, ...]:
    """Return the session key wrapped for each recipient. Raises UsageError where there is none."""
    if not recipients:
        raise UsageError("no recipient: nobody could open the bundle")
    return tuple(Recipient(key.fingerprint, key.wrap(session_key)) for key in public_keys_of(recipients))


def acceptable(statement: Statement) -> Statement:
    """Return the statement if a reader would accept it. Raises UsageError."""
    try:
        return Statement.parse(statement.encode())
    except FormatError as error:
        raise UsageError(str(error)) from None
    except (TypeError, ValueError, RecursionError) as error:  # custom data that JSON cannot hold
        raise UsageError(f"statement: {error}") from error
