"""FastAPI: take a sealed bundle only if every byte verifies and it is newer, and serve its bytes verified again."""

from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse

from capseal import Expect, TrustStore
from capseal.embedding import UPLOAD, AsgiUploads, BundleFile


def make_app(folder: Path, trust: TrustStore) -> FastAPI:
    app = FastAPI()
    bundle = BundleFile(folder / "bundle.sealed", trust=trust, expect=Expect(app="com.example.game"))
    app.add_middleware(AsgiUploads, path="/bundle", trust=trust, expect=bundle.expect)

    @app.put("/bundle")
    async def upload(request: Request) -> dict[str, str]:
        verified = await bundle.take_async(request.stream(), request.scope[UPLOAD])  # verified bytes only
        return {"version": verified.statement.version}

    @app.api_route("/payload", methods=["GET", "HEAD"])
    async def payload(request: Request) -> StreamingResponse:
        answer = await bundle.answer_async(request.method, request.headers)
        return StreamingResponse(answer, answer.status, answer.headers)

    return app
