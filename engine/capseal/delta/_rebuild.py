"""What a device does with a recipe: rebuild the new content from the base, without numpy or the compiled module."""

import hashlib
import mmap
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

from ..errors import FormatError, NotForUsError, TamperedError, UsageError
from ..io.sink import PathOrFile, Sink, open_sink
from ..io.source import open_source
from ._base import Base, open_base
from ._reading import Block, RecipeReader
from ._recipe import MAX_FRAME_BYTES, MAX_REFERENCE_BYTES, Head, Parsed, Places
from ._zip_directory import DirectoryMaker

LEAST_MEMORY_BYTES = 64 * 1024 * 1024
_PIECE_BYTES = 256 * 1024
_LARGE_BYTES = 16 * 1024  # of the base, which are read where they go
_GAP_BYTES = 8 * 1024  # of the base that are read for nothing, rather than in two calls


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeLimits:
    """What a reader has memory for, in bytes; by default all that the format allows.

    memory_bytes: of all that it takes to apply a recipe: 64 MiB, its reference, and twice its frame.
    """

    frame_bytes: int = MAX_FRAME_BYTES
    reference_bytes: int = MAX_REFERENCE_BYTES
    memory_bytes: int = LEAST_MEMORY_BYTES + MAX_REFERENCE_BYTES + 2 * MAX_FRAME_BYTES


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What was done. new_bytes: size of the new content; recipe_bytes: of the recipe; copied_bytes: from the base."""

    new_bytes: int
    recipe_bytes: int
    copied_bytes: int


_ALL = RecipeLimits()


def apply_recipe(
    base: str | os.PathLike[str] | Base,
    recipe: PathOrFile,
    sink: PathOrFile | Sink,
    *,
    overwrite: bool = False,
    limits: RecipeLimits = _ALL,
    progress: Callable[[int], None] | None = None,
    expecting: Callable[[int], None] | None = None,
) -> Rebuilt:
    """Rebuild the new content into a sink, which is committed only where it has the digest that the recipe says.

    expecting is told how many bytes the new content has, progress how many more of them are there.
    Memory: 64 MiB, the recipe's reference, and twice its frame. Raises FormatError, TruncatedError; NotForUsError where
    it was made for another base or takes more memory than `limits` allow; TamperedError where something else came out;
    SourceChangedError, UsageError, OSError.
    """
    with closing(open_source(recipe)) as source, open_base(base) as opened:
        reader = RecipeReader(source)
        head = reader.head
        if head.payload_header_bytes:
            raise UsageError("recipe: rebuilds a sealed payload, which an installation does; this one has no keys")
        check_head(head, opened, limits)
        rebuilding = Rebuilding(reader, opened)
        sha256 = hashlib.sha256()
        at = 0
        with sink if isinstance(sink, Sink) else open_sink(sink, overwrite=overwrite) as target:
            target.expect(head.new_bytes)
            if expecting is not None:
                expecting(head.new_bytes)
            for piece in rebuilding.pieces():
                sha256.update(piece)
                target.write_at(at, piece)
                at += len(piece)
                if progress is not None:
                    progress(len(piece))
            if sha256.digest() != head.new_digest:
                raise TamperedError(
                    f"recipe: what it rebuilt has the digest {sha256.hexdigest()[:16]}, expected "
                    f"{head.new_digest.hex()[:16]}; the base or the recipe is damaged"
                )
            target.commit()
    return Rebuilt(at, reader.read_bytes, rebuilding.copied_bytes)


def check_head(head: Head, base: Base, limits: RecipeLimits) -> None:
    """Check that a recipe is for this base and these limits, before memory is taken. Raises NotForUsError."""
    if head.frame_bytes > limits.frame_bytes or head.reference_bytes > limits.reference_bytes:
        raise NotForUsError(
            f"recipe: frames of {head.frame_bytes} bytes and references of {head.reference_bytes}, at most "
            f"{limits.frame_bytes} and {limits.reference_bytes} are taken here"
        )
    needed = LEAST_MEMORY_BYTES + head.reference_bytes + 2 * head.frame_bytes
    if needed > limits.memory_bytes:
        raise NotForUsError(f"recipe: takes {needed} bytes of memory, {limits.memory_bytes} are taken here")
    if head.base_digest != base.digest or (head.base_entries, head.base_bytes) != (base.entries, base.layout.size):
        raise NotForUsError(
            f"recipe: made for the base {head.base_digest.hex()[:16]} of {head.base_entries} entries and "
            f"{head.base_bytes} bytes, this is {base.digest.hex()[:16]} of {base.entries} and {base.layout.size}"
        )


class Rebuilding:
    """One rebuilding, which gives its pieces once. copied_bytes: what came from the base so far.

    past_damage: go on behind a frame that cannot be unpacked, with zeros in its place, and end in front of a directory
    that cannot be made, for whoever checks every piece of what comes out: the base may be damaged in one place only.
    """

    def __init__(self, reader: RecipeReader, base: Base, *, past_damage: bool = False) -> None:
        self._reader = reader
        self._base = base
        self._past_damage = past_damage
        self._history: deque[bytes] = deque()
        self._history_bytes = 0
        # Mapped, so that memory which no block needs is never there, and what one needed is not asked for again.
        self._reference = memoryview(mmap.mmap(-1, max(1, reader.head.reference_bytes)))
        self._piece = memoryview(bytearray(_PIECE_BYTES))
        self._window = memoryview(bytearray(_PIECE_BYTES))  # of the base
        self.copied_bytes = 0

    def pieces(self) -> Iterator[memoryview]:
        """Give what is rebuilt in order; a piece is good until the next is asked for.

        Raises FormatError, TruncatedError, SourceChangedError, OSError.
        """
        head = self._reader.head
        directory = DirectoryMaker(most_bytes=head.directory_bytes) if head.directory_bytes else None
        header = head.payload_header_bytes
        for block in self._reader.blocks():
            for piece in self._block(block):
                if directory is not None:
                    directory = self._fed(directory, piece[header:])
                    header = 0
                yield piece
        if directory is not None:
            end = directory.finish()
            if len(end) != head.directory_bytes:
                raise FormatError(f"recipe: directory of {len(end)} bytes, {head.directory_bytes} are declared")
            yield memoryview(end)

    def _fed(self, directory: DirectoryMaker, piece: memoryview) -> DirectoryMaker | None:
        try:
            directory.feed(piece)
        except FormatError:
            if not self._past_damage:
                raise
            return None
        return directory

    def _block(self, block: Block) -> Iterator[memoryview]:
        """Give what a block rebuilds. Small copies and inserts share a piece: each costs its taker several calls."""
        parsed = block.parsed
        places = parsed.resolve(self._base.layout, block.where)
        reference = self._refer(parsed, places)
        try:
            data = block.frame(reference)
        except FormatError:
            if not self._past_damage:
                raise
            data = bytes(parsed.frame_bytes)
        self._remember(data)
        frame, at = memoryview(data), 0
        piece, filled = self._piece, 0
        nearby = self._nearby(places.copies, parsed.copies)
        for insert, copy in zip(parsed.inserts, parsed.copies, strict=True):
            if filled + insert > _PIECE_BYTES:
                if filled:
                    yield piece[:filled]
                    filled = 0
                while insert > _PIECE_BYTES:
                    yield frame[at : at + _PIECE_BYTES]
                    at, insert = at + _PIECE_BYTES, insert - _PIECE_BYTES
            piece[filled : filled + insert] = frame[at : at + insert]
            at, filled = at + insert, filled + insert
            if not copy:
                continue
            self.copied_bytes += copy
            start, window = next(nearby)
            if window is not None:
                if filled + copy > _PIECE_BYTES:
                    yield piece[:filled]
                    filled = 0
                piece[filled : filled + copy] = window[start : start + copy]
                filled += copy
                continue
            stop = start + copy
            while start < stop:
                count = min(stop - start, _PIECE_BYTES - filled)
                self._base.read_into(start, piece[filled : filled + count])
                start, filled = start + count, filled + count
                if filled == _PIECE_BYTES:
                    yield piece
                    filled = 0
        if filled:
            yield piece[:filled]

    def _nearby(self, starts: Sequence[int], sizes: Sequence[int]) -> Iterator[tuple[int, memoryview | None]]:
        """Give where each stretch is: an offset in the base and None where it is large, else in what was read of that.

        Small ones that follow one another in the base closely are read together.
        """
        window, first = self._window, 0
        while first < len(starts):
            low = high = starts[first]
            last = first
            while last < len(starts):
                start, size = starts[last], sizes[last]
                end = start + size
                if size > _LARGE_BYTES or start < low or start > high + _GAP_BYTES or end > low + _PIECE_BYTES:
                    break
                if end > high:
                    high = end
                last += 1
            if last == first:
                yield low, None
                first += 1
                continue
            self._base.read_into(low, window[: high - low])
            for start in starts[first:last]:
                yield start - low, window
            first = last

    def _refer(self, parsed: Parsed, places: Places) -> memoryview | bytes:
        history_bytes = parsed.history_bytes
        if not places.ranges and self._history and history_bytes == len(self._history[-1]):
            return self._history[-1]  # the usual case of a recipe from nothing, for which no copy is made
        reference, end = self._reference, 0
        sizes = parsed.range_sizes
        for (start, window), size in zip(self._nearby(places.ranges, sizes), sizes, strict=True):
            if window is None:
                self._base.read_into(start, reference[end : end + size])
            else:
                reference[end : end + size] = window[start : start + size]
            end += size
        skipped = self._history_bytes - history_bytes
        for data in self._history if history_bytes else ():
            tail = memoryview(data)[max(0, skipped) :]
            skipped -= len(data)
            reference[end : end + len(tail)] = tail
            end += len(tail)
        return reference[:end]

    def _remember(self, data: bytes) -> None:
        """Keep the frame, and forget those that no block may refer to any more."""
        most = self._reader.head.history_bytes
        if not most:
            return
        self._history.append(data)
        self._history_bytes += len(data)
        while self._history_bytes - len(self._history[0]) >= most:
            self._history_bytes -= len(self._history.popleft())
