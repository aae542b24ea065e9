"""A word in a large buffer, looked for without the interpreter's lock: for keys in a folder that is sealed."""

try:
    from .._native import ffi as _ffi
    from .._native import lib as _lib

    _lib.capseal_contains  # noqa: B018 - is it there?
except (ImportError, AttributeError):  # built without a C compiler, or before this was there
    _ffi = _lib = None


def contains(data: memoryview | bytes, word: bytes, *, rare: int = 0) -> bool:
    """Say whether an ASCII word occurs in contiguous data, as it is or in UTF-16 of either order.

    rare: which byte of it other data has least of: the compiled form looks for that one, as fast as memory is.
    """
    if _lib is None:
        # Without its last zero, UTF-16 has the same bytes in both orders.
        found = bytes(data)
        return word in found or word.decode("ascii").encode("utf-16-le")[:-1] in found
    return bool(_lib.capseal_contains(_ffi.from_buffer(data), len(data), word, len(word), rare))
