"""A real browser."""

import subprocess
from pathlib import Path

from support.tools import require_tool


def chromium(profile: Path, *arguments: str, budget_ms: int = 2000) -> str:
    """Run headless Chromium and return what it prints. budget_ms: of its own time, until the page counts as loaded."""
    command = [require_tool("chromium"), "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    flags = [
        f"--user-data-dir={profile}",
        "--disable-background-networking",
        "--no-first-run",
        f"--virtual-time-budget={budget_ms}",
    ]
    result = subprocess.run([*command, *flags, *arguments], capture_output=True, text=True, timeout=120, check=True)
    return result.stdout
