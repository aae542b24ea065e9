"""docs/format.md is enough to write a reader: one that shares no code with capseal judges every vector alike."""

import ast
import hashlib
import sys
from functools import cache
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from support import independent_reader
from support.independent_reader import Rejected, decrypt, verify
from support.places import VECTORS
from vectors.making import read

FOLDER = VECTORS


KEYS = FOLDER / "keys"


@cache
def _private(name: str):
    return load_pem_private_key((KEYS / f"{name}.pem").read_bytes(), None)


def _read(path: Path):
    header, bundle = read(path.read_text(encoding="ascii"))
    trusted = []
    for name in header["trust"].split():
        role, _, key = name.rpartition("/")
        trusted.append((role or "production", (KEYS / f"{key}.pub.pem").read_bytes()))

    def number(name):
        return int(header[name]) if name in header else None

    return header, lambda: verify(
        bundle,
        trusted,
        threshold=number("threshold") or 1,
        role=header.get("role", "production"),
        app=header["app"],
        channel=header.get("channel"),
        floor=number("floor"),
        native=header.get("native"),
        platform=header.get("platform"),
        seal_bytes=number("seal-bytes"),
    )


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.txt")), ids=lambda path: path.stem)
def test_the_independent_reader_agrees_on(path):
    header, check = _read(path)

    def whole():
        return decrypt(*check(), _private(header["identity"]))

    if header["expect"] == "ok":
        content = whole()
        assert f"{len(content)} {hashlib.sha256(content).hexdigest()}" == header["content"]
        return
    if header.get("stage") == "unseal":
        check()
    else:
        with pytest.raises(Rejected):
            check()
    with pytest.raises(Rejected) as caught:
        whole()
    assert caught.value.kind == header["expect"]


def test_the_independent_reader_imports_nothing_from_capseal():
    source = Path(independent_reader.__file__).read_text()
    imported = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module.split(".")[0])
    assert imported - sys.stdlib_module_names == {"cryptography"}
    assert len(source.splitlines()) < 400
