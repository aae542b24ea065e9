"""A word in a large buffer, looked for without the interpreter's lock: for keys in a folder that is sealed."""

try:
    from .._native import ffi as _ffi
    from .._native import lib as _lib

    _lib.capseal_contains  # noqa: B018 - is it there?
except (ImportError, AttributeError):  # built without a C compiler, or before this was there
    _ffi = _lib = None


def contains(data: memoryview | bytes, word: bytes) -> bool:
    """Say whether a word occurs in contiguous data. The compiled form looks three times as fast as Python's."""
    if _lib is None:
        return word in bytes(data)
    return bool(_lib.capseal_contains(_ffi.from_buffer(data), len(data), word, len(word)))
