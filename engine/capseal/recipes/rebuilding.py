"""A payload rebuilt from recipes: each segment is encrypted again, and kept where it is the one that was signed.

A segment that differs would be another plaintext under the same key and nonce: it never leaves its buffer.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

from ..bundle.companions import CompanionContent
from ..bundle.pipeline import Progress
from ..bundle.reading_order import Verified
from ..constants import DIGEST_BYTES, HEADER_BYTES, SEGMENT_BYTES
from ..crypto.segment_cipher import Header, SegmentCipher, check_commitment
from ..delta import Base, EntriesBase, Rebuilding, RecipeLimits, RecipeReader, check_head
from ..errors import CapsealError, NotForUsError, TamperedError
from ..format.segment_layout import FIRST_PLAIN_BYTES, PLAIN_BYTES
from ..format.statement import Companion, Statement
from ..format.tree import segment_count
from ..io.source import Source
from ._names import find_recipe, recipe_from_nothing, recipes_of
from .bases import KnownBase

Keep = Callable[[int, memoryview], None]
"""Takes verified bytes of the payload, and the offset where they belong."""

OpenCompanion = Callable[[Companion], tuple[Source, bytes]]
"""Gives a companion's stored bytes, to be read in order, and its index; nothing of either is verified."""

_ALL = RecipeLimits()


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of a recipe. downloaded: bytes, its index counted; problem: why it did not give all; None: it did.

    kept: segments that it gave.
    """

    name: str
    downloaded: int
    kept: int
    problem: str | None


def rebuild_missing(
    verified: Verified,
    session_key: bytes,
    *,
    bases: Sequence[KnownBase],
    open_companion: OpenCompanion,
    missing: set[int],
    keep: Keep,
    progress: Progress | None = None,
    limits: RecipeLimits = _ALL,
) -> list[Attempt]:
    """Rebuild those segments of a payload that are missing, from the recipes that its seal vouches for.

    First by the recipe of each base, in their order, then by that from nothing, each only where it is smaller than
    what is missing. missing: numbers of segments; what is kept is taken out of it. keep raises what it raises; nothing
    that is wrong with a recipe or a base does.
    """
    attempts = []
    for companion, base in _recipes(verified, bases):
        if companion.size + DIGEST_BYTES * segment_count(companion.size) >= _bytes_of(missing, verified):
            continue
        before = len(missing)
        attempt = _Attempting(verified, session_key, missing, keep, progress)
        problem = None
        try:
            attempt.rebuild(companion, base, open_companion, limits)
        except CapsealError as error:
            problem = str(error)
        if missing and problem is None:
            problem = f"{len(missing)} segments came out otherwise than they were signed"
        attempts.append(Attempt(companion.name, attempt.downloaded, before - len(missing), problem))
    return attempts


def recipes_in(statement: Statement) -> list[str]:
    """Return the names of a release's recipes."""
    return sorted(one.name for one in recipes_of(statement))


def _recipes(verified: Verified, bases: Sequence[KnownBase]) -> Iterator[tuple[Companion, Base]]:
    statement = verified.statement
    for known in bases:
        found = find_recipe(statement, known.digests)
        if found is not None:
            companion, known.base.digest = found
            yield companion, known.base
    fresh = recipe_from_nothing(statement)
    if fresh is not None:
        yield fresh, EntriesBase((), (), ())


def _bytes_of(segments: set[int], verified: Verified) -> int:
    size = verified.statement.payload.size
    return sum(min(SEGMENT_BYTES, size - segment * SEGMENT_BYTES) for segment in segments)


class _Attempting:
    """One recipe, applied once. downloaded: bytes of it that were asked for, its index counted."""

    def __init__(
        self, verified: Verified, session_key: bytes, missing: set[int], keep: Keep, progress: Progress | None
    ) -> None:
        self.downloaded = 0
        self._verified = verified
        self._session_key = session_key
        self._missing = missing
        self._keep = keep
        self._progress = progress

    def rebuild(self, companion: Companion, base: Base, open_companion: OpenCompanion, limits: RecipeLimits) -> None:
        """Keep every missing segment that comes out as it was signed. Raises CapsealError, and what keep() raises."""
        statement = self._verified.statement
        stored, index = open_companion(companion)
        self.downloaded += len(index)
        with closing(stored):
            recipe = CompanionContent(stored, companion, index, session_key=self._session_key, app=statement.app)
            before = self.downloaded
            try:
                reader = RecipeReader(recipe)
                head = reader.head
                if head.new_bytes != HEADER_BYTES + statement.content.size or head.payload_header_bytes != HEADER_BYTES:
                    raise NotForUsError(
                        f"{companion.name}: rebuilds {head.new_bytes} bytes, a header of {head.payload_header_bytes} "
                        f"counted; the bundle's content has {statement.content.size}"
                    )
                check_head(head, base, limits)
                self._encrypt(Rebuilding(reader, base, past_damage=True).pieces())
            finally:
                self.downloaded = before + recipe.read_bytes

    def _encrypt(self, pieces: Iterator[memoryview]) -> None:
        """Cut what is rebuilt into segments, until none is missing any more."""
        statement = self._verified.statement
        first = next(pieces)
        header = Header.parse(first)
        # Before anything else: with another header, or another key, no segment could come out right.
        check_commitment(self._session_key, header, statement.app, statement.encryption.commitment)
        cipher = SegmentCipher(self._session_key, header, statement.app)
        plain, out = memoryview(bytearray(PLAIN_BYTES)), memoryview(bytearray(SEGMENT_BYTES))
        left, segment, filled = statement.content.size, 0, 0
        piece = first[HEADER_BYTES:]
        while True:
            room = min(left, PLAIN_BYTES if segment else FIRST_PLAIN_BYTES)
            count = min(room - filled, len(piece))
            plain[filled : filled + count] = piece[:count]
            piece, filled = piece[count:], filled + count
            if filled == room:
                left -= room
                self._take(segment, cipher, plain[:room], out, last=not left)
                segment, filled = segment + 1, 0
                if not left or not self._missing:
                    return
            elif not piece:
                found = next(pieces, None)
                if found is None:
                    return  # in front of a directory that could not be made
                piece = found

    def _take(self, segment: int, cipher: SegmentCipher, plain: memoryview, out: memoryview, *, last: bool) -> None:
        if segment not in self._missing:
            return
        data = cipher.encrypt_run(segment, plain, last, out)
        try:
            self._verified.check_run(segment, data)
        except TamperedError:
            # Nobody may ever see it: with the right one, it would tell the difference of two plaintexts.
            out[:] = bytes(len(out))
            return
        self._keep(segment * SEGMENT_BYTES, data)
        self._missing.discard(segment)
        if self._progress is not None:
            self._progress(len(data))
