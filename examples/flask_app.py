"""Flask, or any WSGI framework: take a sealed bundle only if every byte verifies and it is newer, and serve it so."""

from pathlib import Path

from flask import Flask, Response, request

from capseal import Expect, RejectedError, TrustStore
from capseal.embedding import BundleFile, VerifiedStream, read_verified


def make_app(folder: Path, trust: TrustStore) -> Flask:
    app = Flask(__name__)
    bundle = BundleFile(folder / "bundle.sealed", trust=trust, expect=Expect(app="com.example.game"))

    @app.put("/bundle")
    def upload():
        chunks = iter(lambda: request.stream.read(256 * 1024), b"")
        stream = VerifiedStream(chunks, trust=trust, expect=bundle.expect())
        try:
            with bundle.replacing() as incoming:  # a file of its own: uploads do not meet
                for piece in stream:  # only what matched the signed index gets here
                    incoming.write(piece)
                incoming.commit(stream.verified)  # synced, and newer than what is there now
        except RejectedError as error:
            return {"error": str(error)}, 422
        return {"version": stream.verified.statement.version}

    @app.get("/payload/<int:start>-<int:stop>")
    def payload(start: int, stop: int):
        try:
            stored = bundle.open()
        except FileNotFoundError:
            return {"error": "no bundle yet"}, 404

        def body():
            with stored:
                for piece in read_verified(stored.verified, stored.read, start, stop):
                    yield bytes(piece)

        if not start <= stop <= stored.verified.statement.payload.size:
            stored.close()
            return {"error": "outside the payload"}, 416
        return Response(body(), mimetype="application/octet-stream")

    return app
