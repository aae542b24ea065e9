"""The recipe as values and bytes (docs/delta.md). No I/O, and nothing is allocated because it is declared."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ..constants import DIGEST_BYTES, HEADER_BYTES
from ..errors import FormatError
from ._layout import Layout
from ._varints import Varints, put_varints, signed, unsigned

MAGIC: Final = b"\x89RECIPE\x01"
HEAD: Final = struct.Struct(">8sB4I2QI32s32s")
BLOCK_HEAD: Final = struct.Struct(">B3I")

MAX_FRAME_BYTES: Final = 8 * 1024 * 1024
MAX_REFERENCE_BYTES: Final = 32 * 1024 * 1024
MAX_HISTORY_BYTES: Final = 8 * 1024 * 1024
MAX_INSTRUCTION_BYTES: Final = 1024 * 1024
MAX_DIRECTORY_BYTES: Final = 16 * 1024 * 1024
MAX_NEW_BYTES: Final = 1 << 51
LEAST_COPY_BYTES: Final = 64
LEAST_RANGE_BYTES: Final = 64
WORK_FACTOR: Final = 8
"""References together are at most that many times what is rebuilt, and once more the largest."""

STORED: Final = 0
ZSTD: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What a recipe says first. The three sizes are the largest of any block: what memory a reader will need.

    payload_header_bytes: 40 where what is rebuilt is a payload's header and then its content, 0 where it is content
    alone; directory_bytes: of the zip directory at its end that follows from the zip itself, 0 for none.
    """

    payload_header_bytes: int
    frame_bytes: int
    reference_bytes: int
    history_bytes: int
    base_entries: int
    base_bytes: int
    new_bytes: int
    directory_bytes: int
    base_digest: bytes
    new_digest: bytes

    def encode(self) -> bytes:
        """Return the head's bytes."""
        return HEAD.pack(
            MAGIC, self.payload_header_bytes, self.frame_bytes, self.reference_bytes, self.history_bytes,
            self.base_entries, self.base_bytes, self.new_bytes, self.directory_bytes, self.base_digest, self.new_digest,
        )  # fmt: skip

    @classmethod
    def parse(cls, data: bytes) -> "Head":
        """Parse HEAD.size bytes. Raises FormatError."""
        magic, header, frame, reference, history, entries, base, new, directory, base_digest, new_digest = HEAD.unpack(
            data
        )
        if magic != MAGIC:
            raise FormatError(f"recipe: begins with {magic!r}, expected {MAGIC!r}", offset=0)
        if header not in (0, HEADER_BYTES):
            raise FormatError(f"recipe: payload header of {header} bytes, expected 0 or {HEADER_BYTES}", offset=8)
        for what, value, most in (
            ("frames", frame, MAX_FRAME_BYTES),
            ("references", reference, MAX_REFERENCE_BYTES),
            ("history", history, min(MAX_HISTORY_BYTES, reference)),
            ("base", base, MAX_NEW_BYTES),
            ("new content", new, MAX_NEW_BYTES),
            ("directory", directory, min(MAX_DIRECTORY_BYTES, new)),
        ):
            if value > most:
                raise FormatError(f"recipe: {what} of {value} bytes, at most {most} are allowed", offset=9)
        if new - directory < header:
            raise FormatError(f"recipe: {new} bytes do not hold a payload header of {header}", offset=33)
        if bool(entries) != bool(base):
            raise FormatError(f"recipe: base of {entries} entries and {base} bytes", offset=21)
        return cls(
            payload_header_bytes=header, frame_bytes=frame, reference_bytes=reference, history_bytes=history,
            base_entries=entries, base_bytes=base, new_bytes=new, directory_bytes=directory,
            base_digest=base_digest, new_digest=new_digest,
        )  # fmt: skip

    def __post_init__(self) -> None:
        if len(self.base_digest) != DIGEST_BYTES or len(self.new_digest) != DIGEST_BYTES:
            raise ValueError(f"digests of {len(self.base_digest)} and {len(self.new_digest)} bytes")


@dataclass(frozen=True, slots=True)
class Range:
    """A stretch of the base. at: its offset in the base string; size: bytes."""

    at: int
    size: int


@dataclass(frozen=True, slots=True)
class Operation:
    """Take so many bytes from the frame, then copy from the base; copy.size is 0 where nothing is copied."""

    insert_bytes: int
    copy: Range


NOTHING: Final = Range(0, 0)


@dataclass(frozen=True, slots=True)
class Instructions:
    """What a block is made of. ranges, then the last history_bytes of all frames before: the frame's reference."""

    ranges: Sequence[Range]
    history_bytes: int
    operations: Sequence[Operation]

    @property
    def reference_bytes(self) -> int:
        """How long the reference is."""
        return sum(range.size for range in self.ranges) + self.history_bytes

    @property
    def frame_bytes(self) -> int:
        """How much is taken from the frame."""
        return sum(operation.insert_bytes for operation in self.operations)

    @property
    def new_bytes(self) -> int:
        """How much the block rebuilds."""
        return sum(operation.insert_bytes + operation.copy.size for operation in self.operations)

    def encode(self, layout: Layout) -> bytes:
        """Return the bytes of the instructions, whose addresses are in a base of that layout."""
        out = bytearray()
        addresses, end = [], 0
        for range in self.ranges:
            addresses.append(layout.step(end, range.at))
            end = range.at + range.size
        put_varints(out, [len(self.ranges)])
        put_varints(out, [unsigned(entry) for entry, _ in addresses])
        put_varints(out, [unsigned(offset) for _, offset in addresses])
        put_varints(out, [range.size for range in self.ranges])
        put_varints(out, [self.history_bytes, len(self.operations)])
        put_varints(out, [operation.insert_bytes for operation in self.operations])
        put_varints(out, [operation.copy.size for operation in self.operations])
        addresses, end = [], 0
        for operation in self.operations:
            if operation.copy.size:
                addresses.append(layout.step(end, operation.copy.at))
                end = operation.copy.at + operation.copy.size
        put_varints(out, [unsigned(entry) for entry, _ in addresses])
        put_varints(out, [unsigned(offset) for _, offset in addresses])
        return bytes(out)


@dataclass(frozen=True, slots=True)
class Places:
    """Where in the base a block's ranges and copies start, in order."""

    ranges: Sequence[int]
    copies: Sequence[int]


@dataclass(frozen=True, slots=True)
class Parsed:
    """Instructions whose addresses are still steps, since they mean something in a base only.

    range_steps, copy_steps: entries and offsets, each a step from where the one before ended.
    """

    range_steps: Sequence[tuple[int, int]]
    range_sizes: Sequence[int]
    history_bytes: int
    inserts: Sequence[int]
    copies: Sequence[int]
    copy_steps: Sequence[tuple[int, int]]

    @property
    def reference_bytes(self) -> int:
        """How long the reference is."""
        return sum(self.range_sizes) + self.history_bytes

    @property
    def frame_bytes(self) -> int:
        """How much is taken from the frame."""
        return sum(self.inserts)

    @property
    def new_bytes(self) -> int:
        """How much the block rebuilds."""
        return sum(self.inserts) + sum(self.copies)

    @classmethod
    def parse(cls, data: bytes, where: str) -> "Parsed":
        """Parse all of a block's instructions. where: which, for messages. Raises FormatError."""
        numbers = Varints(data, where)
        count = numbers.count("ranges")
        entries, offsets, sizes = numbers.many(count), numbers.many(count), numbers.many(count)
        if any(size < LEAST_RANGE_BYTES for size in sizes):
            raise FormatError(f"{where}: a range of {min(sizes)} bytes, at least {LEAST_RANGE_BYTES} are expected")
        history = numbers.one()
        operations = numbers.count("operations")
        inserts, copies = numbers.many(operations), numbers.many(operations)
        last = operations - 1
        for number, (insert, copy) in enumerate(zip(inserts, copies, strict=True)):
            if copy < LEAST_COPY_BYTES and (copy or not insert or number != last):
                raise FormatError(
                    f"{where}: operation {number} of {operations} takes {insert} bytes and copies {copy}, at least "
                    f"{LEAST_COPY_BYTES} are expected"
                )
        if not operations:
            raise FormatError(f"{where}: no operations")
        copied = operations - (copies[-1] == 0)
        copy_entries, copy_offsets = numbers.many(copied), numbers.many(copied)
        numbers.finish()
        return cls(
            list(zip(signed(entries), signed(offsets), strict=True)),
            sizes,
            history,
            inserts,
            copies,
            list(zip(signed(copy_entries), signed(copy_offsets), strict=True)),
        )

    def resolve(self, layout: Layout, where: str) -> Places:
        """Find the addresses in a base of that layout. Raises FormatError where there is no such place."""
        ranges = layout.follow(self.range_steps, self.range_sizes, where)
        for before, size, at in zip(ranges, self.range_sizes, ranges[1:], strict=False):
            if at <= before + size:
                raise FormatError(f"{where}: a range at byte {at} of the base, the one before ends at {before + size}")
        copied = len(self.copy_steps)
        return Places(ranges, layout.follow(self.copy_steps, self.copies[:copied], where))
