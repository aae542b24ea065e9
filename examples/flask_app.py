"""Flask, or any WSGI framework: take a sealed bundle only if every byte verifies, and serve it verified again."""

import os
from pathlib import Path

from flask import Flask, Response, request

from capseal import Expect, RejectedError, TrustStore
from capseal.embedding import VerifiedStream, accept, read_verified


def make_app(folder: Path, trust: TrustStore) -> Flask:
    app = Flask(__name__)

    @app.put("/bundle")
    def upload():
        chunks = iter(lambda: request.stream.read(256 * 1024), b"")
        stream = VerifiedStream(chunks, trust=trust, expect=Expect(app="com.example.game"))
        part = folder / "incoming.part"
        try:
            with part.open("wb") as file:
                for piece in stream:  # only what matched the signed index gets here
                    file.write(piece)
        except RejectedError as error:
            part.unlink()
            return {"error": str(error)}, 422
        part.rename(folder / "bundle.sealed")
        return {"version": stream.verified.statement.version}

    @app.get("/payload/<int:start>-<int:stop>")
    def payload(start: int, stop: int):
        verified = accept(folder / "game.seal", trust=trust)

        def body():
            with (folder / "game.payload").open("rb") as file:
                for piece in read_verified(verified, lambda at, size: os.pread(file.fileno(), size, at), start, stop):
                    yield bytes(piece)

        return Response(body(), mimetype="application/octet-stream")

    return app
