"""Mutants of the house: small changes of the sources, in memory, each of which a rule must find."""

from house.reading_imports import read_sources

SOURCES = read_sources()


def mutated(path, *, added="", old="", new=""):
    """The sources with one file changed: text added at its end, or a text in it replaced."""
    text = SOURCES.get(path, "")
    if old:
        assert old in text
        text = text.replace(old, new, 1)
    return {**SOURCES, path: f"{text}\n{added}\n"}


def in_function(*lines):
    return "\n    ".join(["def _mutant():", *lines])


USED = "only_allowed_rooms_are_used"
REACHES = "nobody_reaches_for_more_than_the_table_says"
AT_IMPORT = "importing_does_nothing"
PRIVATE = "private_modules_stay_in_their_room"
CIRCLES = "nothing_goes_in_circles"
DOOR = "no_door_hides_a_module"
LOW = "the_house_is_low"
NATIVE = "only_native_imports_the_compiled_module"
READ = "every_import_can_be_read"
TABLE = "the_table_is_of_the_house"
LOOKS = "what_only_its_room_uses_looks_private"

# What is changed, the rule that must find it, and a word of what it says.
MUTANTS = {
    "the device imports the server from its parent": (
        mutated("device/_unpack.py", added="from .. import server"),
        USED,
        "device may not use server",
    ),
    "the statement imports time by from": (
        mutated("format/statement.py", added="from time import time"),
        REACHES,
        "clock by time.time",
    ),
    "the statement imports urandom by from": (
        mutated("format/statement.py", added="from os import urandom"),
        REACHES,
        "randomness by os.urandom",
    ),
    "the statement reads a file at import": (
        mutated("format/statement.py", added="_TEXT = open('/etc/hostname').read()"),
        AT_IMPORT,
        "(disk): open()",
    ),
    "an import upwards inside a function": (
        mutated("trust/store.py", added=in_function("from ..client import fetch", "return fetch")),
        USED,
        "trust may not use client",
    ),
    "an import upwards of a module of a room": (
        mutated("crypto/keys.py", added="from ..bundle import reader"),
        USED,
        "imports bundle/reader.py",
    ),
    "an absolute import upwards": (
        mutated("format/tree.py", added="import capseal.server.limits as l"),
        USED,
        "format may not use server",
    ),
    "an import upwards by a string": (
        mutated("io/source.py", added=in_function("import importlib as i", "i.import_module('capseal.device')")),
        USED,
        "io may not use device",
    ),
    "an import upwards by a relative string": (
        mutated("io/source.py", added="from importlib import import_module as i\n_M = i('..device', __package__)"),
        USED,
        "io may not use device",
    ),
    "an import upwards by __import__": (
        mutated("bundle/seal.py", added=in_function("return __import__('capseal.project.git')")),
        USED,
        "bundle may not use project",
    ),
    "an import upwards for types only": (
        mutated(
            "native/hashing.py", added="import typing as t\nif t.TYPE_CHECKING:\n    from ..trust.store import Role"
        ),
        USED,
        "native may not use trust",
    ),
    "the library imports its own front door": (
        mutated("device/_store.py", added="from .. import unseal"),
        USED,
        "device may not use capseal",
    ),
    "the ground stands on something": (
        mutated("errors.py", added="from .format import strictjson"),
        USED,
        "ground",
    ),
    "storage within the server uses its routes": (
        mutated("server/storage/objects.py", added="from ..routes import status"),
        USED,
        "storage may not use routes",
    ),
    "two files of the demo import each other": (
        mutated("cli/demo/scene.py", added=in_function("from . import bundle")),
        CIRCLES,
        "circle of files: cli/demo/bundle.py, cli/demo/scene.py",
    ),
    "two files import each other for types only": (
        mutated("trust/certificates.py", added="if TYPE_CHECKING:\n    from .store import TrustStore as Store"),
        CIRCLES,
        "circle of files: trust/certificates.py",
    ),
    "two rooms import each other": (
        mutated("io/sink.py", added="from ..client import publish"),
        CIRCLES,
        "circle of rooms",
    ),
    "a private module of another room": (
        mutated("cli/demo/device.py", added="from ...device._disk import Disk"),
        PRIVATE,
        "private to device",
    ),
    "a private module of another room as a name of it": (
        mutated("cli/commands/device.py", added="from ...client import _connection as c"),
        PRIVATE,
        "private to client",
    ),
    "a private module of another room by a string": (
        mutated("cli/commands/device.py", added=in_function("__import__('capseal.client._connection')")),
        PRIVATE,
        "private to client",
    ),
    "a module that nobody outside uses": (
        mutated("bundle/scratch.py", added="LIMIT = 1"),
        LOOKS,
        "has no underscore",
    ),
    "a door whose function hides a module": (
        mutated("bundle/__init__.py", added="from .seal import seal"),
        DOOR,
        "hides the module seal",
    ),
    "a door whose lazy table hides a module": (
        mutated("server/__init__.py", old="_HOMES = {", new='_HOMES = {"_app": ("routes",),'),
        DOOR,
        "hides the module routes",
    ),
    "a door whose own function hides a module": (
        mutated("trust/__init__.py", added="def store(): ..."),
        DOOR,
        "hides the module store",
    ),
    "the compiled module imported elsewhere": (
        mutated("format/tree.py", added=in_function("from .. import _native")),
        NATIVE,
        "only native may",
    ),
    "the compiled module imported elsewhere by a string": (
        mutated("bundle/pipeline.py", added=in_function("import importlib as i", "i.import_module('capseal._native')")),
        NATIVE,
        "only native may",
    ),
    "a sixth file at the root": (
        mutated("helpers.py", added="X = 1"),
        LOW,
        "6 files at the root",
    ),
    "a room without a line in the table": (
        mutated("helpers/__init__.py", added=""),
        TABLE,
        "without a line",
    ),
    "an import by a computed name": (
        mutated("device/_store.py", added=in_function("import importlib as i", "i.import_module(f'capseal.{name}')")),
        READ,
        "computed name",
    ),
    "an import upwards by a keyword": (
        mutated("bundle/seal.py", added=in_function("import importlib as i", "i.import_module(name='capseal.cli')")),
        USED,
        "bundle may not use cli",
    ),
    "the importing function under another name": (
        mutated("bundle/seal.py", added="from importlib import import_module as i\n_LATER = i"),
        READ,
        "computed name",
    ),
    "a module made from its file": (
        mutated("bundle/seal.py", added="from importlib.machinery import SourceFileLoader"),
        REACHES,
        "hidden imports by importlib.machinery",
    ),
    "the clock through a time that is at hand": (
        mutated("format/statement.py", added="def _mutant(time): return type(time).now()"),
        REACHES,
        "clock by .now()",
    ),
    "an import by a module table of the interpreter": (
        mutated("format/seal.py", added="import sys\n_S = sys.modules['capseal.server']"),
        REACHES,
        "hidden imports by sys.modules",
    ),
    "a print in the library": (
        mutated("bundle/verify.py", added=in_function("print('verified')")),
        REACHES,
        "terminal by print",
    ),
    "the standard output in the library": (
        mutated("trust/updates.py", added="from sys import stdout as out"),
        REACHES,
        "terminal by sys.stdout",
    ),
    "the environment by an alias of os": (
        mutated("format/statement.py", added=in_function("import os as o", "return o.environ['HOME']")),
        REACHES,
        "environment by os.environ",
    ),
    "the environment by from": (
        mutated("trust/store.py", added="from os import environ as e"),
        REACHES,
        "environment by os.environ",
    ),
    "the environment by getattr": (
        mutated("trust/store.py", added=in_function("return getattr(os, 'environ')")),
        REACHES,
        "environment by os.environ",
    ),
    "the home folder by an alias of os.path": (
        mutated("crypto/keys.py", added="import os.path as p\n_HOME = p.expanduser"),
        REACHES,
        "environment by os.path.expanduser",
    ),
    "the clock through datetime.datetime": (
        mutated("format/statement.py", added=in_function("import datetime", "return datetime.datetime.now()")),
        REACHES,
        "clock by datetime.datetime.now",
    ),
    "the clock through a renamed class": (
        mutated("format/seal.py", added="from datetime import datetime as d\n_NOW = d.utcnow"),
        REACHES,
        "clock by datetime.datetime.utcnow",
    ),
    "randomness by secrets": (
        mutated("bundle/reseal.py", added=in_function("import secrets", "return secrets.token_bytes(32)")),
        REACHES,
        "randomness by secrets",
    ),
    "the disk by pathlib": (
        mutated("format/strictjson.py", added=in_function("from pathlib import Path", "return Path('x').read_text()")),
        REACHES,
        "disk by .read_text, pathlib.Path",
    ),
    "the disk by an unheard-of function of os": (
        mutated("format/tree.py", added=in_function("import os", "os.posix_fallocate(3, 0, 1)")),
        REACHES,
        "disk by os.posix_fallocate",
    ),
    "the module os handed on as a value": (
        mutated("format/tree.py", added="import os\n_FILES = vars(os)"),
        REACHES,
        "the module os as a value",
    ),
    "a star import": (
        mutated("format/tree.py", added="from os.path import *"),
        REACHES,
        "from os.path import *",
    ),
    "a sync outside of the room for durable writing": (
        mutated("bundle/seal.py", added=in_function("import os", "os.fsync(3)")),
        REACHES,
        "durability by os.fsync",
    ),
    "the environment read at import where it may be read later": (
        mutated("cli/framework/parsing.py", added="_WIDE = os.environ.get('COLUMNS')"),
        AT_IMPORT,
        "(environment): os.environ",
    ),
    "a file read at import by a function of the module": (
        mutated("trust/store.py", added=in_function("return open('x')") + "\n_TRUST = _mutant()"),
        AT_IMPORT,
        "(disk): open()",
    ),
    "a file read at import by a default": (
        mutated("trust/store.py", added="def _mutant(text=open('x').read()): ..."),
        AT_IMPORT,
        "(disk): open()",
    ),
    "another module changed at import": (
        mutated("io/sink.py", added="import socket\nsocket.timeout = None"),
        AT_IMPORT,
        "(change): socket",
    ),
    "a call at import whose result nobody wants": (
        mutated("server/_limits.py", added="import gc\ngc.disable()"),
        AT_IMPORT,
        "(call): gc.disable()",
    ),
}
