"""What verify and inspect tell, as JSON values and as lines."""

import json
import os
from collections.abc import Iterator
from typing import Any

from ...bundle.reading_order import Verified
from ...errors import RejectedError
from ...format.dsse import Envelope
from ...format.statement import Statement
from ...format.strictjson import to_base64
from ...trust.store import TrustedKey
from .console import STANDARD, say


def title(statement: Statement) -> str:
    """Return a bundle's name for people."""
    return f"{statement.app} {statement.version} (sequence {statement.sequence}, {statement.channel})"


def say_written(output: str, statement: Statement) -> None:
    """Print what was written where, unless that was standard output, under whatever name."""
    if output != STANDARD and not os.path.samestat(os.stat(output), os.fstat(1)):
        say(f"{output}: {title(statement)}")


def verdict(verified: Verified) -> dict[str, Any]:
    """Return a positive verdict as JSON values."""
    return {
        "verified": True,
        "statement": verified.statement.to_json(),
        "signers": [_signer(signer) for signer in verified.signers],
        "unchecked_signatures": _unchecked(verified),
    }


def verdict_lines(verified: Verified) -> Iterator[str]:
    """Give a positive verdict in lines."""
    yield f"verified: {title(verified.statement)}"
    for signer in verified.signers:
        certified = f", certificate {signer.chain.subject}" if signer.chain else ""
        yield f"  signed by {signer.key.fingerprint} ({signer.role.value}{certified})"
    for keyid in _unchecked(verified):
        yield f"  a signature by {keyid} was not checked: that key is not in the trust store"


def rejection(error: RejectedError) -> dict[str, Any]:
    """Return a negative verdict as JSON values."""
    details = {name: value for name, value in vars(error).items() if value is not None}
    return {"verified": False, "error": type(error).__name__, "message": str(error), **details}


def claims(envelope: Envelope, statement: Statement) -> dict[str, Any]:
    """Return what a seal claims as JSON values."""
    signatures = []
    for signature in envelope.signatures:
        entry: dict[str, Any] = {"keyid": signature.keyid, "sig": to_base64(signature.sig)}
        if signature.x5c:
            entry["x5c"] = [to_base64(certificate) for certificate in signature.x5c]
        signatures.append(entry)
    return {"statement": statement.to_json(), "signatures": signatures, "verified": False}


def claim_lines(envelope: Envelope, statement: Statement) -> Iterator[str]:
    """Give what a seal claims in lines."""
    yield "UNVERIFIED: this is what the seal claims; 'capseal verify' tells whether it is true"
    yield f"  app         {statement.app}"
    yield f"  version     {statement.version} (sequence {statement.sequence})"
    yield f"  channel     {statement.channel}"
    yield f"  created     {statement.to_json()['created']}"
    content, payload = statement.content, statement.payload
    yield f"  content     {content.name} ({content.media_type}, {content.size} bytes)"
    yield f"  payload     {payload.size} bytes, fsverity-sha256 {payload.digest.hex()}"
    for recipient in statement.encryption.recipients:
        yield f"  recipient   {recipient.kid}"
    for signature in envelope.signatures:
        yield f"  signature   {signature.keyid} (not checked)"
    if statement.allow_downgrade_to is not None:
        yield f"  permits     going back to sequences above {statement.allow_downgrade_to}"
    for attachment in statement.attachments:
        yield f"  attachment  {attachment.name} ({attachment.media_type}, {attachment.size} bytes)"
    if statement.custom is not None:
        yield f"  custom      {json.dumps(statement.custom)}"


def _signer(signer: TrustedKey) -> dict[str, str]:
    certified = {"certificate": signer.chain.subject} if signer.chain else {}
    return {"keyid": signer.key.fingerprint, "role": signer.role.value, **certified}


def _unchecked(verified: Verified) -> list[str]:
    checked = {signer.key.fingerprint for signer in verified.signers}
    return [signature.keyid for signature in verified.seal.envelope.signatures if signature.keyid not in checked]
