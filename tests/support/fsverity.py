"""The published fs-verity vectors, and our digest of any bytes."""

from functools import cache

import numpy as np

from capseal.format import tree

# Sizes and digests of the published fs-verity vectors: byte i is ((i%11)+(i%439)+(i%1103))&255.
PUBLISHED = {
    1000000: "48df0c462329cd879661bd05b39aa81b05cc16afd27a7196a559da83531d39d9",
    100000: "f2096a36c5cdca4fa33ee8852833150bb324992e5417a9d571f1bffff73b9efc",
    4096: "6ac39979016e3ddf3d39fff6cb984f7c118acdf1852919f5c100c4b142c1818e",
    1: "b803429503d95915829b29fdbc8bbad142f3abfd11b1cadf5526582e685c0551",
    0: "3d248ca542a24fc62d1c43b916eae5016878e2533c88238480b26128a1f1af95",
}


@cache
def published_bytes(size: int) -> bytes:
    i = np.arange(size)
    return (((i % 11) + (i % 439) + (i % 1103)) & 255).astype(np.uint8).tobytes()


def our_digest(data: bytes) -> bytes:
    index = tree.index_entries(memoryview(data), whole_payload=True)
    assert len(index) == 32 * tree.segment_count(len(data))
    return tree.digest(index, len(data))
