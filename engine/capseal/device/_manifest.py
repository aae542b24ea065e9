"""The manifest of a bundle's unpacked content: what boot(verify=True) compares the files with.

It is made from authenticated bytes while they are written. The state file holds its SHA-256.
"""

import errno
import hashlib
import os
import stat
from dataclasses import dataclass

from ..bundle.opened import accept_detached
from ..bundle.pipeline import Progress
from ..errors import FormatError, TamperedError
from ..format import strictjson
from ..format.strictjson import Members
from ..io.durable import FOLDER
from ..trust.expect import Expect
from ..trust.store import TrustStore
from ._state import InstalledBundle

MANIFEST_TYPE = "capseal-manifest-v1"

CONTENT = "content"
MANIFEST = "manifest.json"
SEAL = "seal"
"""What is in the folder of a bundle: its content, the manifest of that, and the seal that vouched for it."""
# A named pipe in place of a file must not hang the boot.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class ContentFile:
    """One file. size: bytes; digest: its SHA-256, hex; crc: its CRC-32, None in manifests from before recipes."""

    size: int
    digest: str
    crc: int | None = None

    def to_json(self) -> list[str | int]:
        """Return it as it stands behind its path."""
        return [self.size, self.digest, *([] if self.crc is None else [self.crc])]


@dataclass(frozen=True, slots=True)
class ContentManifest:
    """Every folder and every file of a bundle's content, by path."""

    folders: frozenset[str]
    files: dict[str, ContentFile]

    def encode(self) -> bytes:
        """Return the manifest's bytes."""
        return strictjson.encode(
            {
                "type": MANIFEST_TYPE,
                "folders": sorted(self.folders),
                "files": [[path, *file.to_json()] for path, file in sorted(self.files.items())],
            }
        )

    @classmethod
    def parse(cls, data: bytes, *, digest: str) -> "ContentManifest":
        """Parse a manifest of that SHA-256 (hex). Raises TamperedError, FormatError."""
        found = hashlib.sha256(data).hexdigest()
        if found != digest:
            raise TamperedError(f"manifest: digest {found[:16]} differs from {digest[:16]} in the state")
        members = Members(strictjson.parse(data, "manifest"), "manifest", required=("type", "folders", "files"))
        kind = members.take("type", str)
        if kind != MANIFEST_TYPE:
            raise FormatError(f"manifest.type: {kind[:64]!r} is unknown, expected {MANIFEST_TYPE!r}")
        folders, files = members.take("folders", list), members.take("files", list)
        if not all(type(path) is str for path in folders):
            raise FormatError("manifest.folders: expected strings")
        return cls(frozenset(folders), dict(_parse_file(entry) for entry in files))

    def check(self, folder: int, *, progress: Progress | None = None) -> None:
        """Compare an open folder with the manifest. Raises TamperedError where it differs, OSError."""
        seen: set[str] = set()
        for where, folders, files, fd in os.fwalk(".", dir_fd=folder, follow_symlinks=False, onerror=_raise):
            prefix = where[2:] + "/" if where != "." else ""
            for name in folders:
                path = prefix + name
                if path not in self.folders or not stat.S_ISDIR(
                    os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode
                ):
                    raise TamperedError(f"{path}: not in the manifest, it was added or replaced")
                seen.add(path)
            for name in files:
                path = prefix + name
                if path not in self.files:
                    raise TamperedError(f"{path}: not in the manifest, it was added or replaced")
                self._check_file(path, name, fd)
                seen.add(path)
                if progress is not None:
                    progress(self.files[path].size)
        missing = sorted((self.folders | self.files.keys()) - seen)
        if missing:
            raise TamperedError(f"{missing[0]}: missing ({len(missing)} of {len(seen) + len(missing)} names are)")

    def _check_file(self, path: str, name: str, folder: int) -> None:
        expected = self.files[path]
        if not stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            raise TamperedError(f"{path}: not a regular file any more")
        with os.fdopen(os.open(name, _FILE, dir_fd=folder), "rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            if size != expected.size:
                raise TamperedError(f"{path}: {size} bytes, the manifest says {expected.size}")
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != expected.digest:
            raise TamperedError(f"{path}: digest {found[:16]} differs from {expected.digest[:16]} in the manifest")


def _parse_file(entry: object) -> tuple[str, ContentFile]:
    match entry:
        case [str(path), int(size), str(digest)]:
            return path, ContentFile(size, digest)
        case [str(path), int(size), str(digest), int(crc)]:
            return path, ContentFile(size, digest, crc)
    raise FormatError("manifest.files: expected a path, a size, a digest and a CRC-32 each")


def check_bundle(path: str, *, content: str, manifest: str, digest: str, progress: Progress | None = None) -> None:
    """Compare a bundle's content with its manifest, whose SHA-256 is `digest`.

    path: the bundle's folder; content, manifest: names in it. Raises TamperedError, FormatError, OSError.
    """
    try:
        bundle = os.open(path, FOLDER)
        try:
            expected = _read(manifest, bundle, digest=digest)
            folder = os.open(content, FOLDER, dir_fd=bundle)
        finally:
            os.close(bundle)
        try:
            expected.check(folder, progress=progress)
        finally:
            os.close(folder)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            raise  # could not check
        raise TamperedError(f"{error.filename}: missing or replaced: {error.strerror}") from error


def read_manifest(path: str, manifest: str, *, digest: str) -> ContentManifest:
    """Return the manifest of a bundle. path, manifest, digest: as for check_bundle(). Raises RejectedError, OSError."""
    bundle = os.open(path, FOLDER)
    try:
        return _read(manifest, bundle, digest=digest)
    finally:
        os.close(bundle)


def _read(manifest: str, bundle: int, *, digest: str) -> ContentManifest:
    with os.fdopen(os.open(manifest, _FILE, dir_fd=bundle), "rb") as file:
        return ContentManifest.parse(file.read(), digest=digest)


def check_copy(
    folder: str, bundle: InstalledBundle, *, trust: TrustStore, expect: Expect, progress: Progress | None = None
) -> None:
    """Raise RejectedError where the copy of a bundle is damaged or its seal not trusted any more, OSError."""
    check_bundle(folder, content=CONTENT, manifest=MANIFEST, digest=bundle.manifest, progress=progress)
    check_seal(folder, bundle, trust=trust, expect=expect)


def check_seal(folder: str, bundle: InstalledBundle, *, trust: TrustStore, expect: Expect) -> None:
    """Raise RejectedError where the seal that a bundle was installed by is not trusted any more, OSError."""
    path = os.path.join(folder, SEAL)
    check_present(path)
    digest = accept_detached(path, trust, expect).statement.payload.digest.hex()
    if digest != bundle.digest:
        raise TamperedError(f"{path}: is the seal of payload {digest[:16]}, expected {bundle.digest[:16]}")


def check_present(path: str) -> None:
    """Raise TamperedError where neither a file nor a folder has that path, OSError."""
    try:
        mode = os.stat(path, follow_symlinks=False).st_mode
    except (FileNotFoundError, NotADirectoryError) as error:
        raise TamperedError(f"{path}: missing") from error
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise TamperedError(f"{path}: replaced by something else")


def _raise(error: OSError) -> None:
    raise error
