"""Starlette: take a sealed bundle only if every byte verifies and it is newer, and serve its bytes verified again."""

import asyncio
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from capseal import Expect, RejectedError, TrustStore
from capseal.embedding import AsyncVerifiedStream, BundleFile, read_verified_async


def make_app(folder: Path, trust: TrustStore) -> Starlette:
    bundle = BundleFile(folder / "bundle.sealed", trust=trust, expect=Expect(app="com.example.game"))

    async def upload(request: Request) -> Response:
        stream = AsyncVerifiedStream(request.stream(), trust=trust, expect=bundle.expect())
        try:
            with bundle.replacing() as incoming:  # a file of its own: uploads do not meet
                async for piece in stream:  # only what matched the signed index gets here
                    incoming.write(piece)
                await asyncio.to_thread(incoming.commit, stream.verified)  # synced, and newer than what is there now
        except RejectedError as error:
            return JSONResponse({"error": str(error)}, 422)
        return JSONResponse({"version": stream.verified.statement.version})

    async def payload(request: Request) -> Response:
        start, stop = request.path_params["start"], request.path_params["stop"]
        try:
            stored = bundle.open()
        except FileNotFoundError:
            return JSONResponse({"error": "no bundle yet"}, 404)

        async def read(offset: int, size: int) -> memoryview:
            return await asyncio.to_thread(stored.read, offset, size)

        async def body():
            with stored:
                async for piece in read_verified_async(stored.verified, read, start, stop):
                    yield bytes(piece)

        if not start <= stop <= stored.verified.statement.payload.size:
            stored.close()
            return JSONResponse({"error": "outside the payload"}, 416)
        return StreamingResponse(body())

    return Starlette(
        routes=[
            Route("/bundle", upload, methods=["PUT"]),
            Route("/payload/{start:int}-{stop:int}", payload),
        ]
    )
