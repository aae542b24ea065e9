"""A SoftHSM2 token with one RSA key, which stands for a hardware module."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.tools import require_tool

PIN = "1234-never-in-argv"

# In a process of its own: a process that has loaded the module keeps the folder of tokens that was named then.
_MAKE_KEY = """
import sys, pkcs11
module, label, pin = sys.argv[1:]
with pkcs11.lib(module).get_token(token_label="ci").open(rw=True, user_pin=open(pin).read().strip()) as session:
    session.generate_keypair(pkcs11.KeyType.RSA, 3072, store=True, label=label, id=bytes([1]))
"""


@contextmanager
def softhsm_token(folder: Path, *, key: str) -> Iterator[tuple[str, str]]:
    """Make a token 'ci' in a folder, and an RSA-3072 key in it. Yields the key's URI and the module's path.

    Skips the test where SoftHSM2 is not installed; in CI that is a failure.
    """
    pytest.importorskip("pkcs11")
    softhsm = require_tool("softhsm2-util")
    module = next(
        (str(p) for p in sorted(Path("/usr/lib").glob("**/libsofthsm2.so"))), "/usr/lib/softhsm/libsofthsm2.so"
    )
    (folder / "tokens").mkdir()
    (folder / "softhsm2.conf").write_text(f"directories.tokendir = {folder}/tokens\nlog.level = ERROR\n")
    (folder / "pin").write_text(PIN + "\n")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SOFTHSM2_CONF", str(folder / "softhsm2.conf"))
        subprocess.run(
            [softhsm, "--init-token", "--free", "--label", "ci", "--so-pin", PIN, "--pin", PIN],
            check=True,
            capture_output=True,
        )
        subprocess.run([sys.executable, "-c", _MAKE_KEY, module, key, str(folder / "pin")], check=True)
        yield f"pkcs11:token=ci;object={key}?module-path={module}&pin-source=file:{folder}/pin", module
