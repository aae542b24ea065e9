"""capseal doctor: what this machine has for capseal, how fast it hashes, and what is wrong with the project."""

from typing import Annotated

from ..framework import options
from ..framework.arguments import flag
from ..framework.console import answer, is_json, print_line
from ..framework.exit_codes import DONE, REJECTED
from ..framework.titles import counted


def doctor(
    project_only: Annotated[bool, flag("--project", help="Check the project only, not the machine.")] = False,
) -> int:
    """Print versions and hash speeds, and check the project's keys, certificates and trust stores.

    Ends with 1 where something is wrong with the project.
    """
    if not (is_json() or project_only):
        _machine()
    return _project()


def _machine() -> None:
    import platform

    import cryptography
    from cryptography.hazmat.backends.openssl.backend import backend

    from ... import __version__
    from ...native import hashing

    print_line(f"capseal       {__version__}")
    print_line(f"python        {platform.python_version()} ({platform.python_implementation()}, {platform.machine()})")
    print_line(f"cryptography  {cryptography.__version__} ({backend.openssl_version_text()})")
    print_line(f"cpu           {' '.join(hashing.cpu_features()) or 'no instruction set that the kernels could use'}")
    for speed in hashing.measure(hashing.candidates()):
        used = "  in use" if speed.chosen else ""
        print_line(f"hash kernel   {speed.kernel:<10} {speed.bytes_per_s / 1e9:5.2f} GB/s{used}")
    if hashing.kernels() == (hashing.FALLBACK,):
        print_line(
            "hint          built without a C compiler and Python's headers (Debian: apt install gcc python3-dev);"
        )
        print_line("              with them, install capseal again in the same way to hash several times faster")


def _project() -> int:
    from datetime import UTC, datetime

    from ...project.config import Config
    from ...project.doctor import Severity, diagnose

    config = options.find_config()
    if config == Config():
        answer([])
        print_line("project       none here: 'capseal init' makes one")
        return DONE
    findings = diagnose(config, now=datetime.now(UTC), folder=options.project_folder())
    answer([{"severity": f.severity, "where": f.where, "what": f.what, "advice": f.advice} for f in findings])
    for finding in findings:
        print_line(f"{finding.severity:<13} {finding.where}: {finding.what}")
        print_line(f"              -> {finding.advice}")
    print_line(f"project       {config.app}: {counted(len(findings), 'finding') if findings else 'no findings'}")
    return REJECTED if any(finding.severity is Severity.ERROR for finding in findings) else DONE


COMMANDS = {"doctor": doctor}
