"""A plugin of pytest's: takes away from Python, and from the compiled module, what only Linux has, as macOS would."""

import os
import shutil

from capseal.native import filehints

ABSENT = (
    "copy_file_range",
    "fdatasync",
    "getxattr",
    "memfd_create",
    "posix_fadvise",
    "posix_fallocate",
    "sched_getaffinity",
    "sched_setaffinity",
    "setxattr",
    "splice",
)
"""Calls of the module os that CPython has not got on macOS."""

for name in ABSENT:
    if hasattr(os, name):
        delattr(os, name)

# From Python 3.14 on; shutil asked os when it was imported.
shutil._USE_CP_COPY_FILE_RANGE = False

# What csrc/file compiles to where it is not for Linux: hints that do nothing, and nothing lives in memory.
filehints._lib = None
