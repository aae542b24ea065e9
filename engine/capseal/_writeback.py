"""Early writeback: the disk writes a file while it is still being made, so that the last fsync() has little to do."""

try:
    from ._native import lib as _lib
except ImportError:  # built without a C compiler
    _lib = None


def start_writeback(fd: int, offset: int, size: int) -> None:
    """Have the kernel start writing a range of a file, in bytes, and return without waiting.

    Only a hint (Linux: sync_file_range(2)); what fails is told by the next fsync().
    """
    if _lib is not None:
        _lib.capseal_start_writeback(fd, offset, size)
