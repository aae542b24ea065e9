"""Passphrases: asked for on the terminal, or read from a file or a descriptor; never argv, never the environment."""

import os
from collections.abc import Callable
from typing import Annotated

from ...errors import KeyFileError, UsageError
from .arguments import at_least, option, together
from .exit_codes import FROM_A_FILE

MAX_PASSPHRASE_BYTES = 4096

VARIABLE = "CAPSEAL_PASSPHRASE_FILE"

File = Annotated[
    str | None,
    option("--passphrase-file", metavar="FILE", env=VARIABLE, help="Read the key's passphrase from a file."),
]
Descriptor = Annotated[
    int | None,
    option("--passphrase-fd", metavar="N", type=at_least(0), help="Read the passphrase from an open file descriptor."),
]


@together
class Passphrases:
    """Where passphrases come from. Nothing is read or asked before it is needed."""

    def __init__(self, passphrase_file: File = None, passphrase_fd: Descriptor = None) -> None:
        by_variable = passphrase_file is not None and passphrase_file == os.environ.get(VARIABLE)
        if passphrase_file is not None and passphrase_fd is not None and not by_variable:
            raise UsageError("--passphrase-file and --passphrase-fd exclude one another")
        self._given: str | int | None = passphrase_file if passphrase_fd is None else passphrase_fd
        self._by_variable = by_variable and passphrase_fd is None
        self._read: bytes | None = None

    @property
    def given(self) -> bool:
        """A file or descriptor was named for this command; the variable, which is there for all, is not meant."""
        return self._given is not None and not self._by_variable

    def of(self, key: str) -> Callable[[], bytes]:
        """Return what gives the passphrase of an existing key; asks once where it has to ask."""

        def passphrase() -> bytes:
            return _ask(f"Passphrase of {key}: ") if self._given is None else self._from_outside(self._given)

        return passphrase

    def new(self) -> bytes:
        """Return the passphrase for a new key; asks twice where it has to ask."""
        if self._given is not None:
            return self._from_outside(self._given)
        passphrase = _ask("New passphrase: ")
        if _ask("The same again: ") != passphrase:
            raise UsageError("the two passphrases differ")
        return passphrase

    def _from_outside(self, given: str | int) -> bytes:
        if self._read is None:  # a descriptor can be read only once
            try:
                with open(given, "rb") as file:
                    data = file.read(MAX_PASSPHRASE_BYTES + 1)
            except OSError as error:
                raise KeyFileError(f"{FROM_A_FILE}{given}: {(error.strerror or str(error)).lower()}") from error
            from ...format.text_encoding import as_utf8

            self._read = _checked(as_utf8(data).removesuffix(b"\n").removesuffix(b"\r"))
        return self._read


def _ask(prompt: str) -> bytes:
    try:
        # getpass would fall back to standard input, which may be the bundle.
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        raise KeyFileError(
            "a passphrase is needed and there is no terminal to ask on; use --passphrase-file or --passphrase-fd"
        ) from None
    import getpass

    try:
        return _checked(os.fsencode(getpass.getpass(prompt)))
    except EOFError:
        raise UsageError("no passphrase was given") from None


def _checked(passphrase: bytes) -> bytes:
    if not 1 <= len(passphrase) <= MAX_PASSPHRASE_BYTES or b"\n" in passphrase:
        raise UsageError(f"a passphrase is one line of 1 to {MAX_PASSPHRASE_BYTES} bytes")
    return passphrase
