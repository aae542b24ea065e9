"""Starlette: take a sealed bundle only if every byte verifies and it is newer, and serve its bytes verified again."""

from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from capseal import Expect, TrustStore
from capseal.embedding import UPLOAD, AsgiUploads, BundleFile


def make_app(folder: Path, trust: TrustStore) -> Starlette:
    bundle = BundleFile(folder / "bundle.sealed", trust=trust, expect=Expect(app="com.example.game"))

    async def upload(request: Request) -> Response:
        verified = await bundle.take_async(request.stream(), request.scope[UPLOAD])  # verified bytes only
        return JSONResponse({"version": verified.statement.version})

    async def payload(request: Request) -> Response:
        answer = await bundle.answer_async(request.method, request.headers)
        return StreamingResponse(answer, answer.status, answer.headers)

    verifying = Middleware(AsgiUploads, trust=trust, expect=bundle.expect)
    return Starlette(
        routes=[
            Route("/bundle", upload, methods=["PUT"], middleware=[verifying]),
            Route("/payload", payload),
        ]
    )
