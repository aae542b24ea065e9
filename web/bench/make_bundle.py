"""Seal a folder of random files for bench/speed.js: `python make_bundle.py FOLDER MIB` writes a bundle and its keys."""

import json
import os
import sys
import tempfile
from pathlib import Path

import capseal

FILE_BYTES = 4 * 1024 * 1024


def main(folder: Path, mebibytes: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    signer, recipient = capseal.PrivateKey.generate(3072), capseal.PrivateKey.generate(3072)
    with tempfile.TemporaryDirectory(dir=folder) as content:
        for number in range(mebibytes * 1024 * 1024 // FILE_BYTES):
            (Path(content) / f"part-{number:04}.bin").write_bytes(os.urandom(FILE_BYTES))
        settings = {"app": "com.example.bench", "version": "1", "sequence": 1}
        sink = capseal.Detached(folder / "seal", folder / "payload")
        seal = capseal.seal(content, sink, signer=signer, recipients=[recipient.public_key], **settings)
    keys = {"trust": capseal.TrustStore.of(signer.public_key).to_value(), "identity": recipient.pem().decode()}
    told = {"app": settings["app"], "content": seal.statement.content.size, "file": FILE_BYTES}
    (folder / "bench.json").write_text(json.dumps({**keys, **told}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
