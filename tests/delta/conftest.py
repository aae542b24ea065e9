"""Folders that are versions of one another."""

import random
from pathlib import Path

import pytest


def lines(seed: int, count: int) -> bytes:
    drawn = random.Random(seed)
    words = [f"function f{i}(a,b){{return a*{drawn.random()}+b;}}\n" for i in range(count)]
    return "".join(words).encode()


@pytest.fixture
def versions(tmp_path: Path) -> tuple[Path, Path]:
    """An old folder and a new one: edits, an insertion, a file moved, one added, one gone, a folder that is empty."""
    old, new = tmp_path / "old", tmp_path / "new"
    code, assets = lines(1, 4000), random.Random(2).randbytes(300_000)
    for folder, edited in ((old, code), (new, code[:50_000] + b"/* more */" + code[50_000:].replace(b"f77(", b"g77("))):
        (folder / "js" / "deep").mkdir(parents=True)
        (folder / "empty").mkdir()
        (folder / "index.html").write_bytes(b"<h1>hello</h1>" * 50)
        (folder / "js" / "main.js").write_bytes(edited)
    (old / "assets.bin").write_bytes(assets)
    (new / "moved.bin").write_bytes(assets[:100_000] + assets[150_000:] + b"end")
    (old / "js" / "gone.js").write_bytes(lines(3, 50))
    (new / "js" / "deep" / "fresh.js").write_bytes(lines(4, 50))
    return old, new
