"""Files that commands make and never overwrite."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from ...errors import UsageError
from ...io.drafts import NewFiles


@contextmanager
def new_files(paths: Iterable[str]) -> Iterator[NewFiles]:
    """Give NewFiles; that one of the paths exists already is the user's mistake. Raises UsageError, OSError."""
    try:
        with NewFiles(paths) as files:
            yield files
    except FileExistsError as error:
        raise UsageError(f"{error.filename}: exists already, and is not overwritten") from None
