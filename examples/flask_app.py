"""Flask: take a sealed bundle only if every byte verifies and it is newer, and serve its bytes verified again."""

from pathlib import Path

from flask import Flask, Response, request

from capseal import Expect, TrustStore
from capseal.embedding import UPLOAD, BundleFile, WsgiUploads


def make_app(folder: Path, trust: TrustStore) -> Flask:
    app = Flask(__name__)
    app.config["PROPAGATE_EXCEPTIONS"] = True  # a refusal is answered by WsgiUploads; Flask would log it as a bug
    bundle = BundleFile(folder / "bundle.sealed", trust=trust, expect=Expect(app="com.example.game"))
    app.wsgi_app = WsgiUploads(app.wsgi_app, path="/bundle", trust=trust, expect=bundle.expect)

    @app.put("/bundle")
    def upload():
        verified = bundle.take(request.stream, request.environ[UPLOAD])  # verified bytes only
        return {"version": verified.statement.version}

    @app.get("/payload")
    def payload():
        answer = bundle.answer(request.method, request.headers)
        return Response(answer, answer.status, answer.headers)

    return app
