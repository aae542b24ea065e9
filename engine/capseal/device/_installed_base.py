"""An installed bundle as the base of a recipe: headers from its manifest, content from its files."""

import os
from contextlib import suppress

from zlib_ng.zlib_ng import crc32

from ..delta import EntriesBase
from ._manifest import ContentManifest

# A named pipe in place of a file must not hang the installation.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CHUNK_BYTES = 1024 * 1024


class InstalledBase(EntriesBase):
    """The files of a bundle. What is damaged or missing reads as zeros: what is rebuilt from it is checked anyway."""

    def __init__(self, folder: str, manifest: ContentManifest) -> None:
        """folder: of the content."""
        self._folder = folder
        self._open: tuple[int, int] | None = None  # number of the entry that was read last, and its descriptor
        files = {path.encode(): file for path, file in manifest.files.items()}
        names = sorted([*files, *(path.encode() + b"/" for path in manifest.folders)])
        sizes = [files[name].size if name in files else 0 for name in names]
        crcs = [0] * len(names)
        for number, name in enumerate(names):
            if name in files:
                crc = files[name].crc
                crcs[number] = self._crc_of(name) if crc is None else crc
        super().__init__(names, sizes, crcs)

    def close(self) -> None:
        if self._open is not None:
            os.close(self._open[1])
            self._open = None

    def _read_data(self, number: int, offset: int, buffer: memoryview) -> None:
        done = 0
        with suppress(OSError):
            if self._open is None or self._open[0] != number:
                self.close()
                self._open = number, os.open(self._path(self._names[number]), _FILE)
            while done < len(buffer) and (count := os.preadv(self._open[1], [buffer[done:]], offset + done)):
                done += count
        buffer[done:] = bytes(len(buffer) - done)

    def _path(self, name: bytes) -> str:
        return os.path.join(self._folder, name.decode())

    def _crc_of(self, name: bytes) -> int:
        """Return the CRC-32 of a file whose manifest does not say it; whatever, where it cannot be read."""
        crc = 0
        with suppress(OSError), os.fdopen(os.open(self._path(name), _FILE), "rb", buffering=0) as file:
            while chunk := file.read(_CHUNK_BYTES):
                crc = crc32(chunk, crc)
        return crc
