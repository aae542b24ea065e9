"""Django under ASGI: take a sealed bundle only if every byte verifies and it is newer, and serve it verified again."""

from pathlib import Path

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, JsonResponse, StreamingHttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from capseal import Expect, TrustStore
from capseal.embedding import UPLOAD, AsgiUploads, BundleFile

urlpatterns = []


def make_app(folder: Path, trust: TrustStore) -> AsgiUploads:
    bundle = BundleFile(folder / "bundle.sealed", trust=trust, expect=Expect(app="com.example.game"))

    @csrf_exempt  # who may upload is whoever the trusted key signed for
    def upload(request: HttpRequest) -> JsonResponse:
        verified = bundle.take(request, request.scope[UPLOAD])  # verified bytes only, and all of them are there
        return JsonResponse({"version": verified.statement.version})

    async def payload(request: HttpRequest) -> StreamingHttpResponse:
        answer = await bundle.answer_async(request.method, request.headers)
        return StreamingHttpResponse(answer, status=answer.status, headers=answer.headers)

    urlpatterns[:] = [path("bundle", upload), path("payload", payload)]
    if not settings.configured:
        # Your settings.py. A refusal is answered by the middleware; Django would log it as a bug.
        settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], DEBUG_PROPAGATE_EXCEPTIONS=True)
    return AsgiUploads(get_asgi_application(), path="/bundle", trust=trust, expect=bundle.expect)
