"""Recipes by docs/delta.md alone: what is rebuilt, from numbers and slices, without anything of capseal's."""

import hashlib
import struct
from collections.abc import Callable, Sequence
from itertools import pairwise

import zstandard

from .independent_reader import Rejected

_MIB = 1024 * 1024
_MAGIC = b"\x89RECIPE\x01"
_HEAD = struct.Struct(">8sB4I2QI32s32s")
_BLOCK = struct.Struct(">B3I")


def rebuild(recipe: bytes, base: bytes, starts: Sequence[int], listing: bytes) -> bytes:
    """Return the new content; of recipes that rebuild a sealed payload, none is taken.

    starts: where each entry of the base string begins; listing: the base's digest. Raises Rejected.
    """
    _demand(len(recipe) >= _HEAD.size, "head")
    magic, header, frame, reference, history, entries, size, new, directory, of, digest = _HEAD.unpack_from(recipe)
    _demand(magic == _MAGIC and header == 0, "magic, header")
    _demand(directory <= min(16 * _MIB, new), "directory's cap")
    _demand(frame <= 8 * _MIB and reference <= 32 * _MIB and history <= min(8 * _MIB, reference), "caps")
    _demand((entries, size, of) == (len(starts), len(base), listing), "base")
    out = rebuild_blocks(recipe[_HEAD.size :], base, starts, frame=frame, reference=reference, history=history)
    if directory:
        end = directory_of(out)
        _demand(len(end) == directory, "directory's size")
        out += end
    _demand(len(out) == new and hashlib.sha256(out).digest() == digest, "what came out")
    return out


def rebuild_blocks(
    data: bytes, base: bytes, starts: Sequence[int], *, frame: int, reference: int, history: int
) -> bytes:
    """Return what blocks rebuild; frame, reference, history: the head's limits. Raises Rejected."""
    out, frames, at, referred = b"", b"", 0, 0
    while at < len(data):
        _demand(at + _BLOCK.size <= len(data), "block's head")
        codec, packed, plain, stored = _BLOCK.unpack_from(data, at)
        at += _BLOCK.size
        _demand(codec in (0, 1) and 0 < packed <= plain <= _MIB and stored <= frame, "block's lengths")
        _demand(at + packed + stored <= len(data), "block's bytes")
        numbers = data[at : at + packed]
        if packed < plain:
            numbers = _unpacked(numbers, plain, b"")
        held = data[at + packed : at + packed + stored]
        at += packed + stored
        ranges, back, inserts, copies = _instructions(numbers, starts, len(base))
        _demand(all(end < start for (_, end), (start, _) in pairwise(ranges)), "order of ranges")
        size = sum(end - start for start, end in ranges) + back
        _demand(back <= min(history, len(frames)) and size <= reference and sum(inserts) <= frame, "block's sums")
        dictionary = b"".join(base[start:end] for start, end in ranges) + frames[len(frames) - back :]
        if codec:
            _demand(stored < sum(inserts), "frame's size")
            held = _unpacked(held, sum(inserts), dictionary)
        _demand(len(held) == sum(inserts) and (codec or not dictionary), "frame")
        frames += held
        for insert, (start, end) in zip(inserts, copies, strict=True):
            out += held[:insert] + base[start:end]
            held = held[insert:]
        referred += size
        _demand(referred <= 32 * _MIB + 8 * len(out), "references together")
    return out


def directory_of(front: bytes) -> bytes:
    """Return the central directory and the end records that follow from the entries of a zip. Raises Rejected."""
    found, at, count = b"", 0, 0
    while at < len(front):
        _demand(len(front) - at >= 30 and front[at : at + 8] == b"PK\3\4\x2d\0\0\x08", "signature, version, flags")
        method, time, date, crc, packed, size, name, extra = struct.unpack_from("<3H3I2H", front, at + 8)
        _demand((time, date) == (0, 33) and name and len(front) - at >= 30 + name + extra, "times, name")
        if extra:
            _demand(extra == 20 and front[at + 30 + name :][:4] == b"\1\0\x10\0", "extra field")
            size, packed = struct.unpack_from("<2Q", front, at + 30 + name + 4)
            _demand(size >= 2**32 - 1 or packed >= 2**32 - 1, "zip64 without need")
        path = front[at + 30 : at + 30 + name]
        far = [value for value in (size, packed, at) if value >= 2**32 - 1]
        more = struct.pack(f"<2H{len(far)}Q", 1, 8 * len(far), *far) if far else b""
        size, packed_32 = min(size, 2**32 - 1), min(packed, 2**32 - 1)
        found += b"PK\1\2\x2d\3\x2d\0\0\x08" + struct.pack("<3H3I", method, 0, 33, crc, packed_32, size)
        mode = 0o040755 << 16 | 16 if path.endswith(b"/") else 0o100644 << 16
        found += struct.pack("<5H2I", name, len(more), 0, 0, 0, mode, at) + path + more
        at += 30 + name + extra + packed
        count += 1
    _demand(at == len(front), "an entry that ends behind the zip")
    _demand(count < 65535, "entries, more than are drawn")
    return found + struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, count, count, len(found), at, 0)


def _demand(holds: object, what: str) -> None:
    if not holds:
        raise Rejected("FormatError", what)


def _unpacked(data: bytes, size: int, dictionary: bytes) -> bytes:
    try:
        parameters = zstandard.get_frame_parameters(data)
    except zstandard.ZstdError as error:
        raise Rejected("FormatError", f"zstd: {error}") from None
    _demand((parameters.content_size, parameters.dict_id, parameters.has_checksum) == (size, 0, False), "zstd's header")
    raw = zstandard.ZstdCompressionDict(dictionary, dict_type=zstandard.DICT_TYPE_RAWCONTENT) if dictionary else None
    unpacker = zstandard.ZstdDecompressor(dict_data=raw).decompressobj()
    try:
        out = unpacker.decompress(data)
    except zstandard.ZstdError as error:
        raise Rejected("FormatError", f"zstd: {error}") from None
    _demand(unpacker.eof and not unpacker.unused_data and len(out) == size, "zstd frame")
    return out


Stretch = tuple[int, int]


def _instructions(data: bytes, starts: Sequence[int], size: int) -> tuple[list[Stretch], int, list[int], list[Stretch]]:
    """Return ranges, how much of the history, inserts and copies; stretches by where they start and end."""
    left = list(data)

    def one() -> int:
        number = shift = 0
        for _ in range(8):
            _demand(left, "number")
            byte = left.pop(0)
            number |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                _demand(byte or shift == 7, "shortest form")
                return number
        raise Rejected("FormatError", "number of more than 8 bytes")

    def many(count: int, how: Callable[[], int]) -> list[int]:
        _demand(count <= len(left), "count")
        return [how() for _ in range(count)]

    def signed() -> int:
        number = one()
        return -(number // 2) - 1 if number % 2 else number // 2

    count = one()
    entries, offsets, sizes = many(count, signed), many(count, signed), many(count, one)
    _demand(all(length >= 64 for length in sizes), "ranges' sizes")
    ranges = _placed(entries, offsets, sizes, starts, size)
    back, operations = one(), one()
    inserts, copied = many(operations, one), many(operations, one)
    _demand(operations >= 1 and all(length >= 64 for length in copied[:-1]), "operations")
    _demand(copied[-1] >= 64 or (copied[-1] == 0 and inserts[-1]), "last operation")
    some = [length for length in copied if length]
    entries, offsets = many(len(some), signed), many(len(some), signed)
    _demand(not left, "what is behind the instructions")
    copies = _placed(entries, offsets, some, starts, size)
    return ranges, back, inserts, copies + [(0, 0)] * (operations - len(some))


def _placed(
    entries: Sequence[int], offsets: Sequence[int], sizes: Sequence[int], starts: Sequence[int], size: int
) -> list[Stretch]:
    found: list[Stretch] = []
    end = 0
    for step, offset, length in zip(entries, offsets, sizes, strict=True):
        last = max((number for number, start in enumerate(starts) if start <= end), default=0)
        entry = last + step
        _demand(0 <= entry < len(starts), "entry")
        start = (end if step == 0 else starts[entry]) + offset
        ends = [*starts[1:], size]
        _demand(starts[entry] <= start < ends[entry] and start + length <= size, "place")
        end = start + length
        found.append((start, end))
    return found
