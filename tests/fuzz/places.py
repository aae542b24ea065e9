"""Where targets keep files: in memory, since an execution takes less time than a disk."""

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path


@cache
def scratch() -> Path:
    """Return a folder of this process's own, which goes with it."""
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="capseal-fuzz-", dir=memory if memory.is_dir() else None))
    atexit.register(shutil.rmtree, folder, True)
    return folder
