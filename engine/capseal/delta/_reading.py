"""A recipe read in order, block by block: each is checked as far as it can be without a base, before it is used."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

from ..errors import FormatError, TruncatedError
from ..io.source import PathOrFile, Source, open_source
from . import _codec
from ._recipe import (
    BLOCK_HEAD,
    HEAD,
    MAX_INSTRUCTION_BYTES,
    MAX_REFERENCE_BYTES,
    STORED,
    WORK_FACTOR,
    ZSTD,
    Head,
    Parsed,
)


@dataclass(frozen=True, slots=True)
class Block:
    """number: from 0; at: where it starts in what is rebuilt; packed: the frame as it is stored, for `codec`."""

    number: int
    at: int
    codec: int
    packed: bytes
    parsed: Parsed

    @property
    def where(self) -> str:
        """The block as messages name it."""
        return f"recipe: block {self.number}"

    def frame(self, reference: memoryview | bytes) -> bytes:
        """Return what the frame holds. Raises FormatError. Memory: the frame, and a copy of the reference."""
        if self.codec == STORED:
            return self.packed
        return _codec.unpacked(self.packed, self.parsed.frame_bytes, reference=reference, where=self.where)


@dataclass(frozen=True, slots=True)
class Description:
    """What a recipe is made of. Sizes in bytes; copied: taken from the base; packed: all frames as they are stored."""

    head: Head
    recipe_bytes: int
    blocks: int
    copies: int
    copied_bytes: int
    frames_bytes: int
    packed_bytes: int


def describe_recipe(recipe: PathOrFile) -> Description:
    """Read all of a recipe, and check what needs no base. Raises FormatError, TruncatedError, OSError."""
    blocks = copies = copied = frames = packed = 0
    with closing(open_source(recipe)) as source:
        reader = RecipeReader(source)
        for block in reader.blocks():
            blocks += 1
            copies += len(block.parsed.copy_steps)
            copied += sum(block.parsed.copies)
            frames += block.parsed.frame_bytes
            packed += len(block.packed)
    return Description(reader.head, reader.read_bytes, blocks, copies, copied, frames, packed)


class RecipeReader:
    """Reads a recipe once. head: what it says first.

    Memory: one block, which is a frame of at most head.frame_bytes and 1 MiB of instructions.
    """

    def __init__(self, source: Source) -> None:
        """Raises FormatError, TruncatedError, OSError."""
        self._source = source
        self._at = 0
        self.head = Head.parse(self._take(HEAD.size, "head"))

    @property
    def read_bytes(self) -> int:
        """How much of the recipe was read."""
        return self._at

    def blocks(self) -> Iterator[Block]:
        """Give the blocks, all of them, and nothing else may follow. Raises FormatError, TruncatedError, OSError."""
        head = self.head
        whole = head.new_bytes - head.directory_bytes
        number = at = frames = references = 0
        while at < whole:
            block = self._block(number, at)
            parsed, where = block.parsed, block.where
            if number == 0 and parsed.inserts[0] < head.payload_header_bytes:
                raise FormatError(
                    f"{where}: begins with {parsed.inserts[0]} bytes of its frame, the payload's header has "
                    f"{head.payload_header_bytes}"
                )
            if parsed.history_bytes > min(head.history_bytes, frames):
                raise FormatError(
                    f"{where}: refers to the last {parsed.history_bytes} bytes of {frames}, at most "
                    f"{head.history_bytes} are kept"
                )
            if parsed.new_bytes > whole - at:
                raise FormatError(f"{where}: rebuilds {parsed.new_bytes} bytes, {whole - at} are left of {whole}")
            at += parsed.new_bytes
            frames += parsed.frame_bytes
            references += parsed.reference_bytes
            if references > MAX_REFERENCE_BYTES + WORK_FACTOR * at:
                raise FormatError(f"{where}: references of {references} bytes together, for {at} that are rebuilt")
            yield block
            number += 1
        if extra := self._source.peek(self._at, 1):
            raise TruncatedError(
                f"recipe: goes on behind its end at byte {self._at}", expected=self._at, actual=self._at + len(extra)
            )

    def _block(self, number: int, at: int) -> Block:
        head, where = self.head, f"recipe: block {number}"
        start = self._at
        codec, stored, instructions, frame = BLOCK_HEAD.unpack(self._take(BLOCK_HEAD.size, where))
        if codec not in (STORED, ZSTD):
            raise FormatError(f"{where}: codec {codec} is unknown", offset=start)
        if instructions > MAX_INSTRUCTION_BYTES or not 0 < stored <= instructions:
            raise FormatError(
                f"{where}: instructions of {instructions} bytes in {stored}, at most {MAX_INSTRUCTION_BYTES} allowed",
                offset=start,
            )
        if frame > head.frame_bytes:
            raise FormatError(f"{where}: frame of {frame} bytes, at most {head.frame_bytes} are declared", offset=start)
        data = self._take(stored, where)
        if stored < instructions:
            data = _codec.unpacked(data, instructions, where=f"{where}: instructions")
        parsed = Parsed.parse(data, where)
        if parsed.frame_bytes > head.frame_bytes or parsed.reference_bytes > head.reference_bytes:
            raise FormatError(
                f"{where}: frame of {parsed.frame_bytes} bytes, reference of {parsed.reference_bytes}; at most "
                f"{head.frame_bytes} and {head.reference_bytes} are declared",
                offset=start,
            )
        if codec == STORED and (frame != parsed.frame_bytes or parsed.reference_bytes):
            raise FormatError(
                f"{where}: {frame} stored bytes for {parsed.frame_bytes}, reference of {parsed.reference_bytes}",
                offset=start,
            )
        if codec == ZSTD and frame >= parsed.frame_bytes:
            raise FormatError(f"{where}: {parsed.frame_bytes} bytes packed into {frame}", offset=start)
        return Block(number, at, codec, self._take(frame, where), parsed)

    def _take(self, size: int, where: str) -> bytes:
        data = bytearray(size)
        count = self._source.read_into(self._at, memoryview(data))
        if count != size:
            raise TruncatedError(
                f"{where}: ends at byte {self._at + count}, expected {self._at + size}",
                expected=self._at + size,
                actual=self._at + count,
            )
        self._at += size
        return bytes(data)
