"""The vectors of docs/delta.md: recipes with one defect each, built from numbers and not by capseal's own writer.

Each file has header lines `name`, `about`, `expect`, `base` and, where it is accepted, `new`: size and SHA-256. Then,
behind an empty line, the recipe in lines `hex …` and `fill N XX`. `base: files` are those of BASE_FILES; with `none`,
the recipe is read without one.
"""

# ruff: noqa: E501 - a vector a line, to be read as a table

import hashlib
import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import zstandard

FOLDER = Path(__file__).parent / "recipes"
BASE_FILES = {"a.bin": bytes(range(256)) * 2, "b/c.txt": b"0123456789" * 40}
# Its base string: a.bin at 0, 30 + 5 + 512 bytes; b/ at 547, 30 + 2; b/c.txt at 579, 30 + 7 + 400; ends at 1016.
BASE_ENTRIES, BASE_BYTES = 3, 1016
LISTING = b"".join(
    name + b"\0" + size.to_bytes(8, "big") for name, size in ((b"a.bin", 512), (b"b/", 0), (b"b/c.txt", 400))
)
MAGIC = b"\x89RECIPE\x01"
MIB = 1024 * 1024


def varint(number: int) -> bytes:
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def zigzag(number: int) -> int:
    return number * 2 if number >= 0 else -number * 2 - 1


def numbers(values: Iterable[int]) -> bytes:
    return b"".join(map(varint, values))


def instructions(
    operations: Iterable[tuple[int, int]] = (),
    copies: Iterable[tuple[int, int]] = (),
    ranges: Iterable[tuple[int, int, int]] = (),
    history: int = 0,
) -> bytes:
    """operations: inserted and copied bytes; copies: steps of entry and offset; ranges: the same, and bytes."""
    operations, copies, ranges = list(operations), list(copies), list(ranges)
    return numbers(
        [
            len(ranges),
            *(zigzag(entry) for entry, _, _ in ranges),
            *(zigzag(offset) for _, offset, _ in ranges),
            *(size for _, _, size in ranges),
            history,
            len(operations),
            *(insert for insert, _ in operations),
            *(copy for _, copy in operations),
            *(zigzag(entry) for entry, _ in copies),
            *(zigzag(offset) for _, offset in copies),
        ]
    )


def zstd(data: bytes, reference: bytes = b"", **settings: Any) -> bytes:
    settings = {"write_content_size": True, "write_checksum": False, "write_dict_id": False} | settings
    kind = zstandard.DICT_TYPE_RAWCONTENT
    dictionary = {"dict_data": zstandard.ZstdCompressionDict(reference, dict_type=kind)} if reference else {}
    return zstandard.ZstdCompressor(level=3, **settings, **dictionary).compress(data)


def block(plain: bytes, frame: bytes = b"", *, codec: int = 0, packed: bytes | None = None, **sizes: int) -> bytes:
    """sizes: what the block's head says in place of the truth, by name."""
    stored = plain if packed is None else packed
    said = {"stored": len(stored), "plain": len(plain), "frame": len(frame)} | sizes
    return struct.pack(">B3I", codec, said["stored"], said["plain"], said["frame"]) + stored + frame


def recipe(blocks: Iterable[bytes], new: bytes, *, base: str = "files", **said: Any) -> bytes:
    """said: fields of the head in place of the truth, by name."""
    files = base == "files"
    head = {
        "magic": MAGIC, "header": 0, "frame_bytes": 4096, "reference_bytes": 4096, "history_bytes": 4096,
        "entries": BASE_ENTRIES if files else 0, "base_bytes": BASE_BYTES if files else 0, "new_bytes": len(new),
        "directory": 0, "base_digest": hashlib.sha256(LISTING if files else b"").digest(),
        "new_digest": hashlib.sha256(new).digest(),
    } | said  # fmt: skip
    return struct.pack(">8sB4I2QI32s32s", *head.values()) + b"".join(blocks)


def base_string() -> bytes:
    """Return the base string of BASE_FILES."""
    out = b""
    for name, data in (("a.bin", BASE_FILES["a.bin"]), ("b/", b""), ("b/c.txt", BASE_FILES["b/c.txt"])):
        out += struct.pack(
            "<4s5H3I2H", b"PK\x03\x04", 45, 1 << 11, 0, 0, 33, zlib.crc32(data), len(data), len(data), len(name), 0
        )
        out += name.encode() + data
    return out


HELLO = b"hello, device! " * 8
COPY = bytes(range(100, 200))
COPIED = instructions([(0, 100)], [(0, 35 + 100)])
TEXT = BASE_FILES["b/c.txt"][:300] + b"changed" + BASE_FILES["b/c.txt"][:100]
RANGED = instructions([(407, 0)], ranges=[(2, 37, 400)])
RANGED_FRAME = zstd(TEXT, BASE_FILES["b/c.txt"])
PACKED = zstd(HELLO)
INSERT = instructions([(120, 0)])
LOCAL = struct.pack("<4s5H3I2H", b"PK\x03\x04", 45, 1 << 11, 0, 0, 33, 0, 0, 0, 2, 0) + b"d/"
CENTRAL = struct.pack(
    "<4s6H3I5H2I", b"PK\x01\x02", 3 << 8 | 45, 45, 1 << 11, 0, 0, 33, 0, 0, 0, 2, 0, 0, 0, 0, 0o40755 << 16 | 0x10, 0
) + b"d/"  # fmt: skip
ZIP = LOCAL + CENTRAL + struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 1, 1, len(CENTRAL), len(LOCAL), 0)
END = len(ZIP) - len(LOCAL)


def _one(
    plain: bytes, frame: bytes = b"", new: bytes = HELLO, *, base: str = "files", codec: int = 0, **said: Any
) -> Any:
    return recipe([block(plain, frame, codec=codec)], new, base=base, **said)


def _insert(frame: bytes = HELLO, **said: Any) -> bytes:
    return _one(INSERT, frame, **said)


def _with_block(new: bytes = HELLO, **said: Any) -> bytes:
    return recipe([block(**{"plain": INSERT, "frame": HELLO} | said)], new)


def vectors() -> Iterator[tuple[str, str, str, str, bytes, bytes | None]]:
    """name, what it is, outcome, base, recipe, new content where it is accepted."""
    nothing = "nothing"
    yield "valid-stored", "a stored frame", "ok", nothing, _insert(base=nothing), HELLO
    yield "valid-zstd", "a frame by zstd", "ok", nothing, _one(INSERT, PACKED, base=nothing, codec=1), HELLO
    yield "valid-empty", "no bytes at all", "ok", nothing, recipe([], b"", base=nothing), b""
    yield "valid-copy", "a stretch of the base", "ok", "files", _one(COPIED, new=COPY), COPY
    two = instructions([(0, 100), (5, 64)], [(0, 500), (-2, 0)])
    over = base_string()[500:600] + b"hello" + base_string()[:64]
    yield (
        "valid-copies",
        "a stretch over three entries, then one before it",
        "ok",
        "files",
        _one(two, b"hello", over),
        over,
    )
    yield "valid-range", "a frame against a range", "ok", "files", _one(RANGED, RANGED_FRAME, TEXT, codec=1), TEXT
    history = [block(INSERT, HELLO), block(instructions([(120, 0)], history=120), zstd(HELLO, HELLO), codec=1)]
    yield "valid-history", "a frame against the one before", "ok", "files", recipe(history, HELLO * 2), HELLO * 2
    header = instructions([(32, 0)])
    directory = recipe([block(header, LOCAL)], ZIP, base=nothing, directory=END)
    yield "valid-directory", "the directory of a zip follows from the zip", "ok", nothing, directory, ZIP
    packed = instructions([(1, 64)] * 40, [(0, 0), *[(0, -64)] * 39])
    shown = b"".join(b"x" + base_string()[:64] for _ in range(40))
    small = recipe([block(packed, b"x" * 40, packed=zstd(packed))], shown)
    yield "valid-instructions-zstd", "instructions by zstd", "ok", "files", small, shown

    bad = "FormatError"
    for name, about, said in (
        ("magic-wrong", "begins otherwise", {"magic": b"\x89RECIPF\x01"}),
        ("version-2", "another version", {"magic": b"\x89RECIPE\x02"}),
        ("header-39", "a payload header of 39 bytes", {"header": 39}),
        ("frame-over-cap", "frames over 8 MiB", {"frame_bytes": 8 * MIB + 1}),
        ("reference-over-cap", "references over 32 MiB", {"reference_bytes": 32 * MIB + 1}),
        ("history-over-cap", "a history over 8 MiB", {"reference_bytes": 16 * MIB, "history_bytes": 8 * MIB + 1}),
        ("history-over-reference", "a history larger than the reference", {"history_bytes": 4097}),
        ("directory-over-cap", "a directory over 16 MiB", {"directory": 16 * MIB + 1, "new_bytes": 17 * MIB}),
        ("directory-over-new", "a directory larger than all", {"directory": 121}),
        ("new-over-cap", "new content over 2 PiB", {"new_bytes": (1 << 51) + 1}),
        ("base-without-bytes", "entries without bytes", {"base_bytes": 0}),
        ("header-over-new", "a payload header of 40 bytes in 39", {"header": 40, "new_bytes": 39}),
    ):
        yield name, about, bad, "files", _insert(**said), None
    whole = recipe([block(INSERT, HELLO)], HELLO, header=40)
    yield "valid-payload-header", "40 bytes of a payload's header in front", "ok", "none", whole, HELLO
    late = recipe([block(instructions([(39, 64), (17, 0)], [(0, 0)]), HELLO[:56])], HELLO, header=40)
    yield "header-copied", "a payload header that is not all in the first frame", bad, "none", late, None
    for name, about, said in (
        ("codec-unknown", "codec 2", {"codec": 2}),
        ("instructions-none", "no bytes of instructions", {"plain": b"", "frame": b""}),
        ("instructions-over-cap", "instructions of more than 1 MiB", {"packed": zstd(bytes(MIB + 1)), "plain": bytes(MIB + 1)}),
        ("instructions-longer", "packed instructions longer than plain", {"packed": INSERT + b"\0"}),
        ("instructions-other-size", "instructions that unpack to another size", {"packed": zstd(bytes(200)), "plain": bytes(201)}),
        ("frame-over-declared", "a frame larger than the head says", {"plain": instructions([(4097, 0)]), "frame": bytes(4097)}),
        ("stored-too-short", "a stored frame a byte short", {"frame": HELLO[:-1]}),
        ("stored-with-reference", "a stored frame with a reference", {"plain": instructions([(120, 0)], ranges=[(0, 0, 64)])}),
        ("zstd-not-smaller", "a frame that zstd made larger", {"codec": 1, "plain": instructions([(len(PACKED), 0)]), "frame": PACKED}),
        ("zstd-bomb", "a frame of 1 MiB where 120 bytes are declared", {"codec": 1, "frame": zstd(bytes(MIB))}),
        ("zstd-no-size", "a frame without its size", {"codec": 1, "frame": zstd(HELLO, write_content_size=False)}),
        ("zstd-checksum", "a frame with a checksum", {"codec": 1, "frame": zstd(HELLO, write_checksum=True)}),
        ("zstd-two-frames", "two frames", {"codec": 1, "frame": PACKED + zstd(b"")}),
        ("zstd-skippable", "a frame to be skipped in front", {"codec": 1, "frame": b"\x50\x2a\x4d\x18\0\0\0\0" + PACKED}),
        ("zstd-cut", "a frame that ends early", {"codec": 1, "frame": PACKED[:-1]}),
        ("number-long-form", "a number with a byte too many", {"plain": b"\0\0\1\xf8\0\0"}),
        ("number-9-bytes", "a number of 9 bytes", {"plain": b"\0\0\1" + b"\xf8" + b"\x80" * 7 + b"\1\0"}),
        ("number-cut", "a number that ends early", {"plain": b"\0\0\1\x78\x80"}),
        ("instructions-trailing-byte", "a byte behind the instructions", {"plain": INSERT + b"\0"}),
        ("operations-none", "no operations", {"plain": b"\0\0\0", "frame": b""}),
        ("operations-too-many", "more operations than bytes", {"plain": b"\0\0\x7f\x78\0"}),
        ("operation-empty", "an operation that does nothing", {"plain": instructions([(0, 0)]), "frame": b""}),
        ("copy-of-63", "a copy of 63 bytes", {"plain": instructions([(57, 63)], [(0, 0)]), "frame": HELLO[:57]}),
        ("copy-of-0-first", "an insertion behind an insertion", {"plain": instructions([(60, 0), (60, 0)])}),
        ("copy-in-no-entry", "a copy from entry 3 of 3", {"plain": instructions([(20, 100)], [(3, 0)]), "frame": HELLO[:20]}),
        ("copy-before-the-first", "a copy from entry -1", {"plain": instructions([(20, 100)], [(-1, 0)]), "frame": HELLO[:20]}),
        ("copy-behind-its-entry", "a copy from a place behind its entry", {"plain": instructions([(20, 100)], [(0, 547)]), "frame": HELLO[:20]}),
        ("copy-behind-the-base", "a copy that ends behind the base", {"plain": instructions([(20, 100)], [(2, 338)]), "frame": HELLO[:20]}),
        ("copy-endless", "a copy of 2^55 bytes", {"plain": instructions([(120, 1 << 55)], [(0, 0)])}),
        ("block-behind-the-end", "a block that makes more than all", {"plain": instructions([(121, 0)]), "frame": HELLO + b"!"}),
        ("history-not-there", "a history in the first block", {"codec": 1, "plain": instructions([(120, 0)], history=1), "frame": PACKED}),
    ):  # fmt: skip
        yield name, about, bad, "files", _with_block(**said), None
    for name, about, ranges in (
        ("range-of-63", "a range of 63 bytes", [(0, 0, 63)]),
        ("range-over-declared", "a reference larger than the head says", [(0, 0, 1016)] * 5),
        ("range-overlapping", "ranges that overlap", [(0, 0, 64), (0, -1, 64)]),
        ("range-adjacent", "ranges that are one", [(0, 0, 64), (0, 0, 64)]),
        ("range-backwards", "ranges out of order", [(2, 0, 64), (-2, 0, 64)]),
        ("range-behind-the-base", "a range that ends behind the base", [(2, 0, 438)]),
        ("range-in-no-entry", "a range in entry 3 of 3", [(3, 0, 64)]),
    ):
        plain = instructions([(120, 0)], ranges=ranges)
        yield name, about, bad, "files", _with_block(codec=1, plain=plain, frame=PACKED), None
    other = recipe([block(header, b"PL" + LOCAL[2:])], ZIP, base=nothing, directory=END)
    yield "directory-of-no-zip", "a directory of something that is no zip", bad, nothing, other, None
    short = recipe([block(header, LOCAL)], ZIP, base=nothing, directory=END - 1, new_bytes=len(ZIP) - 1)
    yield "directory-other-size", "a directory of another size", bad, nothing, short, None
    half = recipe(
        [block(instructions([(31, 0)]), LOCAL[:31])], ZIP, base=nothing, directory=END, new_bytes=len(ZIP) - 1
    )
    yield "directory-of-half-a-zip", "a zip that ends in a header", bad, nothing, half, None

    whole = _insert()
    cut = "TruncatedError"
    yield "truncated-empty", "nothing", cut, "files", b"", None
    yield "truncated-head", "the head less a byte", cut, "files", whole[:108], None
    yield "truncated-blocks", "no block", cut, "files", whole[:109], None
    yield "truncated-block-head", "a block's head less a byte", cut, "files", whole[:121], None
    yield "truncated-instructions", "instructions less a byte", cut, "files", whole[: 122 + len(INSERT) - 1], None
    yield "truncated-frame", "a frame less a byte", cut, "files", whole[:-1], None
    yield "trailing-byte", "a byte behind the end", cut, "files", whole + b"\0", None
    us = "NotForUsError"
    yield "base-other", "made for a base of another digest", us, "files", _insert(base_digest=bytes(32)), None
    yield "base-other-size", "made for a base a byte longer", us, "files", _insert(base_bytes=1017), None
    yield "base-other-entries", "made for a base of 4 entries", us, "files", _insert(entries=4), None
    yield "base-nothing", "made from nothing", us, "files", _insert(base="nothing"), None
    yield "new-digest-wrong", "rebuilds something else", "TamperedError", "files", _insert(new_digest=bytes(32)), None


def written(data: bytes) -> Iterator[str]:
    """The lines that stand for some bytes."""
    at = 0
    while at < len(data):
        run = 1
        while at + run < len(data) and data[at + run] == data[at]:
            run += 1
        if run >= 64:
            yield f"fill {run} {data[at]:02x}"
            at += run
            continue
        end = min(at + 64, len(data))
        yield f"hex {data[at:end].hex()}"
        at = end


def generate() -> None:
    """Write all vectors again, byte for byte."""
    FOLDER.mkdir(exist_ok=True)
    for path in FOLDER.glob("*.txt"):
        path.unlink()
    for name, about, expect, base, data, new in vectors():
        lines = [f"name: {name}", f"about: {about}", f"expect: {expect}", f"base: {base}"]
        if new is not None:
            lines.append(f"new: {len(new)} {hashlib.sha256(new).hexdigest()}")
        (FOLDER / f"{name}.txt").write_text("\n".join([*lines, "", *written(data)]) + "\n")
