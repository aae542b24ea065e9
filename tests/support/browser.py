"""A real browser."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.tools import require_tool


def chromium(profile: Path, *arguments: str, budget_ms: int = 2000) -> str:
    """Run headless Chromium and return what it prints. budget_ms: of its own time, until the page counts as loaded."""
    command = [*_headless(profile), f"--virtual-time-budget={budget_ms}", *arguments]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return result.stdout


@contextmanager
def open_page(profile: Path, url: str) -> Iterator[None]:
    """Keep a page open in headless Chromium, in real time; what it has to say it sends to its server."""
    command = [*_headless(profile), "--remote-debugging-port=0", url]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        try:
            yield
        finally:
            running.terminate()
            try:
                running.wait(20)
            except subprocess.TimeoutExpired:
                running.kill()


def _headless(profile: Path) -> list[str]:
    command = [require_tool("chromium"), "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    return [*command, f"--user-data-dir={profile}", "--disable-background-networking", "--no-first-run"]
