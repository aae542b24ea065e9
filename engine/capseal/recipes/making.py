"""The recipes of a bundle that is being sealed: from several bases and from nothing, at once, each a companion."""

import os
import tempfile
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import BinaryIO, Self, cast

from ..bundle.seal import CompanionSource
from ..delta import Base, EntriesBase, NewContent, make_recipe, new_content
from ..errors import UsageError
from ..io.source import Source
from ..native import processors
from ._names import FROM_NOTHING, RECIPE_TYPE, recipe_name
from .bases import KnownBase

_MAX_TOGETHER = 4
_TOGETHER_BYTES = 512 * 1024 * 1024
"""As many recipes are made at once as have bases that are no larger together: each has a table of its base."""


@dataclass(frozen=True, slots=True)
class MadeRecipe:
    """A recipe, and whether it is worth its place.

    base: what it is from, for people; None: from nothing. bytes: before it is sealed.
    """

    name: str
    base: str | None
    bytes: int
    kept: bool


class RecipeMaker:
    """Makes the recipes of one bundle, for seal(); their plaintexts are in files without names until it is left.

    made: what came of it, from nothing first, then in the order of the bases.
    """

    def __init__(
        self,
        bases: Sequence[KnownBase],
        *,
        place: Callable[[str], str | os.PathLike[str]],
        keep_all: bool = False,
        jobs: int | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> None:
        """place: where the stored bytes of a recipe of that name go. keep_all: also those that are no gain.

        Otherwise one is left out that is above half of what a download from nothing takes, and that from nothing where
        it is no smaller than the content. progress: told how far all recipes together are, in bytes of the content.
        """
        self.made: tuple[MadeRecipe, ...] = ()
        self._bases = {recipe_name(one.digests[0]): one for one in bases}
        self._place = place
        self._keep_all = keep_all
        self._jobs = jobs or processors()
        self._progress = progress
        self._held = ExitStack()

    def __call__(self, header: bytes, content: Source) -> list[CompanionSource]:
        """Make them. Raises UsageError where the content is a stream, SourceChangedError, OSError."""
        if not content.seekable or content.size is None:
            raise UsageError(f"{content.name}: recipes are made before it is sealed, and a stream is read only once")
        with new_content(content, payload_header=header) as new:
            files = self._make_all(new)
        sizes = {name: os.fstat(file.fileno()).st_size for name, file in files.items()}
        whole = min(sizes[FROM_NOTHING], content.size)
        self.made = tuple(
            MadeRecipe(
                name,
                self._bases[name].shown if name in self._bases else None,
                size,
                self._keep_all or (size < content.size if name == FROM_NOTHING else size * 2 <= whole),
            )
            for name, size in sizes.items()
        )
        kept = [one.name for one in self.made if one.kept]
        return [
            CompanionSource(name=name, media_type=RECIPE_TYPE, source=files[name], payload=self._place(name))
            for name in kept
        ]

    @property
    def outputs(self) -> list[str]:
        """Where recipes will be written, should all be kept."""
        return [os.fspath(self._place(name)) for name in (FROM_NOTHING, *self._bases)]

    def close(self) -> None:
        """Forget the plaintexts."""
        self._held.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _make_all(self, new: NewContent) -> dict[str, BinaryIO]:
        nothing = EntriesBase((), (), ())
        # One of a base is read by one thread at a time, and so is the new content: it is mapped.
        wanted: dict[str, tuple[Base, bytes | None]] = {FROM_NOTHING: (nothing, None)}
        wanted |= {name: (one.base, one.digests[0]) for name, one in self._bases.items()}
        largest = max((one.base.layout.size for one in self._bases.values()), default=0)
        together = max(1, min(_MAX_TOGETHER, self._jobs, _TOGETHER_BYTES // max(1, largest)))
        files = {name: cast(BinaryIO, self._held.enter_context(tempfile.TemporaryFile())) for name in wanted}
        told = _shared(self._progress, len(wanted))

        def make(name: str) -> None:
            base, digest = wanted[name]
            make_recipe(base, new, files[name], base_digest=digest, jobs=max(1, self._jobs // together), progress=told)
            files[name].seek(0)

        with ThreadPoolExecutor(together) as threads:
            for done in [threads.submit(make, name) for name in wanted]:
                done.result()
        return files


def _shared(progress: Callable[[int], None] | None, recipes: int) -> Callable[[int], None] | None:
    """Return what each of so many recipes is to tell of its content, from any thread: together they tell it once."""
    if progress is None:
        return None
    lock = threading.Lock()
    rest = 0

    def told(size: int) -> None:
        nonlocal rest
        with lock:
            step, rest = divmod(rest + size, recipes)
            progress(step)

    return told
