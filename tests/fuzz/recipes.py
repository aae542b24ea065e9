"""Recipes of plain content: what a device would rebuild from numbers that somebody else wrote."""

import contextlib
import functools
import hashlib
import io
import struct
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any
from unittest import mock

from capseal import RejectedError, delta
from capseal.archive import headers
from capseal.delta import _recipe, _zip_directory
from support import independent_recipe
from support.independent_reader import Rejected
from vectors.making_recipes import BASE_FILES, LISTING, base_string, block, instructions, recipe, zstd

from .bundles import modules
from .mutating import NUMBERS, mutate_bytes, often
from .places import scratch
from .running import Disagreement, Target

BASE = base_string()
STARTS = (0, 547, 579)
_BASE_DIGEST = hashlib.sha256(LISTING).digest()


@functools.cache
def base_folder() -> Path:
    """Return a folder of the files that drawn recipes are of."""
    folder = scratch() / "base"
    for name, content in BASE_FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def _number(r: Random, number: int) -> int:
    """Return the number, or now and then another one."""
    if often(r, 0.985):
        return number
    return r.choice((number + 1, max(0, number - 1), number * 2, r.choice(NUMBERS) % (1 << 56)))


def _steps(r: Random, places: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the steps from place to place, each by where it starts and ends."""
    found, end = [], 0
    for start, stop in places:
        entry, last = (max(n for n, first in enumerate(STARTS) if first <= at) for at in (start, end))
        offset = start - end if entry == last else start - STARTS[entry]
        found.append(
            (
                entry - last + r.choice((0,) * 60 + (1, -1)),
                offset if often(r, 0.985) else offset + r.choice((-1, 1, 500)),
            )
        )
        end = stop
    return found


def _ranges(r: Random) -> list[tuple[int, int]]:
    edges = sorted(r.sample(range(len(BASE) + 1), 2 * r.choice((1, 1, 2, 3))))
    found = [(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if b - a >= 64]
    return [(a, b) for number, (a, b) in enumerate(found) if number == 0 or a > found[number - 1][1]]


def _block(r: Random, frames: bytes) -> tuple[bytes, bytes]:
    """Return a block and what its frame holds."""
    data = r.choice((b"", r.randbytes(20), BASE[600:700] * 3 + r.randbytes(4), frames[-200:] + b"x", bytes(300)))
    operations, places, left = [], [], len(data)
    for _ in range(r.choice((1, 1, 2, 4))):
        insert = r.randrange(left + 1)
        start = r.randrange(len(BASE) - 64)
        size = r.randrange(64, min(len(BASE) - start, 400) + 1)
        operations.append((insert, size))
        places.append((start, start + size))
        left -= insert
    if left:
        operations.append((left, 0))
    packed = data and often(r, 0.6)
    ranges = _ranges(r) if packed and often(r, 0.6) else []
    history = r.randrange(len(frames) + 1) if packed and often(r, 0.4) else 0
    sizes = [stop - start for start, stop in ranges]
    steps = [(*step, _number(r, size)) for step, size in zip(_steps(r, ranges), sizes, strict=True)]
    said = [(_number(r, insert), _number(r, size)) for insert, size in operations]
    plain = instructions(said, _steps(r, places), steps, _number(r, history))
    dictionary = b"".join(BASE[start:stop] for start, stop in ranges) + frames[len(frames) - history :]
    frame = zstd(data, dictionary) if packed else data
    codec = 1 if packed and len(frame) < len(data) else 0
    if packed and not codec:
        plain, frame = instructions(said, _steps(r, places)), data
    smaller: dict[str, Any] = {"packed": zstd(plain)} if often(r, 0.1) and len(zstd(plain)) < len(plain) else {}
    if often(r, 0.03):
        frame = mutate_bytes(r, frame)
    return block(plain, frame, codec=codec, **smaller), data


def _entry(r: Random) -> bytes:
    """Return an entry of a zip that is, mostly, as capseal makes them."""
    name = r.choice((b"a", b"a/", b"some/file.js", b"x" * 300, b"\xff", b"/"))
    size = r.choice((0, 1, 25, 26, 40, 300))
    packed = size if often(r, 0.7) else r.choice((0, size // 2, size + 3))
    method, crc, extra = r.choice((0, 0, 8, 8, 99)), r.choice((0, r.getrandbits(32))), b""
    content = bytes(packed) if often(r, 0.5) else _header(name, 0, crc, 0, 0, b"")[:packed].ljust(packed, b"P")
    if often(r, 0.1):
        extra = struct.pack("<2H2Q", 1, 16, r.choice((2**32 - 1, 2**32, 2**51, size)), packed)
        size, packed = r.choice((2**32 - 1, size)), r.choice((2**32 - 1, packed))
    elif often(r, 0.03):
        size = 2**32 - 1
    return _header(name, method, crc, packed, size, extra) + content


def _header(name: bytes, method: int, crc: int, packed: int, size: int, extra: bytes) -> bytes:
    fixed = (b"PK\3\4", 45, 1 << 11, method, 0, 33, crc, packed, size, len(name), len(extra))
    return struct.pack("<4s5H3I2H", *fixed) + name + extra


def _drawn_zip(r: Random) -> bytes:
    """Draw a recipe of a zip whose directory follows from the rest, which comes in pieces of any size."""
    front = b"".join(_entry(r) for _ in range(r.choice((0, 1, 1, 2, 3, 7))))
    if often(r, 0.2):
        front = mutate_bytes(r, front)
    edges = sorted({0, len(front), *(r.randrange(len(front) + 1) for _ in range(r.choice((0, 1, 3, 9))))})
    pieces = [front[a:b] for a, b in pairwise(edges)]
    blocks = b"".join(block(instructions([(len(piece), 0)]), piece) for piece in pieces)
    try:
        directory = independent_recipe.directory_of(front)
    except Rejected:
        directory = b"some other end"
    said = {"directory": _number(r, len(directory)) % (1 << 32)}
    return recipe([blocks], front + directory, **said)


def _drawn(r: Random) -> bytes:
    if often(r, 0.25):
        return _drawn_zip(r)
    blocks, frames = b"", b""
    for _ in range(r.choice((0, 1, 1, 2, 3))):
        made, data = _block(r, frames)
        blocks += made
        frames += data
    sizes = {"frame": 4096, "reference": 8192, "history": 4096}
    try:
        new = independent_recipe.rebuild_blocks(blocks, BASE, STARTS, **sizes)
    except Rejected:
        new = b"nobody knows"
    said: dict[str, Any] = {f"{name}_bytes": size for name, size in sizes.items()}
    if often(r, 0.1):
        said[r.choice(("frame_bytes", "reference_bytes", "history_bytes", "entries", "new_bytes"))] = r.choice(
            NUMBERS
        ) % (1 << 32)
    made = recipe([blocks], new, **said)
    return mutate_bytes(r, made) if often(r, 0.1) else made


def check_recipe(data: bytes) -> None:
    """Rebuild, with compiled headers and without; what comes out is what the independent reader rebuilds."""
    try:
        expected = independent_recipe.rebuild(data, BASE, STARTS, _BASE_DIGEST)
    except Rejected:
        expected = None
    for compiled in (True, False):
        out = io.BytesIO()
        try:
            with contextlib.nullcontext() if compiled else mock.patch.object(headers, "is_there", lambda: False):
                delta.apply_recipe(base_folder(), io.BytesIO(data), out)
        except RejectedError as error:
            if expected is not None:
                raise Disagreement(f"the independent reader takes what is refused: {error}") from error
            raise
        if expected is None:
            raise Disagreement("the independent reader refuses the recipe")
        if out.getvalue() != expected:
            raise Disagreement("the independent reader rebuilds something else")


def recipe_target() -> Target:
    """A recipe of plain content, or of a zip whose directory follows from the rest."""
    return Target(
        name="recipe",
        oracle="the independent reader rebuilds the same bytes",
        modules=modules(
            "delta._recipe",
            "delta._reading",
            "delta._rebuild",
            "delta._codec",
            "delta._varints",
            "delta._zip_directory",
        ),
        make=_drawn,
        run=check_recipe,
        gates={
            "head": (_recipe.Head, "parse"),
            "instructions": (_recipe.Parsed, "parse"),
            "places": (_recipe.Parsed, "resolve"),
            "directory": (_zip_directory.DirectoryMaker, "finish"),
        },
    )
