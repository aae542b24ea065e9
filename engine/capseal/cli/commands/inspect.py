"""capseal inspect: what a seal claims, not verified, as JSON values and in lines."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

from ..framework import console, options
from ..framework.arguments import argument
from ..framework.titles import sized

if TYPE_CHECKING:
    from ...format.dsse import Envelope
    from ...format.statement import Statement


def inspect(
    bundle: Annotated[str, argument("BUNDLE", help="A sealed bundle, a detached seal, or its payload; '-': stdin.")],
) -> None:
    """Print what a seal claims. Nothing of it is verified."""
    import capseal

    envelope, statement = capseal.inspect(console.open_input(options.seal_of(bundle, None) or bundle))
    console.answer(_claims(envelope, statement))
    for line in _claim_lines(envelope, statement):
        console.print_line(line)


def _claims(envelope: "Envelope", statement: "Statement") -> dict[str, Any]:
    """Return what a seal claims as JSON values."""
    from ...format.strictjson import to_base64

    signatures = []
    for signature in envelope.signatures:
        entry: dict[str, Any] = {"keyid": signature.keyid, "sig": to_base64(signature.sig)}
        if signature.x5c:
            entry["x5c"] = [to_base64(certificate) for certificate in signature.x5c]
        signatures.append(entry)
    return {"statement": statement.to_json(), "signatures": signatures, "verified": False}


def _claim_lines(envelope: "Envelope", statement: "Statement") -> Iterator[str]:
    """Give what a seal claims in lines."""
    from json import dumps

    yield "UNVERIFIED: this is what the seal claims; 'capseal verify' tells whether it is true"
    yield f"  app         {statement.app}"
    yield f"  version     {statement.version} (sequence {statement.sequence})"
    yield f"  channel     {statement.channel}"
    yield f"  role        {statement.role}"
    yield f"  created     {statement.to_json()['created']}"
    content, payload = statement.content, statement.payload
    yield f"  content     {content.name} ({content.media_type}, {sized(content.size)})"
    yield f"  payload     {sized(payload.size)}, fsverity-sha256 {payload.digest.hex()}"
    for recipient in statement.encryption.recipients:
        yield f"  recipient   {recipient.kid}"
    for signature in envelope.signatures:
        yield f"  signature   {signature.keyid} (not checked)"
    if statement.requires is not None:
        yield f"  requires    {statement.requires.shown}"
    if statement.allow_downgrade_to is not None:
        yield f"  permits     going back to sequences above {statement.allow_downgrade_to}"
    for attachment in statement.attachments:
        yield f"  attachment  {attachment.name} ({attachment.media_type}, {sized(attachment.size)})"
    for companion in statement.companions:
        kind = "sealed" if companion.sealed else "foreign"
        yield f"  companion   {companion.name} ({kind}, {companion.media_type}, {sized(companion.size)})"
    if statement.custom is not None:
        yield f"  custom      {dumps(statement.custom)}"


COMMANDS = {"inspect": inspect}
