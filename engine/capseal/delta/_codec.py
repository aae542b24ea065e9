"""Frames: zstd against a reference, by the zstandard library; what is unpacked is bounded before it is (RFC 8878)."""

from typing import Any

import zstandard

from ..errors import FormatError

_MAGIC = b"\x28\xb5\x2f\xfd"
_WINDOW_LOG = 23  # a frame is at most 8 MiB
_SETTINGS: dict[str, Any] = {"write_checksum": 0, "write_content_size": 1, "write_dict_id": 0, "enable_ldm": 0}


def packed(data: Any, *, reference: Any = b"", level: int) -> bytes:
    """Compress a frame against a reference, any buffers."""
    parameters = zstandard.ZstdCompressionParameters.from_level(
        level, source_size=len(data), dict_size=len(reference), window_log=_WINDOW_LOG, **_SETTINGS
    )
    return zstandard.ZstdCompressor(compression_params=parameters, **_dictionary(reference)).compress(data)


def unpacked(data: Any, size: int, *, reference: Any = b"", where: str) -> bytes:
    """Return the frame of that many bytes, all of which `data` must be. Raises FormatError.

    where: what it is, for messages. Memory: the frame, and a copy of the reference.
    """
    try:
        declared = zstandard.get_frame_parameters(data)
        if bytes(data[:4]) != _MAGIC or declared.content_size != size or declared.has_checksum or declared.dict_id:
            raise FormatError(f"{where}: no plain zstd frame of {size} bytes")
        unpacker = zstandard.ZstdDecompressor(max_window_size=1 << _WINDOW_LOG, **_dictionary(reference))
        result = unpacker.decompress(data, max_output_size=size, read_across_frames=False, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise FormatError(f"{where}: cannot be unpacked: {error}") from error
    if len(result) != size:
        raise FormatError(f"{where}: unpacks to {len(result)} bytes, expected {size}")
    return result


def _dictionary(reference: Any) -> dict[str, Any]:
    if not len(reference):
        return {}
    return {"dict_data": zstandard.ZstdCompressionDict(reference, dict_type=zstandard.DICT_TYPE_RAWCONTENT)}
