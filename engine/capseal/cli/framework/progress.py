"""A progress bar on standard error, for what takes more than a second, where a person is looking."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from .console import is_watched
from .exit_codes import note_step

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn

QUIET_S = 1.0


@contextmanager
def shown(label: str, *paths: str, output: str | None = None) -> Iterator[Callable[[int], None] | None]:
    """Give the callback that moves the bar, or None where none can be shown.

    paths: what is read, their size is the bar's length; output: where results go. Standard output is
    where another program may be drawing.
    """
    if not is_watched() or output == "-":
        with noted(label):
            yield None
        return
    sizes = [None if path == "-" else size_of(path) for path in paths]
    bar = _Bar(label, None if None in sizes else sum(filter(None, sizes)))
    try:
        with noted(label):
            yield bar.advance
    finally:
        bar.close()


@contextmanager
def transferred(label: str, *, output: str | None = None) -> Iterator[dict[str, Callable[[int], None]]]:
    """Give a bar as keywords of a transfer: `expecting` is told its length, which is signed, `progress` moves it.

    None of them where no bar can be shown. output: where results go.
    """
    with _told(_Bar(label, None), output) as bar:
        yield bar


@contextmanager
def counted(label: str) -> Iterator[dict[str, Callable[[int], None]]]:
    """Give a bar as transferred() does, of things rather than bytes."""
    with _told(_Bar(label, None, of_bytes=False), None) as bar:
        yield bar


@contextmanager
def waiting(label: str) -> Iterator[None]:
    """Show what is waited for, of which nobody knows how long it takes, such as a key."""
    if not is_watched():
        yield
        return
    import threading

    shown: list[Progress] = []
    timer = threading.Timer(QUIET_S, lambda: shown.append(_started_spinner(label)))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        for one in shown:
            with suppress(OSError):
                one.stop()


@contextmanager
def _told(bar: "_Bar", output: str | None) -> Iterator[dict[str, Callable[[int], None]]]:
    label = bar.label
    if not is_watched() or output == "-":
        with noted(label):
            yield {}
        return
    try:
        with noted(label):
            yield {"expecting": bar.expect, "progress": bar.advance}
    finally:
        bar.close()


@contextmanager
def noted(label: str) -> Iterator[None]:
    """Let an OSError say at which step it came."""
    try:
        yield
    except OSError as error:
        note_step(error, f"while {label.lower()}")
        raise


@contextmanager
def in_steps() -> Iterator[Callable[[str, str | os.PathLike[str]], Callable[[int], None] | None]]:
    """Give what makes a step with a bar of its own: of its label and the file or folder that it goes through.

    Its bar takes the place of the one before with the first bytes that are done.
    """
    bars: list[_Bar] = []

    def begin(label: str, path: str | os.PathLike[str]) -> Callable[[int], None] | None:
        if not is_watched():
            return None
        bar = _Bar(label, size_of(os.fspath(path)))
        bars.append(bar)

        def advance(size: int) -> None:
            for other in bars:
                if other is not bar:
                    other.close()
            bar.advance(size)

        return advance

    try:
        yield begin
    finally:
        for bar in bars:
            bar.close()


class _Bar:
    """A bar that appears with the first bytes that are done after QUIET_S."""

    def __init__(self, label: str, total: int | None, *, of_bytes: bool = True) -> None:
        self.label = label
        self._of_bytes = of_bytes
        self._total = total
        self._done = 0
        self._started_s = time.monotonic()
        self._shown: Progress | None = None

    def expect(self, total: int) -> None:
        self._total = total

    def advance(self, size: int) -> None:
        self._done += size
        with suppress(OSError):  # of a terminal that is gone, which is no reason to stop
            self._show()

    def _show(self) -> None:
        if self._shown is None:
            if time.monotonic() - self._started_s < QUIET_S:
                return
            self._shown = _make() if self._of_bytes else _make_counting()
            self._task = self._shown.add_task(self.label, total=self._total, completed=self._done)
            self._shown.start()
        self._shown.update(self._task, completed=self._done)

    def close(self) -> None:
        shown, self._shown = self._shown, None
        if shown is not None:
            with suppress(OSError):
                shown.stop()


def _make() -> "Progress":
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    return _of_columns(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )


def _make_counting() -> "Progress":
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

    return _of_columns(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())


def _started_spinner(label: str) -> "Progress":
    from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

    made = _of_columns(SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with suppress(OSError):  # of a terminal that is gone, which is no reason to stop
        made.add_task(label, total=None)
        made.start()
    return made


def _of_columns(*columns: "ProgressColumn") -> "Progress":
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    return Progress(*columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False)


def size_of(path: str) -> int | None:
    """Return how many bytes a file or folder holds, or None where only reading it will tell."""
    if os.path.isdir(path):
        return sum(os.lstat(os.path.join(folder, name)).st_size for folder, _, names in os.walk(path) for name in names)
    return os.path.getsize(path) if os.path.isfile(path) else None
