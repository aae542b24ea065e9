"""Build the example: the site that a web server serves, and a folder for each release.

    python build.py OUT --trust keys/signer.pub.pem --identity keys/recipient.pem --server http://127.0.0.1:8417

OUT/site is what comes with the app: boot page, service worker, built-in version. OUT/v1 and so on are what is sealed.
"""

import argparse
import hashlib
import json
import shutil
from pathlib import Path

HERE = Path(__file__).parent
LIBRARY = HERE.parents[1] / "web" / "src"
APP = "com.example.webview"


def _constants(**values: object) -> str:
    return "".join(f"export const {name} = {json.dumps(value)};\n" for name, value in values.items())


def _make_app(folder: Path, *, version: str, crashes: bool, boot: str) -> None:
    shutil.copytree(HERE / "app", folder)
    shutil.copytree(LIBRARY, folder / "capseal")
    constants = _constants(APP=APP, BOOT=boot, VERSION=version, CRASHES=crashes)
    (folder / "version.js").write_text(constants)
    (folder / "large.bin").write_bytes(hashlib.shake_256(b"the same in every version").digest(3_000_000))


def build(out: Path, *, trust: str, identity: str, server: str) -> None:
    """Write the site and the releases below a new folder."""
    site = out / "site"
    shutil.copytree(HERE / "boot", site)
    shutil.copytree(LIBRARY, site / "capseal")
    shutil.copy(HERE / "app" / "app.css", site)
    constants = _constants(APP=APP, SERVER=server, TRUST=trust, IDENTITY=identity, BUILTIN_SEQUENCE=0)
    (site / "constants.js").write_text(constants)
    _make_app(site / "builtin", version="0, built in", crashes=False, boot="/")
    files = sorted(str(path.relative_to(site)) for path in site.rglob("*") if path.is_file())
    version = hashlib.sha256(b"".join((site / path).read_bytes() for path in files)).hexdigest()[:16]
    # The folders' own addresses, too: that is what pages are asked for by.
    (site / "files.js").write_text(_constants(FILES=["./", "builtin/", "files.js", *files], VERSION=version))
    for number in (1, 2, 3, 4, 5):
        _make_app(out / f"v{number}", version=str(number), crashes=number == 2, boot="/")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    for name in ("trust", "identity", "server"):
        parser.add_argument(f"--{name}", required=True)
    told = parser.parse_args()
    build(
        told.out,
        trust=Path(told.trust).read_text(),
        identity=Path(told.identity).read_text(),
        server=told.server,
    )


if __name__ == "__main__":
    main()
