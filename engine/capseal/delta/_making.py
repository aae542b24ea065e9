"""Making a recipe, on the publisher's machine: several ways to cut it are tried, and the smallest result is taken.

Which way is best depends on the content and cannot be told beforehand (docs/delta.md, How it is made). All is
deterministic: the tries are chosen by sizes, not by the clock.
"""

import os
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from typing import Any

from ..archive.content import check_outputs, open_content
from ..io.sink import PathOrFile, Sink, open_sink
from ..io.source import Source
from ..native import processors
from ..native.matching import Bytes
from . import _codec
from ._base import Base, open_base
from ._layout import Layout
from ._plaintexts import NewContent, mapped_base, new_content
from ._planning import Matches, Plan, Shape
from ._recipe import BLOCK_HEAD, STORED, ZSTD, Head, Instructions

_MIB = 1024 * 1024
_LEVEL = 12
_HIGHEST_LEVEL = 19
_INSTRUCTION_LEVEL = 19
_COPY_BYTES = (256, 512, 1024)
_BETWEEN_BYTES = 512  # is tried only where smaller copies are too many for a device
_SHAPES = (
    Shape(frame_bytes=8 * _MIB, reference_bytes=32 * _MIB, history_bytes=8 * _MIB, margin_bytes=4096),
    Shape(frame_bytes=4 * _MIB, reference_bytes=16 * _MIB, history_bytes=0, margin_bytes=4096),
    Shape(frame_bytes=1 * _MIB, reference_bytes=4 * _MIB, history_bytes=0, margin_bytes=1024),
)
_FROM_NOTHING = Shape(frame_bytes=8 * _MIB, reference_bytes=8 * _MIB, history_bytes=8 * _MIB, margin_bytes=0)
# Of a core of 2020, at most: what a try may take is counted in bytes, so that equal inputs give equal recipes.
_LEVEL_BYTES_PER_S = 24 * _MIB
_HIGHEST_LEVEL_BYTES_PER_S = 1 * _MIB
_REFERENCE_COST = 0.5  # of a byte of a reference, in bytes of a frame
_BUDGET_S_PER_BYTE = 7 / 100e6
_LEAST_BUDGET_S = 1.0
_MAX_JOBS = 4  # each takes up to 150 MiB


@dataclass(frozen=True, slots=True)
class Made:
    """What was made. sizes in bytes; frames_bytes: what no copy covers, before it is compressed; tries: ways tried."""

    recipe_bytes: int
    new_bytes: int
    base_bytes: int
    frames_bytes: int
    frame_bytes: int
    reference_bytes: int
    level: int
    tries: int


def make_recipe(
    base: str | os.PathLike[str] | Base,
    new: PathOrFile | Source | NewContent,
    sink: PathOrFile | Sink,
    *,
    base_digest: bytes | None = None,
    overwrite: bool = False,
    jobs: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Made:
    """Write the recipe that makes the new content from the base, to a sink, which is committed.

    base: a folder or a zip; an empty folder makes a recipe from nothing. new: a folder, which becomes its zip, a
    file, or what several recipes are made for (new_content()). base_digest: of the payload that the base was installed
    from, where it is that of a sealed bundle. jobs: threads, by default one for each processor, at most 4; the recipe
    is the same. progress: told how many bytes of the new content are done, all of it in the end. Both plaintexts are
    copied to files without names in the folder for temporary files. Raises UsageError without the compiled module,
    SourceChangedError, OSError.
    """
    if overwrite and isinstance(sink, str | os.PathLike):
        check_outputs(base, [os.fspath(sink)])
        check_outputs(new, [os.fspath(sink)])
    with ExitStack() as held:
        target = held.enter_context(sink if isinstance(sink, Sink) else open_sink(sink, overwrite=overwrite))
        opened = held.enter_context(open_base(base))
        if not isinstance(new, NewContent):
            new = held.enter_context(new_content(held.enter_context(closing(open_content(new)))))
        old = held.enter_context(mapped_base(opened))
        threads = held.enter_context(ThreadPoolExecutor(min(_MAX_JOBS, jobs or processors())))
        done = _Done(new.bytes, progress)
        tries = [held.enter_context(closing(one)) for one in _tries(old, new, opened.layout, threads, done)]
        best = min(tries, key=lambda one: one.bytes)
        head = Head(
            payload_header_bytes=new.header_bytes,
            frame_bytes=best.frame_bytes,
            reference_bytes=best.reference_bytes,
            history_bytes=best.history_bytes,
            base_entries=opened.entries,
            base_bytes=opened.layout.size,
            new_bytes=new.bytes,
            directory_bytes=new.directory_bytes,
            base_digest=base_digest or opened.digest,
            new_digest=new.digest,
        ).encode()
        target.write_at(0, head)
        best.copy_to(target, len(head))
        target.commit()
        done.finish()
    return Made(
        len(head) + best.bytes, new.bytes, len(old), best.plan.residual_bytes,
        best.frame_bytes, best.reference_bytes, best.level, len(tries),
    )  # fmt: skip


class _Done:
    """How far the making is: to find matches is half of it, and all tries together are the rest."""

    def __init__(self, new_bytes: int, told: Callable[[int], None] | None) -> None:
        self._new_bytes, self._told = new_bytes, told
        self._reached = self._packed = 0
        self._to_pack = 1

    def found(self, to_pack: int) -> None:
        """Say that the matches are found, and how many bytes of frames the tries have together."""
        self._to_pack = max(1, to_pack)
        self._reach(self._new_bytes // 2)

    def packed(self, frame_bytes: int) -> None:
        """Say that a frame of that many bytes is packed."""
        self._packed = min(self._to_pack, self._packed + frame_bytes)
        half = self._new_bytes // 2
        self._reach(half + (self._new_bytes - half) * self._packed // self._to_pack)

    def finish(self) -> None:
        """Say that all is done."""
        self._reach(self._new_bytes)

    def _reach(self, at: int) -> None:
        step, self._reached = at - self._reached, at
        if step > 0 and self._told is not None:
            self._told(step)


def _tries(old: Any, new: NewContent, layout: Layout, threads: ThreadPoolExecutor, done: _Done) -> Iterator["_Try"]:
    """Try shapes while the budget lasts, at least one; the best once more at the highest level, where that is cheap."""
    fresh, header_bytes = new.data, new.header_bytes
    matches = Matches(old, fresh, copy_bytes=_COPY_BYTES, header_bytes=header_bytes)
    if not len(old):
        plan = Plan(matches, copy_bytes=_COPY_BYTES[0])
        done.found(plan.residual_bytes)
        yield _Try(plan, fresh, layout, _FROM_NOTHING, level=_LEVEL, threads=threads, done=done)
        return
    left_s = max(_LEAST_BUDGET_S, len(fresh) * _BUDGET_S_PER_BYTE)
    chosen: list[tuple[Plan, Shape]] = []
    ways = [(Plan(matches, copy_bytes=copy_bytes), shape) for copy_bytes in _COPY_BYTES for shape in _SHAPES]
    for plan, shape in ways:
        if chosen and plan.copy_bytes == _BETWEEN_BYTES:
            continue
        cost_s = plan.cost_bytes(shape, _REFERENCE_COST) / _LEVEL_BYTES_PER_S
        if (not chosen or cost_s <= left_s) and plan.fits_devices(shape):
            left_s -= cost_s
            chosen.append((plan, shape))
    chosen = chosen or ways[-2:-1]  # large copies and no history, which takes a device least
    done.found(sum(plan.residual_bytes for plan, _ in chosen))
    best: _Try | None = None
    for plan, shape in chosen:
        one = _Try(plan, fresh, layout, shape, level=_LEVEL, threads=threads, done=done)
        best = one if best is None or one.bytes < best.bytes else best
        yield one
    if best is not None and best.worked_bytes / _HIGHEST_LEVEL_BYTES_PER_S <= left_s:
        yield _Try(best.plan, fresh, layout, best.shape, level=_HIGHEST_LEVEL, threads=threads, done=done)


class _Try:
    """One way to cut and compress the blocks, in a file without a name. The sizes of frames are the largest."""

    def __init__(
        self,
        plan: Plan,
        fresh: Any,
        layout: Layout,
        shape: Shape,
        *,
        level: int,
        threads: ThreadPoolExecutor,
        done: _Done,
    ) -> None:
        self.plan, self.shape, self.level = plan, shape, level
        self._done = done
        self.bytes = self.frame_bytes = self.reference_bytes = self.history_bytes = self.worked_bytes = 0
        self._spool = tempfile.TemporaryFile()
        waiting: deque[Future[tuple[bytes, Instructions]]] = deque()
        history = b""
        for planned in plan.blocks(shape):
            frame = planned.frame(fresh)
            tail = history[len(history) - planned.instructions.history_bytes :]
            if shape.history_bytes:
                history = (history + bytes(frame))[-shape.history_bytes :]
            waiting.append(threads.submit(_block, planned.instructions, frame, plan.base, tail, layout, level))
            if len(waiting) > _MAX_JOBS:
                self._write(*waiting.popleft().result())
        while waiting:
            self._write(*waiting.popleft().result())

    def copy_to(self, target: Sink, at: int) -> None:
        """Write the blocks to a sink, from an offset on."""
        self._spool.seek(0)
        while chunk := self._spool.read(_MIB):
            target.write_at(at, chunk)
            at += len(chunk)

    def close(self) -> None:
        """Forget the blocks."""
        self._spool.close()

    def _write(self, block: bytes, instructions: Instructions) -> None:
        self._spool.write(block)
        self._done.packed(instructions.frame_bytes)
        self.bytes += len(block)
        self.worked_bytes += instructions.frame_bytes + instructions.reference_bytes
        self.frame_bytes = max(self.frame_bytes, instructions.frame_bytes)
        self.reference_bytes = max(self.reference_bytes, instructions.reference_bytes)
        self.history_bytes = max(self.history_bytes, instructions.history_bytes)


def _block(
    instructions: Instructions, frame: Any, base: Bytes, tail: bytes, layout: Layout, level: int
) -> tuple[bytes, Instructions]:
    """Return a block's bytes, and its instructions: without a reference where the frame is better stored."""
    codec, stored = STORED, bytes(frame)
    if stored:
        stretches = [base[stretch.at : stretch.at + stretch.size].data for stretch in instructions.ranges]
        packed = _codec.packed(frame, reference=b"".join([*stretches, tail]), level=level)
        if len(packed) < len(stored):
            codec, stored = ZSTD, packed
    if codec == STORED:
        instructions = replace(instructions, ranges=[], history_bytes=0)
    plain = instructions.encode(layout)
    packed = _codec.packed(plain, level=_INSTRUCTION_LEVEL)
    shorter = packed if len(packed) < len(plain) else plain  # of equal lengths a reader takes them as they are
    return BLOCK_HEAD.pack(codec, len(shorter), len(plain), len(stored)) + shorter + stored, instructions
