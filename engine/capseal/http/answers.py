"""What every answer says of its content: types, and how long a cache may keep it (docs/server.md, HTTP)."""

from typing import Final

# no-transform: a proxy that packed what is checked by its digest would only make it useless (RFC 9111, 5.2.2.6).
IMMUTABLE: Final = "public, max-age=31536000, immutable, no-transform"
REVALIDATE: Final = "no-cache, no-transform"

JSON_TYPE: Final = "application/json"
PAYLOAD_TYPE: Final = "application/octet-stream"
SEAL_TYPE: Final = "application/vnd.capseal.seal.v1"
HEAD_TYPE: Final = "application/vnd.capseal.head.v1"
RECALL_TYPE: Final = "application/vnd.capseal.recall.v1"
UPDATE_TYPE: Final = "application/vnd.capseal.trust-update.v1"
