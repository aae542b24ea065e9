"""aiohttp: take a sealed bundle only if every byte verifies and it is newer, and serve its bytes verified again."""

import asyncio
from pathlib import Path

from aiohttp import web

from capseal import Expect, RejectedError, TrustStore
from capseal.embedding import AsyncVerifiedStream, BundleFile, read_verified_async


def make_app(folder: Path, trust: TrustStore) -> web.Application:
    bundle = BundleFile(folder / "bundle.sealed", trust=trust, expect=Expect(app="com.example.game"))

    async def upload(request: web.Request) -> web.Response:
        stream = AsyncVerifiedStream(request.content.iter_any(), trust=trust, expect=bundle.expect())
        try:
            with bundle.replacing() as incoming:  # a file of its own: uploads do not meet
                async for piece in stream:  # only what matched the signed index gets here
                    incoming.write(piece)
                await asyncio.to_thread(incoming.commit, stream.verified)  # synced, and newer than what is there now
        except RejectedError as error:
            return web.json_response({"error": str(error)}, status=422)
        return web.json_response({"version": stream.verified.statement.version})

    async def payload(request: web.Request) -> web.StreamResponse:
        start, stop = int(request.match_info["start"]), int(request.match_info["stop"])
        try:
            stored = bundle.open()
        except FileNotFoundError:
            return web.json_response({"error": "no bundle yet"}, status=404)

        async def read(offset: int, size: int) -> memoryview:
            return await asyncio.to_thread(stored.read, offset, size)

        with stored:
            if not start <= stop <= stored.verified.statement.payload.size:
                return web.json_response({"error": "outside the payload"}, status=416)
            response = web.StreamResponse()
            await response.prepare(request)
            async for piece in read_verified_async(stored.verified, read, start, stop):
                await response.write(piece)
            await response.write_eof()
        return response

    app = web.Application()
    app.add_routes([web.put("/bundle", upload), web.get(r"/payload/{start:\d+}-{stop:\d+}", payload)])
    return app
