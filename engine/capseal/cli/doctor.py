"""capseal doctor: what this machine has for capseal, and how fast it hashes."""

import platform

import typer

from .console import say


def register(app: typer.Typer) -> None:
    """Mount the command."""
    app.command()(doctor)


def doctor() -> None:
    """Print versions, and the speed of each hash kernel that this machine can run."""
    import cryptography
    from cryptography.hazmat.backends.openssl.backend import backend

    from .. import __version__, _hashing

    say(f"capseal       {__version__}")
    say(f"python        {platform.python_version()} ({platform.python_implementation()}, {platform.machine()})")
    say(f"cryptography  {cryptography.__version__} ({backend.openssl_version_text()})")
    say(f"cpu           {' '.join(_hashing.cpu_features()) or 'no instruction set that the kernels could use'}")
    for speed in _hashing.measure():
        used = "  in use" if speed.chosen else ""
        say(f"hash kernel   {speed.kernel:<10} {speed.bytes_per_s / 1e9:5.2f} GB/s{used}")
    if _hashing.kernels() == (_hashing.FALLBACK,):
        say("hint          built without a C compiler: install one and reinstall capseal to hash faster")
