"""Seal random content for bench/speed.js: `python make_bundle.py FOLDER MIB` writes a bundle and its keys."""

import io
import json
import os
import sys
from pathlib import Path

import capseal


def main(folder: Path, mebibytes: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    signer, recipient = capseal.PrivateKey.generate(3072), capseal.PrivateKey.generate(3072)
    content = io.BytesIO(os.urandom(mebibytes * 1024 * 1024))
    settings = {"app": "com.example.bench", "version": "1", "sequence": 1, "name": "bench.bin", "unpackable": False}
    capseal.seal(content, folder / "bundle", signer=signer, recipients=[recipient.public_key], **settings)
    trust = capseal.TrustStore.of(signer.public_key).to_value()
    (folder / "keys.json").write_text(json.dumps({"trust": trust, "identity": recipient.pem().decode()}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
