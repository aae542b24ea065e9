"""Command lines: what is declared is what --help tells and what is taken, and every mistake is told in one line."""

import functools
import inspect
import math
import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints
from unittest.mock import patch

import pytest

import capseal
from capseal import TrustStore, UsageError
from capseal.cli import _app as app
from capseal.cli._examples import HEADINGS
from capseal.cli.commands.device import Device
from capseal.cli.framework import arguments, parsing
from capseal.cli.framework.arguments import REQUIRED, Choice, Command, Declaration, Group, Guide, Number, declared
from capseal.cli.framework.exit_codes import EXIT_CODES
from capseal.cli.framework.options import Demands, RoleName
from capseal.cli.framework.passphrases import Passphrases
from support.command import Desk, run

Words = tuple[str, ...]


def tree(node: Command | Group, path: Words = ()) -> Iterator[tuple[Words, Command | Group]]:
    """Give every group and command with the words that name it."""
    yield path, node
    if isinstance(node, Group):
        for name, inner in node.commands.items():
            yield from tree(inner, (*path, name))


NODES = dict(tree(app.CAPSEAL))
GROUPS = {path: node for path, node in NODES.items() if isinstance(node, Group)}
COMMANDS = {path: node for path, node in NODES.items() if not isinstance(node, Group)}
# Every function that takes something from the command line.
TAKERS = COMMANDS | {path: group.options for path, group in GROUPS.items() if group.options is not None}

every_node = pytest.mark.parametrize("path", NODES, ids=" ".join)
every_group = pytest.mark.parametrize("path", GROUPS, ids=" ".join)
every_taker = pytest.mark.parametrize("path", TAKERS, ids=" ".join)


def options_of(node: Command | Group) -> dict[str, Declaration]:
    taker = node.options if isinstance(node, Group) else node
    return {} if taker is None else {name: one for name, one in declared(taker).items() if one.names}


def names_of(option: Declaration) -> list[str]:
    return [*option.names, *([option.opposite] if option.opposite else [])]


def a_value_for(declaration: Declaration) -> str:
    if isinstance(declaration.type, Number):
        return str(declaration.type.least)
    if declaration.writes:
        return declaration.names[-1].strip("-")  # each another file
    return next(iter(declaration.type)) if isinstance(declaration.type, type(Choice)) else "text"


def parameters_of(taker: Callable[..., Any]) -> Iterator[inspect.Parameter]:
    """Give every parameter that is declared, those of the classes that stand for several among them."""
    for parameter in inspect.signature(taker).parameters.values():
        if hasattr(parameter.annotation, "table"):
            continue  # its values are read by name
        if parameter.annotation in arguments._TOGETHER:
            yield from parameters_of(parameter.annotation)
        elif parameter.annotation not in (Device, Guide):  # which are handed on
            yield parameter


def enough_for(taker: Command) -> tuple[list[str], list[str]]:
    """The options and the arguments without which a command is not called."""
    needed = [declaration for declaration in declared(taker).values() if declaration.default is REQUIRED]
    return (
        [word for one in needed if one.names for word in (one.names[-1], a_value_for(one))],
        [a_value_for(one) for one in needed if not one.names],
    )


def taken(taker: Command, *words: str) -> dict[str, Any]:
    """Return what the words say, by the names of the declared parameters."""
    calls = []

    @functools.wraps(taker)
    def instead(*_: object, **values: object) -> None:
        calls.append(values)

    with patch.object(parsing, "gathered", lambda _, values: values):
        parsing.run("capseal x", instead, words)
    (values,) = calls
    return values


def refused(taker: Command, *words: str) -> str:
    with pytest.raises(UsageError) as caught:
        taken(taker, *words)
    return str(caught.value)


def test_every_topic_has_the_commands_that_are_listed_for_it():
    for topic in dict.fromkeys(app._TOPIC_OF.values()):
        module = sys.modules[f"capseal.cli.commands.{topic}"]
        assert list(module.COMMANDS) == [name for name, its in app._TOPIC_OF.items() if its == topic]


@every_taker
def test_what_is_declared_gives_what_the_function_expects(path):
    for parameter in parameters_of(TAKERS[path]):
        declaration = declared(TAKERS[path])[parameter.name]
        kinds = set(get_args(parameter.annotation.__origin__) or [parameter.annotation.__origin__])
        if get_origin(parameter.annotation.__origin__) is list:
            kinds = {parameter.annotation.__origin__}
        optional = types.NoneType in kinds
        (kind,) = kinds - {types.NoneType}
        assert optional == (declaration.default is None)
        assert declaration.repeatable == (kind == list[str])
        assert (kind is bool) == (not declaration.metavar)
        if isinstance(declaration.type, Number):
            assert kind is type(declaration.type.least)
        elif kind not in (bool, list[str]):
            made = declaration.type
            assert kind is (made if isinstance(made, type) else get_type_hints(made)["return"])


@every_taker
def test_at_most_the_last_argument_is_repeatable(path):
    arguments = [declaration for declaration in declared(TAKERS[path]).values() if not declaration.names]
    assert not any(argument.repeatable for argument in arguments[:-1])
    assert path in COMMANDS or not arguments  # in front of a command there are only options


@pytest.mark.parametrize("columns", [80, 100])
@every_node
def test_help_names_every_option_and_fits_the_terminal(path, columns, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    node = NODES[path]
    shown = run(*path, "--help", cwd=tmp_path).succeeded().out.decode()
    assert shown == run(*path, "-h", cwd=tmp_path).succeeded().out.decode()
    assert shown.startswith(f"usage: {' '.join(['capseal', *path])} [OPTIONS]")
    assert max(map(len, shown.splitlines())) <= columns

    def told(text: str) -> bool:
        return "".join(text.split()) in "".join(shown.split())

    assert told(node.help if isinstance(node, Group) else node.__doc__)
    for option in options_of(node).values():
        assert f"\n  {', '.join(names_of(option))} {option.metavar}".rstrip() in shown
        assert told(option.help)
        assert option.env is None or told(f"env: {option.env}]")
        assert not isinstance(option.type, Number) or told(f"[{option.type}")
        if option.default is REQUIRED:
            assert f" {option.names[0]} {option.metavar}" in shown.splitlines()[0]
        elif option.default is not None and option.metavar:
            assert told(f"default: {option.default}{']' if option.env is None else ';'}")
    for argument in declared(node).values() if path in COMMANDS else ():
        assert argument.names or f"\n  {argument.metavar} " in shown
        assert told(argument.help)


@every_group
def test_help_of_a_group_lists_its_commands_in_order(path, tmp_path):
    shown = run(*path, "--help", cwd=tmp_path).out.decode()
    first = "commands" if path else next(iter(HEADINGS))
    listed = shown.partition("\n\nexamples:\n")[0].partition(f"\n{first}:\n")[2].splitlines()
    commands = list(GROUPS[path].commands) if path else [name for names in HEADINGS.values() for name in names]
    assert [line.split()[0] for line in listed if line[:2] == "  " and line[2:3].strip()] == commands


@every_group
def test_a_group_alone_shows_its_help_and_is_no_command(path, tmp_path):
    alone, helped = run(*path, cwd=tmp_path), run(*path, "--help", cwd=tmp_path)
    assert (alone.code, alone.err, alone.out) == (2, "", helped.out)


def test_the_help_of_a_command_does_not_ask_for_what_stands_in_front_of_it(tmp_path):
    assert b"BUNDLE" in run("device", "install", "--help", cwd=tmp_path).succeeded().out
    run("device", "install", "x", cwd=tmp_path).failed_with(2, "missing option '--root' (see capseal device --help)")


def test_the_top_help_ends_with_the_exit_codes(tmp_path):
    told = " ".join(run("--help", cwd=tmp_path).out.decode().partition("\n\nExit codes: ")[2].split())
    assert told.startswith(EXIT_CODES) and "143" in EXIT_CODES


@every_taker
def test_every_option_may_stand_before_between_and_after_the_arguments(path):
    taker = TAKERS[path]
    options, arguments = enough_for(taker)
    for name, option in options_of(taker).items():
        for spelled in names_of(option):
            words = [spelled, a_value_for(option)] if option.metavar else [spelled]
            places = [
                taken(taker, *options, *arguments[:place], *words, *arguments[place:])
                for place in range(len(arguments) + 1)
            ]
            assert all(values == places[0] for values in places)
            wanted = option.type(words[1]) if option.metavar else spelled != option.opposite
            assert places[0][name] == ([wanted] if option.repeatable else wanted)


REPEATABLE = {
    path: argument
    for path, command in COMMANDS.items()
    for argument in declared(command).values()
    if argument.repeatable and not argument.names
}


@pytest.mark.parametrize("path", REPEATABLE, ids=" ".join)
def test_options_may_stand_between_the_values_of_a_repeatable_argument(path):
    command = COMMANDS[path]
    options, _ = enough_for(command)
    for option in options_of(command).values():
        words = [option.names[-1], a_value_for(option)] if option.metavar else [option.names[-1]]
        values = taken(command, *options, "a", *words, "b", "-", "c")
        (several,) = [values[name] for name, argument in declared(command).items() if not argument.names]
        assert several == ["a", "b", "-", "c"]
    assert refused(command, *options) == f"missing {REPEATABLE[path]} (see capseal x --help)"


def test_keys_are_trusted_that_stand_before_and_after_an_option(desk: Desk, tmp_path):
    TrustStore.of(capseal.load_public_key(desk.path("signer.pub.pem"))).save(tmp_path / "t")
    added = [desk.path("signer2.pub.pem"), "--trust", "t", desk.path("other.pub.pem")]
    run("trust", "add", *added, cwd=tmp_path).succeeded()
    assert len(capseal.load_trust(tmp_path / "t").keys) == 3


@every_taker
def test_values_may_be_joined_to_their_options_and_start_with_a_dash(path):
    taker = TAKERS[path]
    options, arguments = enough_for(taker)
    for name, option in options_of(taker).items():
        if option.type is not str or not option.metavar:
            continue
        for words in ([f"{option.names[-1]}=-x=y"], *([f"{short}-x=y"] for short in option.names[:-1])):
            assert taken(taker, *options, *arguments, *words)[name] in ("-x=y", ["-x=y"])
        empty = refused(taker, *options, *arguments, f"{option.names[-1]}=")
        assert empty.startswith(f"invalid value for option '{option.names[-1]}': it is empty (")
        for missing in ([option.names[-1]], [option.names[-1], "-x"], [option.names[-1], "--"]):
            assert refused(taker, *arguments, *missing).startswith(f"option '{option.names[-1]}' needs a value (")


@every_taker
def test_flags_take_no_value(path):
    for option in options_of(TAKERS[path]).values():
        if not option.metavar:
            for name in names_of(option)[len(option.names) - 1 :]:
                assert refused(TAKERS[path], f"{name}=x").startswith(f"option '{name}' takes no value (")


@every_taker
def test_abbreviations_are_refused(path):
    known = {name for option in options_of(TAKERS[path]).values() for name in names_of(option)}
    for name in (name for name in known if name.startswith("--")):
        for end in range(3, len(name)):
            if name[:end] not in known:
                assert refused(TAKERS[path], name[:end]).startswith(f"no such option: {name[:end]}")


@every_taker
def test_numbers_outside_their_bounds_are_refused_with_the_option_and_the_bound(path):
    taker = TAKERS[path]
    options, arguments = enough_for(taker)
    for name, option in options_of(taker).items():
        if not isinstance(option.type, Number):
            continue
        least, most = option.type
        long, kind = option.names[-1], type(least)
        for number in (least, least + 1, *([] if math.isinf(most) else [most - 1, most])):
            value = taken(taker, *options, *arguments, long, str(number))[name]
            assert (value, type(value)) == (number, kind)
        for number in (least - 1, *([] if math.isinf(most) else [most + 1])):
            for words in ([long, str(number)], [f"{long}={number}"]):
                expected = f"invalid value for option '{long}': {number} is not {option.type} (see capseal x --help)"
                assert refused(taker, *options, *arguments, *words) == expected
        for text in ("x", "", "0x10", "1,5", "nan"):
            message = refused(taker, *options, *arguments, long, text)
            assert message.startswith(f"invalid value for option '{long}': ")
            assert "whole number" in message or kind is float


@every_taker
def test_choices_are_taken_as_what_they_mean_and_others_are_refused_with_the_list(path):
    taker = TAKERS[path]
    options, arguments = enough_for(taker)
    for name, declaration in declared(taker).items():
        if not isinstance(declaration.type, type(Choice)):
            continue
        before = [declaration.names[-1]] if declaration.names else []
        others = arguments if declaration.names else arguments[1:]
        for choice in declaration.type:
            value = taken(taker, *options, *before, str(choice), *others)[name]
            assert value is choice
        message = refused(taker, *options, *before, "boss", *others)
        assert f"{declaration}: 'boss' is not one of {', '.join(declaration.type)} (see" in message


def test_short_flags_may_be_joined_also_to_an_option_with_its_value():
    command = COMMANDS[("unseal",)]
    assert taken(command, "x", "-fo", "y") == taken(command, "x", "-foy") == taken(command, "-f", "-o", "y", "x")


def test_two_dashes_end_the_options():
    assert taken(COMMANDS[("verify",)], "--trust", "t", "--", "--seal") == {"trust": "t", "bundle": "--seal"}
    assert taken(COMMANDS[("trust", "remove")], "a", "--", "-b", "--") == {"ids": ["a", "-b", "--"]}


def test_the_last_of_several_values_counts_and_repeatable_options_give_all():
    values = taken(COMMANDS[("dev",)], "--app", "a", "--app", "b", "-s", "c", "--signer", "d", "--qr", "--no-qr")
    assert values == {"app": "b", "signer": ["c", "d"], "qr": False}


def test_options_that_belong_together_reach_the_command_as_one():
    calls = []

    def command(
        bundle: Annotated[str, arguments.argument("X", help="")], *, demands: Demands, secret: Passphrases
    ) -> None:
        calls.append((bundle, demands, secret.given))

    parsing.run("capseal x", command, ["--app", "a", "b", "--role", "development", "--passphrase-fd", "3"])
    parsing.run("capseal x", command, ["b"])
    assert calls == [("b", Demands(app="a", role=RoleName.DEVELOPMENT), True), ("b", Demands(), False)]


def test_nothing_is_given_that_was_not_said():
    assert taken(COMMANDS[("doctor",)]) == {}


ENVIRONMENT = {
    "server": ("CAPSEAL_SERVER", "https://a b", "https://a b"),
    "token_file": ("CAPSEAL_TOKEN_FILE", "token", "token"),
    "signer": ("CAPSEAL_SIGNER", " a.pem\tb.pem ", ["a.pem", "b.pem"]),
    "passphrase_file": ("CAPSEAL_PASSPHRASE_FILE", "pass phrase", "pass phrase"),
    "archive": ("CAPSEAL_ARCHIVE", "archive key.pem", "archive key.pem"),
}


def test_these_options_have_a_variable_that_stands_in_for_them():
    takers = {path: taker for path, taker in TAKERS.items() if path != ("serve",)}
    variables = {name: one.env for taker in takers.values() for name, one in declared(taker).items() if one.env}
    assert variables == {name: variable for name, (variable, _, _) in ENVIRONMENT.items()} | {
        "release_signer": "CAPSEAL_SIGNER"  # of `head recall`, whose --signer is a head key
    }
    of_the_server = options_of(COMMANDS[("serve",)])
    assert {name: one.env for name, one in of_the_server.items()} == {
        name: f"CAPSEAL_SERVE_{name.upper()}" for name in of_the_server
    }


@pytest.mark.parametrize("name", ENVIRONMENT)
def test_a_variable_stands_in_for_its_option_unless_that_is_given_and_is_not_empty(name, monkeypatch):
    release = COMMANDS[("release",)]
    variable, text, value = ENVIRONMENT[name]
    for nothing in ("", " "):
        monkeypatch.setenv(variable, nothing)
        assert refused(release, "--version", "1").startswith(f"{variable} is set, but empty: unset it, or set it to ")
    monkeypatch.setenv(variable, text)
    assert taken(release, "--version", "1") == {"version": "1", name: value}
    given = taken(release, "--version", "1", options_of(release)[name].names[-1], "given")
    assert given[name] in ("given", ["given"])


# Command line, and what is said about it.
MISTAKES = {
    "foo": "no such command 'foo' (see capseal --help)",
    "verfy": "no such command 'verfy'; did you mean 'verify'? (see capseal --help)",
    "key generat": "no such command 'generat'; did you mean 'generate'? (see capseal key --help)",
    "capgo convert x": "no such command 'x' (see capseal capgo convert --help)",
    "-": "no such command '-' (see capseal --help)",
    "--": "missing command (see capseal --help)",
    "--foo": "no such option: --foo (see capseal --help)",
    "--foo=secret verify": "no such option: --foo (see capseal --help)",
    "-x": "no such option: -x (see capseal --help)",
    "--version=3": "option '--version' takes no value (see capseal --help)",
    "verify": "missing argument 'BUNDLE' (see capseal verify --help)",
    "verify a b": "unexpected argument 'b' (see capseal verify --help)",
    "verify --foo": "no such option: --foo (see capseal verify --help)",
    "verify --truts x a": "no such option: --truts; did you mean '--trust'? (see capseal verify --help)",
    "seal a b --overwrite": "no such option: --overwrite (see capseal seal --help)",  # as like --version as --a is --b
    "verify a --trust": "option '--trust' needs a value (see capseal verify --help)",
    "verify -- a --trust b": "unexpected argument '--trust' (see capseal verify --help)",
    "seal a": "missing option '--version' (see capseal seal --help)",
    "publish": "missing argument 'BUNDLE' (see capseal publish --help)",
    "publish a": "no server: name its URL, or set CAPSEAL_SERVER, or 'server' in capseal.toml",
    "key generate": "missing argument 'signing|recipient' (see capseal key generate --help)",
    "key generate signing": "missing option '--output' (see capseal key generate --help)",
    "trust add --trust t": "missing argument 'FILE|URI...' (see capseal trust add --help)",
    "dev --no-q": "no such option: --no-q; did you mean '--no-qr'? (see capseal dev --help)",
    "device --root R": "missing command (see capseal device --help)",
    "device --root R boot": "missing option '--builtin' (see capseal device --help)",
    "device --root": "option '--root' needs a value (see capseal device --help)",
    "device --root R --builtin B --boots 0 boot": (
        "invalid value for option '--boots': 0 is not at least 1 (see capseal device --help)"
    ),
    "device boot": "missing option '--root' (see capseal device --help)",
    "device boot --root R": "no such option: --root (see capseal device boot --help)",
}


@pytest.mark.parametrize("line", MISTAKES)
def test_a_wrong_command_line_is_told_in_one_line(line, tmp_path):
    result = run(*line.split(), cwd=tmp_path)
    assert (result.code, result.out, result.err) == (2, b"", f"capseal: {MISTAKES[line]}\n")


@pytest.mark.parametrize(
    "line", [["--help", "verify", "--foo"], ["verify", "-j", "0", "-h"], ["seal", "a", "b", "-fh"]]
)
def test_whoever_asks_for_help_is_not_told_of_mistakes(line, tmp_path):
    result = run(*line, cwd=tmp_path)
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith(b"usage: capseal ")


def modules_after(*words: object, cwd: Path) -> set[str]:
    """Return what a process has loaded after a command that succeeded."""
    script = """
import sys
before = set(sys.modules)
from capseal.cli import _app as app
code = app.run(sys.argv[1:])
print("\\n" + " ".join(set(sys.modules) - before))
sys.exit(code)
"""
    command = [sys.executable, "-c", script, *map(str, words)]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def outside(modules: set[str]) -> set[str]:
    return {module.partition(".")[0] for module in modules} - set(sys.stdlib_module_names) - {"capseal"}


@pytest.mark.parametrize("line", ["--version", "--help", "verify --help", "key generate --help"])
def test_help_and_version_load_the_standard_library_and_the_command_line_only(line, tmp_path):
    loaded = modules_after(*line.split(), cwd=tmp_path)
    assert outside(loaded) == set()
    library = {module for module in loaded if module.startswith("capseal.") and not module.startswith("capseal.cli")}
    assert library == {"capseal._version", "capseal.errors"}


def test_the_version_loads_no_topic(tmp_path):
    loaded = {module for module in modules_after("--version", cwd=tmp_path) if module.startswith("capseal.cli.")}
    framework = ("arguments", "console", "exit_codes", "parsing")
    assert loaded == {
        "capseal.cli._app",
        "capseal.cli.framework",
        *(f"capseal.cli.framework.{name}" for name in framework),
    }


def test_verifying_a_small_bundle_loads_nothing_that_it_does_not_need(desk: Desk, tmp_path):
    loaded = modules_after("verify", desk.path("dist.sealed"), *desk.trusting, cwd=tmp_path)
    assert outside(loaded) <= {"cryptography", "_cffi_backend", "_openssl", "bcrypt"}
    assert not loaded & {
        "asyncio", "difflib", "getpass", "logging", "platform", "shutil", "socket", "subprocess", "tempfile",
        "textwrap", "tomllib", "unittest", "zipfile",
        "capseal.cli.framework.passphrases", "capseal.bundle.seal", "capseal.trust.signers",
    }  # fmt: skip


def test_a_command_loads_no_topic_but_its_own(desk: Desk, tmp_path):
    loaded = modules_after("key", "show", desk.path("signer.pub.pem"), cwd=tmp_path)
    topics = {f"capseal.cli.commands.{topic}" for topic in app._TOPIC_OF.values()}
    assert loaded & topics == {"capseal.cli.commands.keys"}
