"""FastAPI: take a sealed bundle only if every byte verifies and it is newer, and serve its bytes verified again."""

import asyncio
from pathlib import Path

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import StreamingResponse

from capseal import Expect, RejectedError, TrustStore
from capseal.embedding import AsyncVerifiedStream, BundleFile, read_verified_async


def make_app(folder: Path, trust: TrustStore) -> FastAPI:
    app = FastAPI()
    bundle = BundleFile(folder / "bundle.sealed", trust=trust, expect=Expect(app="com.example.game"))

    @app.put("/bundle")
    async def upload(request: Request) -> dict[str, str]:
        stream = AsyncVerifiedStream(request.stream(), trust=trust, expect=bundle.expect())
        try:
            with bundle.replacing() as incoming:  # a file of its own: uploads do not meet
                async for piece in stream:  # only what matched the signed index gets here
                    incoming.write(piece)
                await asyncio.to_thread(incoming.commit, stream.verified)  # synced, and newer than what is there now
        except RejectedError as error:
            raise HTTPException(422, str(error)) from error
        return {"version": stream.verified.statement.version}

    @app.get("/payload/{start}-{stop}")
    async def payload(start: int, stop: int) -> StreamingResponse:
        try:
            stored = bundle.open()
        except FileNotFoundError as error:
            raise HTTPException(404, "no bundle yet") from error

        async def read(offset: int, size: int) -> memoryview:
            return await asyncio.to_thread(stored.read, offset, size)

        async def body():
            with stored:
                async for piece in read_verified_async(stored.verified, read, start, stop):
                    yield bytes(piece)

        if not 0 <= start <= stop <= stored.verified.statement.payload.size:
            stored.close()
            raise HTTPException(416, "outside the payload")
        return StreamingResponse(body())

    return app
