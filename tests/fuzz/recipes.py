"""Recipes of plain content: what a device would rebuild from numbers that somebody else wrote."""

import functools
import hashlib
import io
from pathlib import Path
from random import Random
from typing import Any

from capseal import delta
from capseal.delta import _recipe
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


def _drawn(r: Random) -> bytes:
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
    """Rebuild; what comes out is what the independent reader rebuilds."""
    out = io.BytesIO()
    delta.apply_recipe(base_folder(), io.BytesIO(data), out)
    try:
        expected = independent_recipe.rebuild(data, BASE, STARTS, _BASE_DIGEST)
    except Rejected as error:
        raise Disagreement(f"the independent reader refuses the recipe: {error}") from None
    if out.getvalue() != expected:
        raise Disagreement("the independent reader rebuilds something else")


def recipe_target() -> Target:
    """A recipe of plain content."""
    return Target(
        name="recipe",
        oracle="the independent reader rebuilds the same bytes",
        modules=modules("delta._recipe", "delta._reading", "delta._rebuild", "delta._codec", "delta._varints"),
        make=_drawn,
        run=check_recipe,
        gates={
            "head": (_recipe.Head, "parse"),
            "instructions": (_recipe.Parsed, "parse"),
            "places": (_recipe.Parsed, "resolve"),
        },
    )
