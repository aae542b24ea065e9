"""What has to be loaded to seal one file and to install one: as little as that takes."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import capseal
from capseal import PrivateKey
from capseal.native import hashing

MOST_TO_SEAL = 19
MOST_TO_INSTALL = 28
"""Besides the archive room, of which a zip takes all that reads zips.

Of the device room eight: what is remembered, its file, and how a bundle is installed change for reasons of their own.
What starts bundles, follows servers and replays updates is left out."""

REPORT = """
import json, sys
loaded = {name: module for name, module in sys.modules.items() if name.startswith("capseal.")}
files = {name: str(getattr(module, "__file__", None)) for name, module in loaded.items()}
print(json.dumps(files))
"""

SEAL = """
import capseal
signer = capseal.load_private_key("signer.pem")
recipient = capseal.load_public_key("recipient.pub")
capseal.seal("dist.zip", "dist.sealed", signer=signer, recipients=[recipient], app="game", version="1")
"""

INSTALL = """
import capseal
trust = capseal.load_trust("signer.pub")
identity = capseal.load_private_key("recipient.pem")
store = capseal.DeviceStore("store", trust=trust, identity=identity, app="game", builtin=".")
store.install({source})
"""


@pytest.fixture
def folder(tmp_path: Path, signer: PrivateKey, recipient: PrivateKey) -> Path:
    """A small zip, and the keys to seal it and to open it, as files."""
    for name, key in (("signer", signer), ("recipient", recipient)):
        key.save(tmp_path / f"{name}.pem")
        (tmp_path / f"{name}.pub").write_bytes(key.public_key.pem)
    with zipfile.ZipFile(tmp_path / "dist.zip", "w") as archive:
        archive.writestr("index.html", "x" * 100_000)
    return tmp_path


def loaded_by(code: str, folder: Path) -> tuple[list[str], list[str]]:
    """Run code in a process of its own; return the Python files of capseal and the compiled modules it loaded."""
    run = [sys.executable, "-c", code + REPORT]
    done = subprocess.run(run, cwd=folder, capture_output=True, text=True, check=True)
    files: dict[str, str] = json.loads(done.stdout)
    python = sorted(name for name, file in files.items() if file.endswith(".py") and Path(file).stem != "__init__")
    return python, sorted(name for name, file in files.items() if file.endswith(".so"))


def show(capsys: pytest.CaptureFixture[str], what: str, python: list[str], compiled: list[str]) -> None:
    names = ", ".join(name.removeprefix("capseal.") for name in python)
    with capsys.disabled():
        print(f"\n{what} loads {len(python)} modules ({names}) and {len(compiled)} compiled ({', '.join(compiled)})")


def test_sealing_a_small_file_loads_few_modules(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "content.bin").write_bytes(bytes(100_000))
    python, compiled = loaded_by(SEAL.replace("dist.zip", "content.bin"), folder)
    show(capsys, "capseal.seal of a file", python, compiled)
    assert len(python) <= MOST_TO_SEAL
    assert {"capseal.bundle.plan", "capseal.bundle.pipeline"} <= set(python)  # it did happen


def test_sealing_a_zip_loads_what_reads_zips_besides(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    python, compiled = loaded_by(SEAL, folder)
    show(capsys, "capseal.seal of a zip", python, compiled)
    besides = [name for name in python if not name.startswith("capseal.archive.") and name != "capseal.native.search"]
    assert len(besides) <= MOST_TO_SEAL  # and what looks for private keys in it


def test_installing_a_path_loads_few_modules(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    loaded_by(SEAL, folder)
    python, compiled = loaded_by(INSTALL.format(source="'dist.sealed'"), folder)
    archive = [name for name in python if name.startswith("capseal.archive.")]
    rest = [name for name in python if name not in archive]
    show(capsys, "DeviceStore.install", rest, compiled)
    show(capsys, "and of the archive room", archive, [])
    assert len(rest) <= MOST_TO_INSTALL
    assert {"capseal.bundle.opened", "capseal.bundle.reader"} <= set(python)


@pytest.mark.parametrize("source", ["'dist.sealed'", "__import__('io').BytesIO(open('dist.sealed', 'rb').read())"])
def test_installing_loads_neither_what_seals_nor_what_bytes_are_pushed_to(folder: Path, source: str) -> None:
    loaded_by(SEAL, folder)
    python, _ = loaded_by(INSTALL.format(source=source), folder)
    for module in ("plan", "seal", "reseal", "unseal", "verify", "push_verifier"):
        assert f"capseal.bundle.{module}" not in python
    assert "capseal.trust.signing" not in python


@pytest.mark.parametrize(
    "words",
    [
        "['--version']",
        "['verify', 'dist.sealed', '--trust', 'signer.pub', '--app', 'game']",
        "['seal', 'folder', '--app', 'game', '--version', '1', '-s', 'signer.pem', '-r', 'recipient.pub', '-o', 'out']",
    ],
)
def test_a_command_loads_nothing_that_it_does_without(words: str, folder: Path) -> None:
    loaded_by(SEAL, folder)
    (folder / "folder").mkdir()
    (folder / "folder" / "index.html").write_text("page")
    code = f"""
import os, sys
sys.argv[1:] = {words}
os._exit = lambda code: print(code, *sys.modules, sep="\\n")
from capseal.cli import main
main()
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "0" in loaded
    # Each takes 1 to 8 ms: an OpenSSL beside cryptography's, all of SSH, arrays, what says why something failed.
    unneeded = (
        {"numpy", "traceback"} if hashing.kernels() == (hashing.FALLBACK,) else {"_hashlib", "numpy", "traceback"}
    )
    assert loaded.isdisjoint(unneeded)
    if "'seal'" not in words:  # what loads a private key has all of SSH, too
        assert "cryptography.hazmat.primitives.serialization.ssh" not in loaded
    if words == "['--version']":
        assert loaded.isdisjoint({"inspect", "dataclasses", "json", "datetime", "cryptography", "capseal.format"})


def test_the_version_is_loaded_where_it_is_asked_for() -> None:
    code = "import sys, capseal; print('capseal._version' in sys.modules, capseal.__version__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == f"False {capseal.__version__}\n"


@pytest.mark.parametrize("code", ["import capseal", "from capseal.cli import main; main()"])
def test_what_takes_longest_to_start_is_not_loaded_for_a_name_or_the_version(code: str) -> None:
    """Without site-packages, whose own start files may load anything."""
    engine = Path(capseal.__file__).parent.parent
    told = f"""
import os, sys
sys.path.insert(0, {str(engine)!r})
sys.argv[1:] = ["--version"]
os._exit = lambda code: None
{code}
print(*sys.modules)
"""
    done = subprocess.run([sys.executable, "-I", "-S", "-c", told], capture_output=True, text=True, check=True)
    assert "capseal" in done.stdout.split()
    assert {"typing", "argparse", "re"}.isdisjoint(done.stdout.split())
    assert done.stdout.startswith(f"capseal {capseal.__version__}\n") == ("main" in code)
