"""aiohttp: take a sealed bundle only if every byte verifies, and serve its bytes verified again."""

import os
from pathlib import Path

from aiohttp import web

from capseal import Expect, RejectedError, TrustStore
from capseal.embedding import AsyncVerifiedStream, accept, read_verified_async


def make_app(folder: Path, trust: TrustStore) -> web.Application:
    async def upload(request: web.Request) -> web.Response:
        chunks = request.content.iter_any()
        stream = AsyncVerifiedStream(chunks, trust=trust, expect=Expect(app="com.example.game"))
        part = folder / "incoming.part"
        try:
            with part.open("wb") as file:
                async for piece in stream:  # only what matched the signed index gets here
                    file.write(piece)
        except RejectedError as error:
            part.unlink()
            return web.json_response({"error": str(error)}, status=422)
        part.rename(folder / "bundle.sealed")
        return web.json_response({"version": stream.verified.statement.version})

    async def payload(request: web.Request) -> web.StreamResponse:
        verified = accept(folder / "game.seal", trust=trust)
        start, stop = int(request.match_info["start"]), int(request.match_info["stop"])
        response = web.StreamResponse()
        with (folder / "game.payload").open("rb") as file:

            async def read(offset: int, size: int) -> bytes:
                return os.pread(file.fileno(), size, offset)

            await response.prepare(request)
            async for piece in read_verified_async(verified, read, start, stop):
                await response.write(piece)
        await response.write_eof()
        return response

    app = web.Application()
    app.add_routes([web.put("/bundle", upload), web.get(r"/payload/{start:\d+}-{stop:\d+}", payload)])
    return app
