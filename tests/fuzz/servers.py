"""A server and clients that send what they like: the ASGI application in this process, on a storage in memory."""

import hashlib
import json
from dataclasses import dataclass
from random import Random

from capseal import Envelope, TrustStore
from capseal.format.signed_index import SignedIndex
from support.independent_reader import Rejected, verify
from vectors.making import dump

from .bundles import modules
from .corpus import SEAL_TYPE, Reader, enveloped, pick_keys, sealed, signed
from .honest import (
    APP,
    CHANNEL,
    RELEASES,
    TOKEN,
    Request,
    Sealed,
    Server,
    bundles,
    loop,
    new_server,
    request,
    stored_release,
)
from .mutating import NUMBERS, mutate_bytes, mutate_json, mutate_text, often
from .running import Disagreement, Target


@dataclass(frozen=True, slots=True)
class Case:
    """Requests to a new server, one after the other. published: whether a release is there at the beginning."""

    published: bool
    has_token: bool
    asked: tuple[Request, ...]


def _altered_seal(r: Random, bundle: Sealed) -> bytes:
    if often(r, 0.5):
        return bundle.seal
    if often(r, 0.4):
        return mutate_bytes(r, bundle.seal)
    statement = json.loads(json.dumps(bundle.statement))
    if often(r, 0.3):
        statement |= {"sequence": r.choice((1, 141, 142, 143, 2**53 - 1)), "channel": r.choice((CHANNEL, "beta"))}
    body = mutate_json(r, statement, 1) if often(r, 0.5) else dump(statement)
    envelope = enveloped(SEAL_TYPE, body, signed(SEAL_TYPE, body, pick_keys(r)))
    start = 12 + int.from_bytes(bundle.seal[8:12], "big")
    return sealed(dump(envelope), bundle.seal[start : start + 32 * -(-len(bundle.payload) // 524288)])


def _draw(r: Random) -> Case:
    published = often(r, 0.6)
    bundle = bundles()[3] if often(r, 0.003) else bundles()[r.choice((0, 0, 1, 2))]
    seal, payload = _altered_seal(r, bundle), bundle.payload
    upload = f"/v1/uploads/{hashlib.sha256(seal).hexdigest()}"
    if often(r, 0.15):
        payload = mutate_bytes(r, payload)
    name, index, stored = bundle.beside or ("x", bytes(32), b"x")
    steps: list[tuple[str, str, bytes]] = [("POST", "/v1/uploads", seal), ("PUT", f"{upload}/payload", payload)]
    if bundle.beside is not None:
        place = f"{upload}/attachments/{name}"
        index = mutate_bytes(r, index) if often(r, 0.15) else index
        steps += [("PUT", f"{place}/index", index), ("PUT", place, stored)]
    steps.append(("POST", upload, b""))
    if often(r, 0.2):
        steps = steps[: r.randrange(1, len(steps))]
    if often(r, 0.4):
        paths = ["/", "/healthz", "/metrics", "/v1/apps", f"/v1/apps/{APP}/channels/{CHANNEL}/latest", RELEASES, upload]
        subs = ("", "/seal", "/payload", "/payload", "/attachments/a.delta", "/attachments/a.delta/index")
        paths += [f"{RELEASES}/142{sub}" for sub in subs]
        others = [("GET", path, b"") for path in paths]
        others += [
            ("DELETE", f"{RELEASES}/142", b""),
            ("DELETE", upload, b""),
            ("PUT", f"{upload}/attachments/x", payload),
        ]
        others += [("POST", "/v1/capgo/updates", _update(r)), ("PUT", f"{upload}/attachments/x/index", index)]
        steps = (steps if often(r, 0.4) else []) + r.sample(others, r.randrange(1, 3))
    odd = r.randrange(len(steps)) if often(r, 0.6) else -1
    asked = [_asked(r, *step, size=len(payload), odd=i == odd) for i, step in enumerate(steps)]
    return Case(published, often(r, 0.7), tuple(asked))


def _update(r: Random) -> bytes:
    value = {
        "app_id": APP, "device_id": "x", "platform": "ios", "version_name": "1.0.0", "version_build": "1.0.0",
        "plugin_version": "7.1.2",
    }  # fmt: skip
    return mutate_json(r, value) if often(r, 0.7) else json.dumps(value).encode()


def _asked(r: Random, method: str, path: str, body: bytes, *, size: int, odd: bool) -> Request:
    if odd and often(r, 0.15):
        method = r.choice(("GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "OPTIONS", "X" * 300, "get"))
    if odd and often(r, 0.3):
        parts = path.split("/")
        at = r.randrange(1, len(parts))
        parts[at] = mutate_text(r, parts[at]) if often(r, 0.7) else r.choice(("..", "%2e%2e", "", "é", "142", "9" * 30))
        path = "/".join(parts)
    headers: list[tuple[bytes, bytes]] = [(b"host", b"a.test"), (b"authorization", f"Bearer {TOKEN}".encode())]
    if odd and often(r, 0.1):
        headers[1] = (b"authorization", r.choice((b"", b"Bearer", b"Bearer \xff\xfe", b"Basic " + TOKEN.encode())))
    if odd and often(r, 0.05):
        headers[0] = (b"host", r.choice((b"", b"\xff", b"a:99999999", b"a.test/../x", b"[::1", b"a\0b")))
    if method == "PUT" and path.endswith("payload") and (odd or often(r, 0.2)):
        headers.append((b"content-range", _content_range(r, size, odd=odd)))
    if method == "GET" and path.endswith("payload") and often(r, 0.8):
        headers.append((b"range", _range(r, size)))
        if often(r, 0.2):
            headers.append((b"if-range", r.choice((b'"x"', b"Sun, 22 Nov 2026 21:30:00 GMT", b'W/"x"'))))
    if odd and often(r, 0.2):
        name = r.choice(
            (b"content-length", b"content-encoding", b"if-none-match", b"if-match", b"accept", b"range", b"x")
        )
        headers.append((name, r.choice((b"0", b"-1", b"*", b'"x"', b"gzip", b"9" * 40, b"\xff", b"bytes=0-"))))
    length = len(body) if not odd or often(r, 0.7) else max(0, len(body) + r.choice((-1, 1, 4096)))
    if body or often(r, 0.3):
        headers.append(
            (b"content-length", str(length).encode()) if often(r, 0.8) else (b"transfer-encoding", b"chunked")
        )
    step = r.choice((1 << 20, 4096, 1000)) if len(body) > 100 else 1 << 20
    pieces = tuple(body[i : i + step] for i in range(0, len(body), step)) or (b"",)
    return Request(method, path.encode("utf-8", "surrogatepass"), tuple(headers), pieces, not odd or often(r, 0.95))


def _content_range(r: Random, size: int, *, odd: bool) -> bytes:
    if not odd:
        return f"bytes 0-{size - 1}/{size}".encode()
    start, stop, whole = (r.choice((*NUMBERS, size - 1, size, size + 1)) for _ in range(3))
    return r.choice(
        (f"bytes {start}-{stop}/{whole}", f"bytes {start}-{stop}/*", "bytes */5", "x", "bytes -1-0/0")
    ).encode()


def _range(r: Random, size: int) -> bytes:
    def one() -> str:
        first, last = (r.choice((0, 1, 40, 4096, size - 1, size, *NUMBERS)) for _ in range(2))
        return r.choice((f"{first}-{last}", f"{first}-", f"-{last}", "", "-", "a-b", f"{first}-{first}"))

    count = 1 if often(r, 0.7) else r.choice((2, 3, 16, 17))
    return (r.choice(("bytes=", "bytes=", "bytes=", "octets=", "")) + ",".join(one() for _ in range(count))).encode()


def check_server(case: Case) -> None:
    """Ask one thing after the other: no answer is a bug's, and what is refused changes nothing."""
    stored_release(0)
    loop().run_until_complete(_check(case))


async def _check(case: Case) -> None:
    refused = None
    async with new_server(has_token=case.has_token, holding=stored_release(0) if case.published else ()) as server:
        for asked in case.asked:
            before = server.stored()
            answered = await server.ask(asked)
            what = f"{asked.method[:20]} {asked.path[:200]!r} {answered.status} {answered.body[:300]!r}"
            if answered.status >= 500 and not (answered.status == 503 and b"retry-after" in answered.headers):
                raise Disagreement(f"a failure: {what}")
            if answered.status >= 400:
                refused = answered.status
            # A payload that is refused in the middle has left verified parts, which a later one may build on.
            changes = (asked.method in ("POST", "DELETE") and answered.status < 400) or asked.method == "PUT"
            if not changes and server.stored() != before:
                raise Disagreement(f"the storage has changed: {what}")
        await _check_published(server)
    if refused is not None:
        raise OSError(refused, "refused")  # counted as a refusal


async def _check_published(server: Server) -> None:
    """Whatever is published, however it came, the independent reader must accept."""
    for channel in (CHANNEL, "beta"):
        listed = await server.ask(request("GET", f"/v1/apps/{APP}/channels/{channel}/releases"))
        if listed.status == 404:
            continue
        for release in json.loads(listed.body)["releases"]:
            if release["withdrawn"] is not None:
                continue
            parts = []
            for name in ("seal", "payload"):
                answered = await server.ask(request("GET", release["links"][name]))
                if answered.status != 200:
                    raise Disagreement(f"what is published cannot be read: {answered.status} {answered.body[:200]!r}")
                parts.append(answered.body)
            try:
                verify(b"".join(parts), Reader().pems, app=APP, channel=channel, seal_bytes=len(parts[0]))
            except Rejected as error:
                raise Disagreement(f"the independent reader refuses what is published: {error}") from None


def server_target() -> Target:
    """What clients send."""
    return Target(
        name="server",
        oracle="the independent reader accepts what is published; no 500; what is refused changes nothing",
        modules=tuple(one for one in modules("server.*") if not one.endswith(("._run", "._logs", "._http_limits"))),
        make=_draw,
        run=check_server,
        gates={
            "envelope": (Envelope, "parse"),
            "signature": (TrustStore, "check"),
            "index": (SignedIndex, "checked"),
            "segments": (SignedIndex, "check_entries"),
        },
    )
