"""Proxies and certificates in the environment: used as other programs use them, or one line that names the variable."""

import contextlib
import socket
import ssl
import sys
import threading

import httpx
import pytest

from capseal import TransferError, UsageError
from capseal.client import Connection
from capseal.client._connection import FinalTransferError
from capseal.client._environment import proxy_for, tls_for
from capseal.server import make_server
from support.proxy import Proxy
from support.scripted import scripted
from support.serving import running
from support.tls import make_certificate

SERVER = "http://bundles.example.com:8417"


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """Return environment(NAME=value): a clean environment, but for these."""
    names = [f"{kind}_proxy" for kind in ("http", "https", "all", "no")]
    for name in (*names, *map(str.upper, names), "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUEST_METHOD"):
        monkeypatch.delenv(name, raising=False)

    def environment(**variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return environment


def _proxy(url=SERVER):
    proxy = proxy_for(httpx.URL(url))
    return None if proxy is None else str(proxy.url)


def test_without_variables_the_way_is_direct():
    assert _proxy() is None


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
@pytest.mark.parametrize("value", ["http://127.0.0.1:3128", "127.0.0.1:3128", "https://u:p@proxy:3128"])
def test_a_proxy_is_used_under_all_its_names(environment, name, value):
    environment(**{name: value})
    assert _proxy() == (value if "://" in value else f"http://{value}").replace("u:p@", "")


def test_each_scheme_has_its_own_proxy_before_that_of_all(environment):
    environment(HTTPS_PROXY="http://a:1", ALL_PROXY="http://b:2")
    assert (_proxy("https://x"), _proxy("http://x")) == ("http://a:1", "http://b:2")


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("socks4://u:secret@127.0.0.1:9", "socks4://127.0.0.1:9 is no proxy that can be used"),
        ("ftp://127.0.0.1", "ftp://127.0.0.1 is no proxy that can be used, expected one of http, https, socks5"),
        ("http://[::1", r"http://\[::1 is not a URL"),
        ("http://h:99999", "http://h:99999 is not a URL"),
        ("http://", "http:// is not a URL: no host"),
    ],
)
@pytest.mark.parametrize("name", ["HTTP_PROXY", "all_proxy"])
def test_a_proxy_that_cannot_be_used_is_one_line_with_its_variable(environment, name, value, told):
    environment(**{name: value})
    with pytest.raises(UsageError, match=f"^{name}: {told}") as caught:
        Connection(SERVER)
    assert "secret" not in str(caught.value) and "\n" not in str(caught.value)


def test_a_proxy_of_another_scheme_is_nobodys_business(environment):
    environment(HTTPS_PROXY="socks4://x", NO_PROXY="")
    assert _proxy() is None


def test_socks_says_what_to_install_where_it_is_not(environment, monkeypatch):
    monkeypatch.setitem(sys.modules, "socksio", None)
    environment(ALL_PROXY="socks5://127.0.0.1:9")
    with pytest.raises(
        UsageError, match=r"^ALL_PROXY: socks5://127.0.0.1:9 needs socksio.*pip install 'httpx\[socks\]'"
    ):
        Connection(SERVER)


@pytest.mark.parametrize(
    ("exempt", "url", "is_exempt"),
    [
        ("*", SERVER, True),
        ("example.com", SERVER, True),
        (".example.com", SERVER, True),
        ("*.example.com", SERVER, True),
        ("EXAMPLE.com", SERVER, True),
        ("ample.com", SERVER, False),
        ("bundles.example.com:8417", SERVER, True),
        ("bundles.example.com:80", SERVER, False),
        ("localhost, 127.0.0.1 , ::1", "http://[::1]:8417", True),
        ("localhost 127.0.0.1", "http://127.0.0.1:8417", True),
        ("fd00::/8", "http://[fd12::3]", True),
        ("[fd00::]/8", "http://[fd12::3]", True),
        ("[fd12::3]:80", "http://[fd12::3]", True),
        ("fd00::/8", "http://[fe80::3]", False),
        ("10.0.0.0/8", "http://10.1.2.3", True),
        ("10.0.0.0/8", "http://11.1.2.3", False),
        ("10.0.0.0/8,fd00::/8,.local", SERVER, False),
        ("10.0.0.0/99,,:,]", SERVER, False),
    ],
)
def test_no_proxy_takes_names_domains_addresses_and_networks(environment, exempt, url, is_exempt):
    environment(http_proxy="http://proxy:3128", NO_PROXY=exempt)
    assert (_proxy(url) is None) == is_exempt
    Connection(url).close()


def test_what_goes_through_a_proxy_arrives(environment, live):
    proxy = Proxy(live.port)  # any server answers what a proxy is asked: the whole URL
    with proxy.listener:
        threading.Thread(target=proxy.run, daemon=True).start()
        environment(http_proxy=proxy.url)
        with Connection("http://nowhere.invalid") as connection:
            connection.ask("GET", "/v1/apps", lambda value: value)
    assert proxy.connections == 1


def test_certificates_that_are_not_there_are_named(environment, tmp_path):
    (tmp_path / "empty").write_bytes(b"")
    for name, value, told in (
        ("SSL_CERT_DIR", tmp_path / "none", "no such file or directory"),
        ("SSL_CERT_FILE", tmp_path / "none", "no such file or directory"),
        ("SSL_CERT_FILE", tmp_path / "empty", "no certificates in PEM"),
    ):
        environment(**{name: str(value)})
        with pytest.raises(UsageError, match=f"^{name}: {value}: {told}"):
            Connection("https://bundles.example.com")
        Connection(SERVER).close()  # which needs none


def test_a_certificate_that_is_not_accepted_is_asked_for_once(environment, tmp_path):
    certificate, key = make_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    came = []

    def answer(listener):
        with contextlib.suppress(OSError):
            while True:
                one = listener.accept()[0]
                came.append(one)
                with contextlib.suppress(OSError), context.wrap_socket(one, server_side=True):
                    pass

    environment()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=answer, args=(listener,), daemon=True).start()
        with Connection(f"https://127.0.0.1:{listener.getsockname()[1]}") as connection:
            told = "certificate is not accepted: self-signed certificate; SSL_CERT_FILE names the CAs to trust, in PEM$"
            with pytest.raises(TransferError, match=told):
                connection.retried(lambda: connection.ask("GET", "/v1/apps", lambda value: value))
    assert len(came) == 1


async def empty(scope, receive, send):
    """Answer every request with an empty JSON object."""
    if scope["type"] == "lifespan":
        while (came := (await receive())["type"]) != "lifespan.shutdown":
            await send({"type": f"{came}.complete"})
        await send({"type": f"{came}.complete"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"{}"})


@pytest.mark.parametrize("spoken", ["https", "http"])
def test_the_other_scheme_than_is_spoken_there_ends_at_once_and_is_named(environment, tmp_path, spoken):
    environment()
    certificate, key = make_certificate(tmp_path) if spoken == "https" else (None, None)
    server = make_server(empty, host="127.0.0.1", port=0, certificate=certificate, key=key)
    other, told = {
        "https": ("http", "TLS is spoken there: the likely cause is http:// in place of https://"),
        "http": ("https", "no TLS is spoken there: the likely cause is https:// in place of http://, or the port of"),
    }[spoken]
    tries = []

    def attempt(connection, **keywords):
        tries.append(keywords)
        return connection.ask("POST", "/v1/apps", lambda value: value, **keywords)

    with running(server, scheme=spoken) as client:
        for keywords in ({}, {"content": bytes(3_000_000)}):  # which it does not read, either
            with (
                Connection(f"{other}://127.0.0.1:{client.base_url.port}") as connection,
                pytest.raises(FinalTransferError, match=f"^{connection.url}: {told}"),
            ):
                connection.retried(lambda: attempt(connection, **keywords))
    assert len(tries) == 2


def test_a_server_without_tls_that_breaks_off_is_asked_again(environment):
    environment()
    came = []

    def answer(listener):
        with contextlib.suppress(OSError):
            while True:
                with listener.accept()[0] as one:
                    came.append(one.recv(65536)[:4])
                    if came.count(b"POST") == 2:
                        one.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=answer, args=(listener,), daemon=True).start()
        with Connection(f"http://127.0.0.1:{listener.getsockname()[1]}") as connection:
            assert connection.retried(lambda: connection.ask("POST", "/", lambda value: value)) == {}
    assert [one for one in came if one == b"POST"] == [b"POST"] * 2


def test_a_bare_400_to_what_was_not_said_by_tls_names_the_likely_cause(environment):
    environment()
    said = b"The plain HTTP request was sent to HTTPS port"
    with (
        scripted(lambda request: request.answer(said, status=400)) as server,
        Connection(server.url) as connection,
        pytest.raises(UsageError, match=r"the URL begins with https://$"),
    ):
        connection.ask("GET", "/", lambda value: value)


def test_certificates_that_are_there_are_those_that_count(environment):
    import certifi

    environment(SSL_CERT_FILE=certifi.where())
    context = tls_for(httpx.URL("https://x"))
    assert isinstance(context, ssl.SSLContext) and context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


def test_for_a_server_without_tls_no_certificate_is_loaded_and_none_would_be_trusted():
    context = tls_for(httpx.URL("http://x"))
    assert isinstance(context, ssl.SSLContext)
    assert context.verify_mode == ssl.CERT_REQUIRED and context.check_hostname
    assert context.get_ca_certs() == []
