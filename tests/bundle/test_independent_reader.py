"""docs/format.md is enough to write a reader: one that shares no code with capseal judges every vector alike."""

import ast
import hashlib
import sys
from functools import cache
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from support import independent_reader
from support.independent_reader import Rejected, decrypt, decrypt_companion, verify, verify_companion
from support.places import VECTORS
from vectors.making import read

FOLDER = VECTORS


KEYS = FOLDER / "keys"


@cache
def _private(name: str):
    return load_pem_private_key((KEYS / f"{name}.pem").read_bytes(), None)


def _read(path: Path):
    header, data = read(path.read_text(encoding="ascii"))
    index, stored = map(int, header.get("beside", "0 0").split())
    end = len(data) - index - stored
    bundle, beside = data[:end], (data[end : end + index], data[end + index :])
    trusted = []
    for name in header["trust"].split():
        role, _, key = name.rpartition("/")
        trusted.append((role or "production", (KEYS / f"{key}.pub.pem").read_bytes()))

    def number(name):
        return int(header[name]) if name in header else None

    return (
        header,
        beside,
        lambda: verify(
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
        ),
    )


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.txt")), ids=lambda path: path.stem)
def test_the_independent_reader_agrees_on(path):
    header, beside, check_bundle = _read(path)
    private = _private(header["identity"])

    def read_bundle():
        return decrypt(*check_bundle(), private)

    if "companion" not in header:
        _judge(header, check_bundle, read_bundle, header.get("content"))
        return
    statement, payload = check_bundle()
    read_bundle()

    def check():
        verify_companion(statement, header["companion"], *beside)

    def read_all():
        check()
        return decrypt_companion(statement, payload, header["companion"], beside[1], private)

    _judge(header, check, read_all, header.get("companion-content"))


def _judge(header, check, read_all, expected):
    if header["expect"] == "ok":
        content = read_all()
        assert f"{len(content)} {hashlib.sha256(content).hexdigest()}" == expected
        return
    if header.get("stage") == "unseal":
        check()
    else:
        with pytest.raises(Rejected):
            check()
    with pytest.raises(Rejected) as caught:
        read_all()
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
