"""The one check of an archive: what passes can be installed. The device runs it, and so does whoever seals.

Memory: the directory, at most 32 MiB, and what is kept of each entry.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..errors import FormatError
from .directory import Entry, ReadAt, exactly, read_end, read_entries
from .local_headers import Member, check_places, content_of
from .names import Names

Look = Callable[[Member], Callable[[bytes], None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveLimits:
    """What a bundle may unpack to.

    content_bytes: size of all files together; entries: files and folders, those that only names of
    others imply counted; ratio: content bytes per byte of the archive (deflate can reach 1032).
    """

    content_bytes: int = 64 * 1024**3
    entries: int = 100_000
    ratio: int = 100


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive that passed. members: in the order of their data; folders: named and implied, parents first."""

    members: Sequence[Member]
    folders: Sequence[str]
    content_bytes: int

    @property
    def files(self) -> list[Member]:
        """The members that are files."""
        return [member for member in self.members if not member.entry.is_folder]


def check_archive(read_at: ReadAt, archive_bytes: int, *, limits: ArchiveLimits) -> Archive:
    """Check everything that an archive declares, before any data of it is unpacked.

    read_at: returns bytes of the archive at an offset. Raises FormatError, whose message names the entry and
    what to do, and only where the bytes prove it; SourceChangedError; and what reading raises.
    """
    end = read_end(read_at, archive_bytes)
    if end.count > limits.entries:
        raise FormatError(f"archive: {end.count} entries, at most {limits.entries} are allowed; ship fewer files")
    entries = read_entries(exactly(read_at, end.start, end.size), end)
    check_sizes(sum(entry.size for entry in entries), archive_bytes, limits=limits)
    names = _check_names(entries, limits)
    members = check_places(read_at, entries, end.start)
    return Archive(members, names.folders, sum(entry.size for entry in entries))


def check_sizes(content_bytes: int, archive_bytes: int, *, limits: ArchiveLimits) -> None:
    """Check what an archive unpacks to, in bytes. Raises FormatError."""
    if content_bytes > limits.content_bytes:
        raise FormatError(f"archive: unpacks to {content_bytes} bytes, at most {limits.content_bytes} are allowed")
    if content_bytes > limits.ratio * archive_bytes:
        raise FormatError(
            f"archive: {archive_bytes} bytes unpack to {content_bytes}, at most {limits.ratio} times as many are "
            "allowed; store files in place of deflating them"
        )


def check_data(read_at: ReadAt, archive: Archive, *, look: Look | None = None) -> None:
    """Unpack everything to nowhere: data that is damaged is found, and so is a folder's, which some readers unpack.

    look: is given each member, and returns what is given its content, piece by piece. Raises as content_of().
    """
    for member in archive.members:
        see = None if look is None else look(member)
        for piece in content_of(read_at, member):
            if see is not None:
                see(piece)


def _check_names(entries: Sequence[Entry], limits: ArchiveLimits) -> Names:
    names = Names(limit=limits.entries)
    rooted = False
    for entry in entries:
        if not entry.path:
            if rooted:
                raise FormatError("entry './': appears twice; zip it again")
            rooted = True
        elif entry.is_folder:
            names.add_folder(entry.path)
        else:
            names.add_file(entry.path)
    return names
