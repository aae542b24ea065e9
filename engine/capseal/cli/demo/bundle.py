"""The bundle's part of capseal demo: keys, seal, verify, one bit flipped, unseal."""

import os
from collections.abc import Callable

from ...errors import TamperedError
from .memory import CHUNK_BYTES
from .scene import APP, DemoFailedError, Done, Scene

BUNDLE_BYTES = 128 * 1024 * 1024
WRITING = ("seal", "unseal")
"""The steps that write as much as the bundle has."""


def make_bundle(scene: Scene, *, size: int) -> Done:
    """Write a bundle of that many bytes, in whole chunks."""
    with open(scene.path, "xb") as file:
        chunk = os.urandom(CHUNK_BYTES)  # the same again and again: no step is faster for it
        for _ in range(size // CHUNK_BYTES):
            file.write(chunk)
    return Done(f"{size:,} bytes", size)


def _make_keys(scene: Scene) -> Done:
    from ...constants import MIN_RSA_BITS
    from ...crypto.keys import PrivateKey
    from ...trust.store import TrustStore

    scene.signer = PrivateKey.generate(MIN_RSA_BITS)
    scene.device = PrivateKey.generate(MIN_RSA_BITS)
    scene.trust = TrustStore.of(scene.signer.public_key)
    return Done(f"RSA-{MIN_RSA_BITS}: one signs, one is the device's")


def _seal(scene: Scene) -> Done:
    import capseal

    scene.seal = capseal.seal(
        scene.path,
        scene.sealed,
        signer=scene.signer,
        recipients=[scene.device.public_key],
        app=APP,
        version="1.0.0",
    )
    size = scene.seal.statement.content.size
    return Done(f"{size:,} bytes, encrypted, hashed and signed", size)


def _verify(scene: Scene) -> Done:
    import capseal

    verified = capseal.verify(scene.sealed, trust=scene.trust)
    return Done("every byte checked, with no secret", verified.statement.payload.size)


def _tamper(scene: Scene) -> Done:
    import capseal

    from ...constants import SEGMENT_BYTES

    segments = len(scene.seal.index) // 32
    segment = segments // 2
    size = scene.seal.statement.payload.size
    offset = (segment * SEGMENT_BYTES + min((segment + 1) * SEGMENT_BYTES, size)) // 2
    _flip_bit(scene, offset)
    try:
        capseal.verify(scene.sealed, trust=scene.trust)
    except TamperedError as error:
        if error.segment != segment:
            raise DemoFailedError(f"segment {segment} was altered, segment {error.segment} was blamed") from error
        _flip_bit(scene, offset)
        return Done(f"payload byte {offset:,} altered: verify REJECTED it and said", note=str(error))
    raise DemoFailedError(f"segment {segment} was altered, and the bundle was accepted")


def _unseal(scene: Scene) -> Done:
    import capseal

    verified = capseal.unseal(scene.sealed, scene.opened, identity=scene.device, trust=scene.trust)
    return Done("bit restored, checked and decrypted", verified.statement.content.size)


def _compare(scene: Scene) -> Done:
    from ...archive.content import open_content
    from ...io.source import open_source

    original, opened = open_content(scene.path), open_source(scene.opened)
    try:
        ours, theirs = bytearray(CHUNK_BYTES), bytearray(CHUNK_BYTES)
        position = 0
        while True:
            count = original.read_into(position, memoryview(ours))
            # As bytes: memoryviews are compared item by item.
            if opened.read_into(position, memoryview(theirs)) != count or ours[:count] != theirs[:count]:
                raise DemoFailedError(f"what was unsealed differs from the original after byte {position}")
            position += count
            if count < CHUNK_BYTES:
                return Done("identical to the original", position)
    finally:
        original.close()
        opened.close()


STEPS: tuple[tuple[str, Callable[[Scene], Done]], ...] = (
    ("make keys", _make_keys),
    ("seal", _seal),
    ("verify", _verify),
    ("flip one bit", _tamper),
    ("unseal", _unseal),
    ("compare", _compare),
)


def _flip_bit(scene: Scene, payload_offset: int) -> None:
    with open(scene.sealed, "r+b") as file:
        file.seek(len(scene.seal.encode()) + payload_offset)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 1]))
