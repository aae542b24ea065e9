"""capseal verify: check every byte, with no secret; and the verdict, as JSON values and in lines."""

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ...errors import RejectedError, TruncatedError
from ..framework import console, options, progress, titles

if TYPE_CHECKING:
    from ...bundle.reading_order import Verified
    from ...trust.store import TrustedKey

SEAL = ".seal"


def verify(
    bundle: options.Bundle,
    *,
    demands: options.Demands,
    seal: options.Seal = None,
    jobs: options.Jobs = None,
) -> None:
    """Check every byte of a sealed bundle, with no secret."""
    import capseal

    config = options.find_config()
    try:
        with progress.shown("Verifying", bundle) as advance:
            verified = capseal.verify(
                console.open_input(bundle),
                trust=demands.trusted(config),
                expect=demands.expected(config),
                seal=options.seal_of(bundle, seal),
                mapped=True,  # the process is ours, and so are its signals
                jobs=jobs,
                progress=advance,
            )
    except RejectedError as error:
        with suppress(OSError):  # the exit code says that it is rejected, all the same
            console.answer(_rejection(error))
        if isinstance(error, TruncatedError) and bundle.endswith(SEAL):
            payload = f"{bundle.removesuffix(SEAL)}.payload"
            hint = f"a seal by itself has no payload; verify {payload}, beside which it is found"
            raise TruncatedError(f"{error}: {hint}", expected=error.expected, actual=error.actual) from error
        raise
    console.answer(_verdict(verified))
    for line in _verdict_lines(verified):
        console.say(line)


def _verdict(verified: "Verified") -> dict[str, Any]:
    """Return a positive verdict as JSON values."""
    return {
        "verified": True,
        "statement": verified.statement.to_json(),
        "signers": [_signer(signer) for signer in verified.signers],
        "unchecked_signatures": _unchecked(verified),
    }


def _verdict_lines(verified: "Verified") -> Iterator[str]:
    """Give a positive verdict in lines."""
    yield f"verified: {titles.title(verified.statement)}"
    for signer in verified.signers:
        certified = f", certificate {signer.chain.subject}" if signer.chain else ""
        yield f"  signed by {signer.key.fingerprint} ({signer.role.value}{certified})"
    for keyid in _unchecked(verified):
        yield f"  a signature by {keyid} was not checked: that key is not in the trust store"


def _rejection(error: RejectedError) -> dict[str, Any]:
    """Return a negative verdict as JSON values."""
    details = {name: value for name, value in vars(error).items() if value is not None}
    return {"verified": False, "error": type(error).__name__, "message": str(error), **details}


def _signer(signer: "TrustedKey") -> dict[str, str]:
    certified = {"certificate": signer.chain.subject} if signer.chain else {}
    return {"keyid": signer.key.fingerprint, "role": signer.role.value, **certified}


def _unchecked(verified: "Verified") -> list[str]:
    checked = {signer.key.fingerprint for signer in verified.signers}
    return [signature.keyid for signature in verified.seal.envelope.signatures if signature.keyid not in checked]


COMMANDS = {"verify": verify}
