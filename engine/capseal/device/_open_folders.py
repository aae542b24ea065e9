"""Folders below an open one, reached step by step, following no link."""

import os

from ..io.durable import FOLDER


class OpenFolders:
    """The way from an open root to the folder asked for last, open: most files lie where the one before lay."""

    def __init__(self, root: int) -> None:
        self._way = [("", os.open(".", FOLDER, dir_fd=root))]  # each folder's name and descriptor
        self._path = ""

    def open(self, path: str) -> int:
        """Return the descriptor of a folder, to be used until the next call. Follows no link. Raises OSError."""
        if path != self._path:
            parts = path.split("/") if path else []
            for level, part in enumerate(parts, 1):
                if level < len(self._way) and self._way[level][0] == part:
                    continue
                self._close_from(level)
                self._way.append((part, os.open(part, FOLDER, dir_fd=self._way[-1][1])))
            self._close_from(len(parts) + 1)
            self._path = path
        return self._way[-1][1]

    def close(self) -> None:
        """Close all."""
        self._close_from(0)

    def _close_from(self, level: int) -> None:
        self._path = "/"  # none has that one, should something fail on the way to the next
        while len(self._way) > level:
            os.close(self._way.pop()[1])
