"""record_of(): what an update server must know of a bundle that Capgo's own command line made."""

from ..bundle.pipeline import Progress
from ..errors import UsageError
from ..io.sink import PathOrFile
from ._capacitor import CapacitorConfig
from ._cbc import verify
from ._keys import CapgoPrivateKey, load_public_key
from ._wire import CapgoBundle, ChecksumVersion, recover_checksum, sign_checksum, written_as


def record_of(
    bundle: PathOrFile,
    *,
    key: CapgoPrivateKey,
    session_key: str,
    checksum: str,
    progress: Progress | None = None,
) -> CapgoBundle:
    """Check a bundle, all of it, and return its record, with the checksums for plugins of every age.

    bundle: as for decrypt(); session_key, checksum: what Capgo's command line printed, the latter as v2 or v3. Raises
    RejectedError where it is not of that key, or altered, OSError.
    """
    version = written_as(checksum)
    digest = recover_checksum(checksum, key.public_key, version)
    size = verify(
        bundle,
        key=key.public_key,
        session_key=session_key,
        checksum=checksum,
        checksum_version=version,
        progress=progress,
    )
    return CapgoBundle(
        session_key=session_key.strip(),
        checksum_v2=sign_checksum(digest, key, ChecksumVersion.V2),
        checksum_v3=sign_checksum(digest, key, ChecksumVersion.V3),
        key_id=key.public_key.key_id,
        size=size,
        digest=digest,
    )


def check_app_key(config: CapacitorConfig, key: CapgoPrivateKey, where: str) -> None:
    """Raise UsageError where an app ships another public key than the one whose private key is here, KeyFileError."""
    if not config.public_key:
        return
    public = load_public_key(config.public_key.encode("utf-8"))
    if public.pem != key.public_key.pem:
        raise UsageError(
            f"{where}: publicKey is {public.key_id}, the private key is that of {key.public_key.key_id}: the app could "
            "not read what this key signs"
        )


def left_to_do(config: CapacitorConfig, *, updates: str) -> list[str]:
    """Return what the app's configuration has to say so that the plugin asks a server. updates: that address."""
    todo = []
    if not config.public_key:
        todo.append("publicKey is not set: the plugin would take unencrypted bundles of anybody")
    if (config.update_url or "").rstrip("/") != updates.rstrip("/"):
        todo.append(f"updateUrl is {config.update_url or 'not set'}: the plugin asks this server at {updates}")
    for name, value in (("statsUrl", config.stats_url), ("channelUrl", config.channel_url)):
        if value is None:
            todo.append(f'{name} is not set: the plugin talks to Capgo there; "" is nobody')
    return todo
