"""Starlette: take a sealed bundle only if every byte verifies, and serve its bytes verified again."""

import os
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route

from capseal import Expect, RejectedError, TrustStore
from capseal.embedding import AsyncVerifiedStream, accept, read_verified_async


def make_app(folder: Path, trust: TrustStore) -> Starlette:
    async def upload(request: Request) -> JSONResponse:
        stream = AsyncVerifiedStream(request.stream(), trust=trust, expect=Expect(app="com.example.game"))
        part = folder / "incoming.part"
        try:
            with part.open("wb") as file:
                async for piece in stream:  # only what matched the signed index gets here
                    file.write(piece)
        except RejectedError as error:
            part.unlink()
            return JSONResponse({"error": str(error)}, 422)
        part.rename(folder / "bundle.sealed")
        return JSONResponse({"version": stream.verified.statement.version})

    async def payload(request: Request) -> StreamingResponse:
        verified = accept(folder / "game.seal", trust=trust)
        file = (folder / "game.payload").open("rb")

        async def read(offset: int, size: int) -> bytes:
            return os.pread(file.fileno(), size, offset)

        async def body(start: int, stop: int):
            with file:
                async for piece in read_verified_async(verified, read, start, stop):
                    yield bytes(piece)

        return StreamingResponse(body(request.path_params["start"], request.path_params["stop"]))

    return Starlette(
        routes=[
            Route("/bundle", upload, methods=["PUT"]),
            Route("/payload/{start:int}-{stop:int}", payload),
        ]
    )
