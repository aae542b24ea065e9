"""FastAPI: take a sealed bundle only if every byte verifies, and serve its bytes verified again."""

import os
from pathlib import Path

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import StreamingResponse

from capseal import Expect, RejectedError, TrustStore
from capseal.embedding import AsyncVerifiedStream, accept, read_verified_async


def make_app(folder: Path, trust: TrustStore) -> FastAPI:
    app = FastAPI()

    @app.put("/bundle")
    async def upload(request: Request) -> dict[str, str]:
        stream = AsyncVerifiedStream(request.stream(), trust=trust, expect=Expect(app="com.example.game"))
        part = folder / "incoming.part"
        try:
            with part.open("wb") as file:
                async for piece in stream:  # only what matched the signed index gets here
                    file.write(piece)
        except RejectedError as error:
            part.unlink()
            raise HTTPException(422, str(error)) from error
        part.rename(folder / "bundle.sealed")
        return {"version": stream.verified.statement.version}

    @app.get("/payload/{start}-{stop}")
    async def payload(start: int, stop: int) -> StreamingResponse:
        verified = accept(folder / "game.seal", trust=trust)
        file = (folder / "game.payload").open("rb")

        async def read(offset: int, size: int) -> bytes:
            return os.pread(file.fileno(), size, offset)

        async def body():
            with file:
                async for piece in read_verified_async(verified, read, start, stop):
                    yield bytes(piece)

        return StreamingResponse(body())

    return app
