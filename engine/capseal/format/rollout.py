"""Who gets a candidate before the others: decided on the device, by its own secret (docs/format.md, Rollout)."""

import hashlib

from ..constants import MAX_SHARE, ROLLOUT_SALT_BYTES, ROLLOUT_SECRET_BYTES

_PREFIX = b"capseal/v1 rollout "
_PLACE_BYTES = 4


def in_share(salt: bytes, secret: bytes, share: int) -> bool:
    """Say whether a device is in a candidate's share.

    salt: the candidate's 16 bytes; secret: the device's own 32 bytes, drawn once and shown to nobody; share: in
    thousandths. Who is in a share is in every larger one under the same salt.
    """
    if len(salt) != ROLLOUT_SALT_BYTES or len(secret) != ROLLOUT_SECRET_BYTES or not 0 <= share <= MAX_SHARE:
        raise ValueError(f"salt of {len(salt)} bytes, secret of {len(secret)} bytes, share of {share} thousandths")
    place = int.from_bytes(hashlib.sha256(_PREFIX + salt + secret).digest()[:_PLACE_BYTES])
    # Both sides below 2^53, so that JavaScript's numbers do it, too.
    return place * MAX_SHARE < share << 8 * _PLACE_BYTES
