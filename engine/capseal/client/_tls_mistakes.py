"""Why no TLS came about, or no HTTP without it: what would be so again, however often it is tried."""

import socket
import ssl
from contextlib import suppress

import httpx

TLS_THERE = "TLS is spoken there: the likely cause is http:// in place of https://"
_PROBE_S = 5.0
_NO_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "RECORD_LAYER_FAILURE")
"""What versions of OpenSSL call it where the first bytes that come are no TLS."""


def lasting_mistake(error: httpx.HTTPError | httpx.StreamError) -> str | None:
    """Return what is wrong with a server's TLS, where that is what an error comes from, or None."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            named = "issuer" in cause.verify_message or "self-signed" in cause.verify_message
            hint = "; SSL_CERT_FILE names the CAs to trust, in PEM" if named else ""
            return f"the server's certificate is not accepted: {cause.verify_message}{hint}"
        # Only of a handshake: later on it is a line that damaged what passed.
        if isinstance(cause, ssl.SSLError) and cause.reason in _NO_TLS and isinstance(error, httpx.ConnectError):
            return "no TLS is spoken there: the likely cause is https:// in place of http://, or the port of another"
        cause = cause.__cause__ or cause.__context__
    return None


def speaks_tls(url: httpx.URL) -> bool:
    """Tell whether TLS is spoken where a URL leads, by one connection that carries no request."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Nothing is sent over it and nothing believed: whose certificate it is does not matter.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    place = url.host, url.port or 80
    with (
        suppress(OSError, ValueError),  # ssl.SSLError is an OSError
        socket.create_connection(place, timeout=_PROBE_S) as plain,
        context.wrap_socket(plain, server_hostname=url.host),
    ):
        return True
    return False
