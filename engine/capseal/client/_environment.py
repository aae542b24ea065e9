"""What the environment says of the way to a server: proxies, exceptions from them, and trusted certificates.

Read here and not by httpx, which cannot read every list that other programs take, and names no variable.
"""

import os
import ssl
from importlib.util import find_spec
from ipaddress import ip_address, ip_network
from urllib.request import getproxies

import httpx

from ..errors import UsageError

_SOCKS = ("socks5", "socks5h")
_SCHEMES = ("http", "https", *_SOCKS)


def proxy_for(url: httpx.URL) -> httpx.Proxy | None:
    """Return the proxy on the way to a server, by HTTP_PROXY and its like; None where there is none.

    Raises UsageError, which names the variable, for a proxy that cannot be used.
    """
    proxies = getproxies()
    kind = next((kind for kind in (url.scheme, "all") if proxies.get(kind)), None)
    if kind is None or _is_exempt(url, proxies.get("no", "")):
        return None
    value = proxies[kind] if "://" in proxies[kind] else f"http://{proxies[kind]}"
    scheme = value.partition("://")[0].lower()
    # What may hold a password is not shown.
    shown = f"{_variable(kind)}: {scheme}://{value.partition('://')[2].rpartition('@')[2]}"
    if scheme not in _SCHEMES:
        raise UsageError(f"{shown} is no proxy that can be used, expected one of {', '.join(_SCHEMES)}")
    if scheme in _SOCKS and find_spec("socksio") is None:
        raise UsageError(f"{shown} needs socksio, which is not installed: pip install 'httpx[socks]'")
    try:
        proxy = httpx.Proxy(value)
    except (httpx.InvalidURL, ValueError) as error:
        raise UsageError(f"{shown} is not a URL: {error}") from error
    if not proxy.url.host or (proxy.url.port or 0) > 65535:
        raise UsageError(f"{shown} is not a URL: no host, or no port that there is")
    return proxy


def tls_for(url: httpx.URL) -> ssl.SSLContext | bool:
    """Return what a server's certificate is checked by: SSL_CERT_FILE, SSL_CERT_DIR, or what comes with certifi.

    Nothing is trusted where there is no TLS. Raises UsageError, which names the variable.
    """
    if url.scheme != "https":  # to load a hundred certificates that nobody asks for takes 20 ms
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    file, folder = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    try:
        if file:
            return ssl.create_default_context(cafile=file)
        if folder:
            os.listdir(folder)  # OpenSSL would take a folder that is not there for an empty one
            return ssl.create_default_context(capath=folder)
    except ssl.SSLError as error:
        raise UsageError(f"SSL_CERT_FILE: {file}: no certificates in PEM: {error.reason}") from error
    except OSError as error:
        name = "SSL_CERT_FILE" if file else "SSL_CERT_DIR"
        raise UsageError(f"{name}: {file or folder}: {(error.strerror or str(error)).lower()}") from error
    return True


def _variable(kind: str) -> str:
    """Return what the environment's variable for a kind of proxy is called there."""
    lower = f"{kind}_proxy"
    return next((name for name in (lower, lower.upper()) if os.environ.get(name)), lower.upper())


def _is_exempt(url: httpx.URL, exempt: str) -> bool:
    """Say whether NO_PROXY names a host: by its name, a domain above it, its address, or a network of that."""
    for entry in filter(None, (part.strip().lower() for part in exempt.replace(" ", ",").split(","))):
        if entry == "*":
            return True
        host, colon, port = entry.rpartition(":")
        if colon and port.isdigit() and (":" not in host or host.endswith("]")):
            if int(port) != (url.port or {"http": 80, "https": 443}.get(url.scheme)):
                continue
            entry = host
        name = entry.lstrip("*").lstrip(".")
        if (name and (url.host == name or url.host.endswith(f".{name}"))) or _is_in(url.host, entry):
            return True
    return False


def _is_in(host: str, network: str) -> bool:
    """Say whether a host that is an address lies in a network, of one address perhaps."""
    try:
        return ip_address(host) in ip_network(network.replace("[", "").replace("]", ""), strict=False)
    except ValueError:
        return False
