"""aiohttp: take a sealed bundle only if every byte verifies and it is newer, and serve its bytes verified again."""

from pathlib import Path

from aiohttp import web

from capseal import Expect, TrustStore
from capseal.embedding import AIOHTTP_UPLOAD, BundleFile, aiohttp_uploads


def make_app(folder: Path, trust: TrustStore) -> web.Application:
    bundle = BundleFile(folder / "bundle.sealed", trust=trust, expect=Expect(app="com.example.game"))

    async def upload(request: web.Request) -> web.Response:
        verified = await bundle.take_async(request[AIOHTTP_UPLOAD], request[AIOHTTP_UPLOAD])  # verified bytes only
        return web.json_response({"version": verified.statement.version})

    async def payload(request: web.Request) -> web.Response:
        answer = await bundle.answer_async(request.method, request.headers)
        return web.Response(body=answer, status=answer.status, headers=answer.headers)

    app = web.Application(middlewares=[aiohttp_uploads(path="/bundle", trust=trust, expect=bundle.expect)])
    app.add_routes([web.put("/bundle", upload), web.get("/payload", payload)])
    return app
