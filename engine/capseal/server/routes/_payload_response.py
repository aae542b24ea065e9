"""The answer with a payload's bytes: streamed, or aborted before anything wrong is sent."""

import asyncio

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from ...errors import RejectedError, TransferError
from .._logs import told
from .._outlet import PIECE
from .._problems import unavailable
from .._release_store import FilePiece, Pieces, Pushed

_SLICE_BYTES = 256 * 1024
"""What a transport is given at once: within idle_s a peer has to take that much."""


class PayloadResponse(Response):
    """Streams pieces; where they fail half-way, the response is aborted and not one wrong byte is sent."""

    def __init__(self, pieces: Pieces, status: int, headers: dict[str, str], *, length: int) -> None:
        """length: of all pieces, in bytes."""
        self._pieces = pieces
        self._length = length
        super().__init__(None, status)
        self.raw_headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
        self.raw_headers.append((b"content-length", str(length).encode()))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        state = scope["app"].state.server
        started, sent_bytes = False, 0
        is_direct = PIECE in scope.get("extensions", {})
        # To send a PIECE tells itself whether somebody is there.
        gone = None if is_direct else asyncio.create_task(_disconnected(receive))
        try:
            async for piece in self._pieces:
                if not started:
                    # Only now: where the very first read fails, a proper answer is still possible.
                    if isinstance(piece, Pushed):
                        # By the threads that push it: others would evict from the caches what those work with.
                        threads = scope["extensions"][PIECE]["threads"]
                        await asyncio.get_running_loop().run_in_executor(threads, piece.check)
                    await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
                    started = True
                for message, size in _messages(piece, is_direct=is_direct):
                    if sent_bytes:
                        await asyncio.sleep(0)  # a fast client's send never waits: let the others have their turn
                    sent_bytes += size
                    await send({**message, "more_body": sent_bytes < self._length})
                    state.metrics.sent.inc(size)
                    if sent_bytes >= self._length or (gone is not None and gone.done()):
                        return
            await send({"type": "http.response.body", "body": b"", "more_body": False})  # too few: that aborts it
        except ClientDisconnect:
            return
        except TimeoutError:
            state.log.warning("read aborted: the client takes nothing", extra={"members": {"path": scope["path"]}})
        except (RejectedError, TransferError, EOFError, OSError) as error:
            state.metrics.aborted.labels(type(error).__name__).inc()
            members = {"path": scope["path"], "error": told(error), "started": started}
            state.log.error("read aborted: the storage is corrupt or failed", extra={"members": members})
            if not started:
                await unavailable("what is stored is not what was published").response()(scope, receive, send)
        finally:
            if gone is not None:
                gone.cancel()
            await self._pieces.aclose()


def _messages(piece: bytes | memoryview | FilePiece | Pushed, *, is_direct: bool) -> list[tuple[Message, int]]:
    """Return the messages that send a piece, each with its size in bytes."""
    if isinstance(piece, FilePiece):
        return [({"type": PIECE, "file": piece.file, "offset": piece.offset, "count": piece.size}, piece.size)]
    if isinstance(piece, Pushed):
        return [({"type": PIECE, "push": piece.push, "count": piece.size}, piece.size)]
    if is_direct:
        return [({"type": PIECE, "body": piece}, len(piece))]
    slices = [piece[at : at + _SLICE_BYTES] for at in range(0, len(piece), _SLICE_BYTES)]
    return [({"type": "http.response.body", "body": one}, len(one)) for one in slices]


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
