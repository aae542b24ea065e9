"""Who may do what: bearer tokens with names, rights and apps, known to the server by their SHA-256 only."""

import hashlib
import hmac
import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from ..errors import FormatError, KeyFileError
from ..format.strictjson import check_fingerprint, check_name
from ..format.text_encoding import as_utf8
from ..http.token import MIN_TOKEN_CHARS

_MAX_FILE_BYTES = 1024 * 1024


class Right(StrEnum):
    """What a token may be for."""

    PUBLISH = "publish"
    WITHDRAW = "withdraw"
    METRICS = "metrics"

    @property
    def phrase(self) -> str:
        """What one may do with it."""
        return "read metrics" if self is Right.METRICS else self.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token. digest: its SHA-256, which is enough: a token is too long to be guessed; apps: None is all of them."""

    name: str
    digest: bytes = field(repr=False)
    rights: frozenset[Right]
    apps: frozenset[str] | None = None

    def may(self, right: Right, app: str | None) -> bool:
        """Tell whether it has a right over an app, or, where that is not known yet, over any."""
        return right in self.rights and (app is None or self.apps is None or app in self.apps)


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of a server, and what it lets be done without one."""

    known: tuple[Token, ...] = ()
    unguarded: frozenset[Right] = frozenset((Right.PUBLISH, Right.METRICS))

    @classmethod
    def single(cls, token: str | None) -> "Tokens":
        """Return one token for publishing and withdrawing anything, or none. Metrics are open then."""
        if token is None:
            return NO_TOKENS
        rights = frozenset((Right.PUBLISH, Right.WITHDRAW))
        return cls((Token(name="token", digest=_digest(token), rights=rights),), frozenset((Right.METRICS,)))

    @classmethod
    def named(cls, tokens: Sequence[Token]) -> "Tokens":
        """Return tokens without which nothing may be done but to read. Raises KeyFileError where two are the same."""
        seen: dict[bytes, str] = {}
        for one in tokens:
            if one.digest in seen:
                raise KeyFileError(f"tokens {seen[one.digest]} and {one.name} are the same")
            seen[one.digest] = one.name
        return cls(tuple(tokens), frozenset())

    def and_named(self, tokens: Sequence[Token]) -> "Tokens":
        """Return these and named ones. Raises KeyFileError."""
        return Tokens.named((*self.known, *tokens))

    def find(self, shown: bytes) -> Token | None:
        """Return the token that was shown, in a time that says nothing of those that were not."""
        digest = hashlib.sha256(shown).digest()
        found = None
        for one in self.known:
            if hmac.compare_digest(one.digest, digest):
                found = one
        return found


NO_TOKENS: Final = Tokens()


def load_tokens(path: str | os.PathLike[str], *, variables: Mapping[str, str]) -> list[Token]:
    """Return the named tokens that a file declares (docs/server.md, Tokens).

    variables: the environment, where tokens may be that the file names. Raises KeyFileError, OSError.
    """
    with open(path, "rb") as file:
        data = file.read(_MAX_FILE_BYTES + 1)
    if len(data) > _MAX_FILE_BYTES:
        raise KeyFileError(f"{os.fspath(path)}: more than {_MAX_FILE_BYTES} bytes are no file of tokens")
    return parse_tokens(data, where=os.fspath(path), variables=variables)


def parse_tokens(data: bytes, *, where: str, variables: Mapping[str, str]) -> list[Token]:
    """Return the named tokens that TOML declares: a table of each. Raises KeyFileError."""
    try:
        tables = tomllib.loads(as_utf8(data).decode())
    except (ValueError, RecursionError) as error:
        raise KeyFileError(f"{where}: {error}") from None
    if not tables:
        raise KeyFileError(f"{where}: no token is declared")
    return [_parsed(name, table, f"{where}: [{name}]", variables) for name, table in tables.items()]


def _parsed(name: str, table: Any, place: str, variables: Mapping[str, str]) -> Token:
    known = ("sha256", "variable", "rights", "apps")
    if not isinstance(table, dict):
        raise KeyFileError(f"{place}: expected a table")
    for member in table:
        if member not in known:
            raise KeyFileError(f"{place}: {member!r} is unknown, expected one of {', '.join(known)}")
    if ("sha256" in table) == ("variable" in table):
        raise KeyFileError(f"{place}: expected one of sha256 and variable")
    try:
        check_name(name, "name of a token")
        apps = None if "apps" not in table else frozenset(check_name(one, "app") for one in _texts(table, "apps"))
        digest = _given_digest(table, variables)
        rights = _texts(table, "rights")
    except FormatError as error:
        raise KeyFileError(f"{place}: {error}") from None
    for one in rights:
        if one not in list(Right):
            raise KeyFileError(f"{place}: rights: {one!r} is unknown, expected some of {', '.join(Right)}")
    if not rights or apps == frozenset():
        raise KeyFileError(f"{place}: a token without a right or an app is for nothing")
    return Token(name=name, digest=digest, rights=frozenset(map(Right, rights)), apps=apps)


def _given_digest(table: Mapping[str, Any], variables: Mapping[str, str]) -> bytes:
    """Return a token's SHA-256, as it is declared or from the variable that holds the token. Raises FormatError."""
    if "sha256" in table:
        text = table["sha256"]
        if not isinstance(text, str):
            raise FormatError(f"sha256: expected a string, found {text!r}")
        return bytes.fromhex(check_fingerprint(text, "sha256"))
    token = variables.get(str(table["variable"]), "").strip()
    if len(token) < MIN_TOKEN_CHARS:
        raise FormatError(f"variable {table['variable']}: holds no token of at least {MIN_TOKEN_CHARS} characters")
    return _digest(token)


def _texts(table: Mapping[str, Any], name: str) -> list[str]:
    values = table.get(name)
    if not isinstance(values, list) or not all(isinstance(one, str) for one in values):
        raise FormatError(f"{name}: expected a list of strings, found {values!r}")
    return values


def _digest(token: str) -> bytes:
    return hashlib.sha256(os.fsencode(token)).digest()
