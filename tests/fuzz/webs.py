"""The JavaScript reader of web/, as the third one: of every case it must say what the two Python readers say."""

import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from math import lcm
from random import Random
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateNumbers
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

import capseal
from capseal import CapsealError
from capseal.trust.certificates import Chain
from support.independent_reader import read_statement
from support.places import VECTORS
from support.web_reader import told_by, told_in, web_reader
from vectors.making import dump, to_base64

from . import bundles, companions, trusting
from .corpus import SEAL_TYPE, Case, Reader, enveloped, sealed, signed, starts
from .keys import fast_key
from .running import Disagreement, Target

_PIECES = (None, None, 61, 5000)
"""Bytes of the pieces in which the same bundle comes, by turns; None is all at once."""


@cache
def _private_pem(name: str, of_vectors: bool) -> str:
    """Return a key as PKCS#8: of a fast one, two halves of its primes stand for the two that the format knows."""
    if of_vectors:
        return (VECTORS / "keys" / f"{name}.pem").read_text()
    key = fast_key(name)
    halves = [1, 1]
    exponents = [1, 1]
    for turn, (prime, _, _) in enumerate(key.parts):
        halves[turn % 2] *= prime
        exponents[turn % 2] = lcm(exponents[turn % 2], prime - 1)
    public = key.public_key.rsa.public_numbers()
    (p, q), (dmp1, dmq1) = halves, [pow(public.e, -1, exponent) for exponent in exponents]
    d = pow(public.e, -1, lcm(*exponents))
    numbers = RSAPrivateNumbers(p=p, q=q, d=d, dmp1=dmp1, dmq1=dmq1, iqmp=pow(q, -1, p), public_numbers=public)
    private = numbers.private_key(unsafe_skip_rsa_key_validation=True)
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _trust(reader: Reader) -> dict[str, Any]:
    keys = [{"role": role, "public_key": pem.decode()} for role, pem in reader.pems]
    return {"type": "capseal-trust-v1", "threshold": reader.threshold, "keys": keys}


def _expect(reader: Reader) -> dict[str, Any]:
    names = ("app", "channel", "floor", "role", "native", "platform")
    return {name: getattr(reader, name) for name in names if getattr(reader, name) is not None}


def compared(check: Callable[[Any], Any], case: Any, ask: Callable[[], dict[str, Any]], *, exactly: bool = True) -> Any:
    """Return what the Python readers and the third one accept, or raise what they refuse it with.

    exactly: the third one must refuse with the same class and, where it says so, at the same place.
    """
    refused: CapsealError | None = None
    accepted = None
    try:
        accepted = check(case)
    except CapsealError as error:
        refused = error
    answer = ask()
    if refused is None:
        if "error" in answer:
            raise Disagreement(f"only the Python readers accept: {answer['error']}")
        return accepted, answer["ok"]
    if "ok" in answer:
        raise Disagreement(f"only the JavaScript reader accepts: {refused!r}")
    if not answer["error"]["ours"]:
        raise Disagreement(f"the JavaScript reader fails: {answer['error']['message']}")
    if exactly and told_in(answer) != told_by(refused):
        raise Disagreement(f"the JavaScript reader refuses otherwise: {told_in(answer)}, not {told_by(refused)}")
    raise refused


def _shown(content: bytes) -> str:
    return f"{len(content)} {hashlib.sha256(content).hexdigest()}"


def check_web_bundle(case: Case) -> None:
    """Judge a bundle by all three readers."""
    cut = case.seal_bytes or 0
    sealed_as = case.bundle[cut:]
    pieces = _PIECES[len(case.bundle) % len(_PIECES)]

    def ask() -> dict[str, Any]:
        return web_reader().ask(
            "bundle",
            bundle=sealed_as,
            seal=None if case.seal_bytes is None else case.bundle[:cut],
            trust=_trust(case.reader),
            expect=_expect(case.reader),
            identity=_private_pem(case.identity, case.reader.vectors),
            pieces=pieces,
        )

    # A stream has no size beforehand: of two defects another one may come first.
    content, theirs = compared(bundles.check_bundle, case, ask, exactly=pieces is None)
    if theirs["content"] != _shown(content):
        raise Disagreement("the JavaScript reader reads another content")


def check_web_statement(data: bytes) -> None:
    """Judge a statement by all three readers."""
    _, theirs = compared(bundles.check_statement, data, lambda: web_reader().ask("statement", statement=data))
    if theirs != read_statement(data)[0]:
        raise Disagreement("the JavaScript reader reads another statement")


def check_web_companion(case: companions.CompanionCase) -> None:
    """Judge a companion by all three readers."""
    bundle, name, index, stored = case
    trust, identity = _trust(Reader()), _private_pem("recipient", False)

    def ask() -> dict[str, Any]:
        return web_reader().ask(
            "companion", bundle=bundle, trust=trust, identity=identity, name=name, index=index, stored=stored
        )

    content, theirs = compared(companions.check_companion, case, ask)
    if theirs["content"] != _shown(content):
        raise Disagreement("the JavaScript reader reads another content")


def _draw_certified(r: Random) -> bytes:
    """Draw a good bundle whose signature carries certificates that are, mostly, odd."""
    start = next(one for one in starts() if one.seal_bytes is None and one.beside is None)
    body = dump(json.loads(start.statement))
    [signature] = signed(SEAL_TYPE, body, ("signer",))
    x5c = [to_base64(der) for der in trusting.draw_chain(r)]
    return sealed(dump(enveloped(SEAL_TYPE, body, [signature | {"x5c": x5c}])), start.index) + start.payload


def check_web_certified(bundle: bytes) -> None:
    """Judge certificates that must prove themselves, by capseal and the JavaScript reader.

    The latter does not read what names and extensions hold, since it trusts nobody for their sake.
    """
    reader = Reader()
    answer = web_reader().ask("bundle", bundle=bundle, trust=_trust(reader))
    try:
        capseal.verify(io.BytesIO(bundle), trust=reader.store, jobs=1)
    except CapsealError as error:
        if "ok" in answer and "certificate cannot be parsed" not in str(error):
            raise Disagreement(f"only the JavaScript reader accepts: {error!r}") from None
        if "error" in answer and told_in(answer) != told_by(error):
            raise Disagreement(f"the JavaScript reader refuses otherwise: {answer['error']}") from None
        raise
    if "error" in answer:
        raise Disagreement(f"only capseal accepts: {answer['error']}")


def web_x5c_target() -> Target:
    """The certificates that a signature carries, where its key is trusted by itself."""

    target = Target(
        name="x5c",
        oracle="the JavaScript reader: the same verdict, but for what names and extensions hold",
        modules=bundles.modules("trust.certificates"),
        make=_draw_certified,
        run=check_web_certified,
        gates={"chain": (Chain, "parse")},
    )
    return beside_web(target.name, target, target.run, target.oracle)


def web_target(what: str) -> Target:
    """One of the targets of the Python readers, with the JavaScript reader beside them."""
    target, run = {
        "seal": (bundles.seal_target(detached=False), check_web_bundle),
        "seal detached": (bundles.seal_target(detached=True), check_web_bundle),
        "statement": (bundles.statement_target(), check_web_statement),
        "companion": (companions.companion_target(), check_web_companion),
    }[what]
    oracle = "the independent reader and the JavaScript reader: the same verdict, error class and plaintext"
    return beside_web(what, target, run, oracle)


def beside_web(what: str, target: Target, run: Callable[[Any], object], oracle: str) -> Target:
    """Return a target with the JavaScript reader beside it, which `run` asks."""

    def make(r: Random) -> Any:
        web_reader()  # started with the first case, before there is a limit to memory that node would inherit
        return target.make(r)

    return replace(target, name=f"web {what}", oracle=oracle, make=make, run=run)
