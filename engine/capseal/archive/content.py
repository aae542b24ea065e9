"""What is to be sealed: a file, a stream, or a folder as its zip; opened, and checked as devices will check it."""

import os
from collections.abc import Callable, Sequence
from contextlib import closing

from ..constants import ANY_MEDIA_TYPE, ZIP_MEDIA_TYPE
from ..errors import FormatError, UsageError
from ..io.source import PathOrFile, Source, open_source
from ._own_files import is_made_by_capseal
from ._private_keys import (
    KEY_ENDINGS,
    LABEL,
    MAX_KEY_BYTES,
    KeySearch,
    holds_private_key,
    private_key_found,
    refuse_label,
)
from .check import Archive, ArchiveLimits, Look, check_archive, check_data
from .directory import DEFLATED, DESCRIPTOR, exactly, read_end, read_entries
from .local_headers import Member
from .names import check_path, shown

_CHUNK_BYTES = 1024 * 1024
_LIMITS = ArchiveLimits()
"""The devices' defaults."""


def open_content(
    content: PathOrFile | Source, *, deflate: bool = False, exclude: Sequence[str] = (), leave_out: Sequence[str] = ()
) -> Source:
    """Open a path, a binary file object or a folder; what is a source already is returned as it is.

    deflate, exclude, leave_out: of a folder, as for FolderZip. Raises UsageError, OSError.
    """
    if isinstance(content, str | os.PathLike) and os.path.isdir(content):
        from .folder_zip import FolderZip  # here, since few commands read folders

        return FolderZip(os.fspath(content), deflate=deflate, exclude=exclude, leave_out=leave_out)
    return content if isinstance(content, Source) else open_source(content)


def check_outputs(content: object, outputs: Sequence[str]) -> None:
    """Refuse to replace a file of a folder that is read: it would be lost, and the output ships without it.

    content: what is read; only the path of a folder is looked at. What capseal made, by its first bytes or as a payload
    beside its seal, may be replaced: it never ships. Raises UsageError, OSError.
    """
    if not (isinstance(content, str | os.PathLike) and os.path.isdir(content)):
        return
    root = os.stat(content)
    for output in outputs:
        place = os.path.realpath(output)
        if os.path.isfile(place) and _is_below(place, root) and not is_made_by_capseal(os.fsencode(place)):
            raise UsageError(
                f"{output}: is a file of {os.fspath(content)}, which is read, and would be lost; write to another file"
            )


def _is_below(place: str, root: os.stat_result) -> bool:
    """Say whether a real path lies below a folder, whichever way that is mounted or spelled."""
    while (above := os.path.dirname(place)) != place:
        if os.path.samestat(os.stat(above), root):
            return True
        place = above
    return False


def check_file_of_folder(path: str) -> None:
    """Refuse a file that ships by itself where it is, or holds, a private key, as FolderZip does. Raises UsageError."""
    if path.endswith(tuple(os.fsdecode(ending) for ending in KEY_ENDINGS)) and os.path.getsize(path) <= MAX_KEY_BYTES:
        refuse_label(os.fsencode(path))
    search = KeySearch()
    with open(path, "rb", buffering=0) as file:
        if any(map(search.feed, iter(lambda: file.read(_CHUNK_BYTES), b""))):
            raise private_key_found(path)


def refuse_key_file(source: Source) -> None:
    """Refuse a small file that is to be sealed as it is where it holds a private key. Raises UsageError, OSError."""
    data = source.peek(0, MAX_KEY_BYTES)
    named = source.name.endswith(tuple(os.fsdecode(ending) for ending in KEY_ENDINGS))
    if holds_private_key(data) or (named and LABEL.search(data)):
        raise UsageError(f"{source.name}: a private key, which would be shipped")


def check_content(source: Source, name: str, media_type: str, *, in_order: bool = False) -> None:
    """Check that devices will take it, before it is signed; a folder's zip was checked when it was listed.

    in_order: devices unpack a zip as it comes, and have to know of each entry where it ends.

    A zip is read through: its data must unpack, and hold no private key. A stream cannot be read twice, so it is
    no zip. Raises UsageError, which says what to do; SourceChangedError, OSError.
    """
    if hasattr(source, "left_out"):
        return
    try:
        if media_type != ZIP_MEDIA_TYPE:
            check_path(name)
            return
        if source.size is None or not source.seekable:
            raise UsageError(
                f"{source.name}: a zip is checked before it is sealed, and a stream cannot be read twice; "
                f"seal a file, or give the content type {ANY_MEDIA_TYPE} to ship it as one file, not unpacked"
            )
        archive = check_archive(source.peek, source.size, limits=_LIMITS)
        if in_order:
            _check_order(archive)
        check_data(source.peek, archive, look=_looking_for_keys(source.name))
    except FormatError as error:
        hint = "" if media_type != ZIP_MEDIA_TYPE else f" (content type {ANY_MEDIA_TYPE} ships it as one file)"
        raise UsageError(f"{source.name}: devices would refuse it: {error}{hint}") from None


def _check_order(archive: Archive) -> None:
    """Raise FormatError where Java's ZipInputStream refuses an entry, and Android's plugin with it."""
    for entry in (member.entry for member in archive.members):
        if entry.flags & DESCRIPTOR and entry.method != DEFLATED:
            raise FormatError(
                f"entry {shown(entry.path)}: stored with its size behind it, which ZipInputStream of Java and Android "
                "refuses; zip it again with the method deflate, or not as a stream"
            )


def _looking_for_keys(name: str) -> Look:
    """Return what looks at every file of a zip of that name. It raises UsageError at a private key."""

    def look(member: Member) -> Callable[[bytes], None]:
        search = KeySearch()

        def see(piece: bytes) -> None:
            if search.feed(piece):
                entry = shown(member.entry.path)
                raise UsageError(f"{name}: entry {entry}: a private key, which would be shipped; zip it again without")

        return see

    return look


def deflated_files(path: str) -> int:
    """Return how many files of a zip are deflated; 0 of what is no zip. Raises OSError."""
    with closing(open_source(path)) as source:
        try:
            end = read_end(source.peek, source.size or 0)
            entries = read_entries(exactly(source.peek, end.start, end.size), end)
        except FormatError:
            return 0
    return sum(entry.method == DEFLATED and entry.size > 0 for entry in entries)
