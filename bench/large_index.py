"""What a large index takes in memory, held whole or by the level above it: `python -m bench.large_index --tib 8`.

A seal of a bundle of that size is made, of an index alone, and opened as a reader does, by new processes.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

OPEN = """
import json, sys, time
from pathlib import Path
from capseal import TrustStore
from capseal.crypto.keys import load_public_key
from capseal.bundle.opened import open_bundle

seal, key, whole_bytes = sys.argv[1:]


def peak_mib():
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


trust = TrustStore.of(load_public_key(key))
before, began = peak_mib(), time.process_time()
with open_bundle("/dev/null", trust=trust, seal=seal, whole_index_bytes=int(whole_bytes)) as opened:
    size = opened.verified.index.memory_bytes
print(json.dumps({"held_bytes": size, "grew_mib": round(peak_mib() - before, 1), "cpu_s": time.process_time() - began}))
"""


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tib", type=float, default=8)
    asked = parser.parse_args()
    from capseal.bundle.plan import OPEN_ENCRYPTION, OPEN_PAYLOAD, SealingPlan
    from capseal.constants import ANY_MEDIA_TYPE, DIGEST_BYTES, SEGMENT_BYTES
    from capseal.crypto.keys import PrivateKey
    from capseal.format.segment_layout import plain_offset
    from capseal.format.statement import Content, Statement
    from capseal.format.strictjson import Role

    segments = int(asked.tib * (1 << 40)) // SEGMENT_BYTES
    key = PrivateKey.generate(3072)
    statement = Statement(
        app="com.example.game",
        version="1",
        sequence=1,
        channel="production",
        role=Role.PRODUCTION,
        created=datetime(2026, 1, 1, tzinfo=UTC),
        content=Content("content", ANY_MEDIA_TYPE, plain_offset(segments)),
        payload=OPEN_PAYLOAD,
        encryption=OPEN_ENCRYPTION,
    )
    plan = SealingPlan.make(statement, recipients=[key.public_key])
    index = os.urandom(SEGMENT_BYTES) * (segments * DIGEST_BYTES // SEGMENT_BYTES)
    index += bytes(segments * DIGEST_BYTES - len(index))
    with tempfile.TemporaryDirectory() as name:
        seal, public = Path(name) / "seal", Path(name) / "key.pem"
        seal.write_bytes(plan.sign(index, statement.content.size, [key]).encode())
        public.write_bytes(key.public_key.pem)
        told: dict[str, object] = {"tib": asked.tib, "index_bytes": len(index)}
        for how, whole_bytes in (("held", 8 << 20), ("whole", 1 << 50)):
            command = [sys.executable, "-c", OPEN, str(seal), str(public), str(whole_bytes)]
            told[how] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
        print(json.dumps(told))


if __name__ == "__main__":
    main()
