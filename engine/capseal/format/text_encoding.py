"""Text as Windows' editors and shells write it: with a byte order mark, or in UTF-16."""

from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE


def as_utf8(data: bytes) -> bytes:
    """Return text in UTF-8 without a byte order mark; what has none, or is no text, comes back as it is."""
    if data.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        try:
            return data.decode("utf-16").encode()
        except UnicodeError:
            return data
    return data.removeprefix(BOM_UTF8)
