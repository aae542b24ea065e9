"""The settings of `capseal serve`: one table, which options, variables, the file and the documentation come from.

A setting NAME is the option `--NAME`, the variable CAPSEAL_SERVE_NAME and the member NAME of the table [server] in the
file of --config; the first of them that says something counts.
"""

import os
from collections.abc import Collection, Mapping
from typing import Any

from ...errors import UsageError
from ..framework import options
from ..framework.arguments import Choice, Declaration, Number, at_least, between, flag, option, together

_VARIABLE = "CAPSEAL_SERVE_"
_TABLE = "server"
CONFIG_VARIABLE = _VARIABLE + "CONFIG"
TOKENS_VARIABLE = _VARIABLE + "TOKENS_TOML"
"""Holds what the file of --tokens would."""
_FURTHER_NAMES = {"bundle_bytes": ("--max-bundle",)}
_UNITS = {"bytes": "BYTES", "s": "SECONDS"}

_MOST_CONFIG_BYTES = 1024 * 1024


class LogStyle(Choice):
    """As in the library, named here so that --help need not import it."""

    AUTO = "auto"
    JSON = "json"
    TEXT = "text"


def table() -> dict[str, Declaration]:
    """Return every setting with its default."""
    own = {
        "trust": _setting("trust", None, "FILE", "Who may vouch: a trust store, or a PEM file of public keys."),
        "host": _setting("host", "127.0.0.1", "ADDRESS", "Where to listen."),
        "port": _setting("port", 8417, "N", "Where to listen.", type=between(0, 65535)),
        "workers": _setting("workers", 1, "N", "Processes that serve together.", type=between(1, 256)),
        "verify_reads": _switch("verify_reads", "Check every segment on its way out, too."),
        "token_file": _setting("token_file", None, "FILE", "The bearer token of publishers, one line."),
        "tokens": _setting("tokens", None, "FILE", "Named tokens with rights, in TOML."),
        "tls_certificate": _setting("tls_certificate", None, "FILE", "PEM; with --tls-key, speak TLS only."),
        "tls_key": _setting("tls_key", None, "FILE", "PEM."),
        "role": _setting(
            "role", options.RoleName.PRODUCTION, "", "What bundles have to be meant for.", type=options.RoleName
        ),
        "cors_origin": _setting(
            "cors_origin",
            None,
            "URL",
            "Let pages of this origin only read what is public; repeatable.",
            repeatable=True,
        ),
        "trusted_proxy": _setting(
            "trusted_proxy",
            None,
            "NETWORK",
            "Believe the X-Forwarded headers of proxies in this network; repeatable.",
            repeatable=True,
        ),
        "behind_proxy": _switch(
            "behind_proxy", "All clients have a proxy's address: the proxy limits what each may take."
        ),
        "log_format": _setting(
            "log_format",
            LogStyle.AUTO,
            "",
            "Lines for people, or JSON; auto: by whether it is a terminal.",
            type=LogStyle,
        ),
        "capgo": _switch("capgo", "Answer Capgo's plugin, too, at /v1/capgo/updates."),
        "default_channel": _setting(
            "default_channel", None, "NAME", "For Capgo plugins that name none; default: capseal.toml's, or production."
        ),
        "public_url": _setting(
            "public_url", None, "URL", "Where Capgo plugins reach this server; default: as they asked."
        ),
        "capgo_channels": _setting(
            "capgo_channels", None, "FILE", "Let devices with Capgo's plugin choose channels, as this TOML says."
        ),
        "capgo_statistics": _setting(
            "capgo_statistics", None, "FILE", "Count what Capgo plugins report, in this SQLite file; default: nothing."
        ),
        "capgo_statistics_days": _setting(
            "capgo_statistics_days", 90, "DAYS", "For how long counts are kept.", type=at_least(1)
        ),
        **retention_table(),
    }
    return {**own, **_limits()}


def retention_table() -> dict[str, Declaration]:
    """Return what says which releases stay, by default all."""
    return {
        "keep": _setting(
            "keep",
            None,
            "N",
            "Keep the newest N releases of each app and channel, and let go of others; the latest always stays.",
            type=at_least(1),
        ),
        "keep_days": _setting(
            "keep_days",
            None,
            "DAYS",
            "Keep what was published within so many days; with keep, what either of them keeps.",
            type=at_least(1),
        ),
    }


def _limits() -> dict[str, Declaration]:
    import dataclasses

    from ...server import Limits

    found = {}
    for field in dataclasses.fields(Limits):
        unit = _UNITS.get(field.name.rpartition("_")[2], "N")
        least = field.metadata["least"]
        found[field.name] = _setting(
            field.name,
            field.default,
            unit,
            field.metadata["meaning"],
            type=at_least(float(least) if unit == "SECONDS" else least),
        )
    return found


def _setting(name: str, default: Any, metavar: str, help: str, **keywords: Any) -> Declaration:
    names = (_option(name), *_FURTHER_NAMES.get(name, ()))
    return option(*names, metavar=metavar, help=help, env=variable(name), **keywords)._replace(default=default)


def _switch(name: str, help: str) -> Declaration:
    opposite = _option(f"no_{name}")
    return flag(_option(name), help=help, opposite=opposite)._replace(env=variable(name))


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def variable(name: str) -> str:
    """Return the environment variable of a setting."""
    return _VARIABLE + name.upper()


@together
class Settings:
    """What the command line and the environment say."""

    table = staticmethod(table)

    def __init__(self, **given: Any) -> None:
        self._given = given

    def over(self, config: str | None) -> dict[str, Any]:
        """Return every setting: as given, or as the file says, or its default. Raises UsageError, OSError."""
        settings = table()
        _check_variables({CONFIG_VARIABLE, TOKENS_VARIABLE, *map(variable, settings)})
        said = {} if config is None else _loaded(config, settings)
        return {**{name: one.default for name, one in settings.items()}, **said, **self._given}


def _check_variables(known: Collection[str]) -> None:
    """Refuse a variable that sets nothing: misspelt, it could leave a server open that was meant to ask for a token."""
    for name in os.environ:
        if name.startswith(_VARIABLE) and name not in known:
            import difflib

            (nearest,) = difflib.get_close_matches(name, known, 1, cutoff=0)
            raise UsageError(f"{name} is set, but is no setting of serve; the nearest is {nearest}")


def _loaded(path: str, settings: Mapping[str, Declaration]) -> dict[str, Any]:
    import tomllib

    with open(path, "rb") as file:
        data = file.read(_MOST_CONFIG_BYTES + 1)
    try:
        if len(data) > _MOST_CONFIG_BYTES:
            raise ValueError(f"more than {_MOST_CONFIG_BYTES} bytes")
        tables = tomllib.loads(data.decode())
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}: {error}") from None
    for name in tables:
        if name != _TABLE:
            raise UsageError(f"{path}: {name!r} is unknown, expected the table [{_TABLE}]")
    said = tables.get(_TABLE, {})
    if not isinstance(said, dict):
        raise UsageError(f"{path}: {_TABLE}: expected a table")
    found = {}
    for name, value in said.items():
        if name not in settings:
            raise UsageError(f"{path}: [{_TABLE}] {name!r} is unknown, expected some of {', '.join(settings)}")
        found[name] = _read(settings[name], value, f"{path}: [{_TABLE}] {name}", os.path.dirname(path))
    return found


def _read(setting: Declaration, value: Any, place: str, folder: str) -> Any:
    """Return a value as the command line would have given it; files are relative to the folder."""
    if not setting.metavar:
        if type(value) is not bool:
            raise UsageError(f"{place}: expected true or false, found {value!r}")
        return value
    if setting.repeatable:
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise UsageError(f"{place}: expected a list of strings, found {value!r}")
        return value
    wanted: tuple[type, ...] = (int, float) if isinstance(setting.type, Number) else (str,)
    if type(value) not in wanted or value == "":
        raise UsageError(f"{place}: expected a {'number' if int in wanted else 'string'}, found {value!r}")
    try:
        read = setting.type(str(value))
    except ValueError as error:
        raise UsageError(f"{place}: {error}") from None
    return os.path.join(folder, read) if setting.metavar == "FILE" else read
