"""Every target by its name; what one needs is imported when it is asked for."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

from .running import Target


def _made(module: str, function: str, **keywords: Any) -> Callable[[], Target]:
    def make() -> Target:
        target: Target = getattr(import_module(f".{module}", __package__), function)(**keywords)
        return target

    return make


TARGETS: dict[str, Callable[[], Target]] = {
    "seal": _made("bundles", "seal_target", detached=False),
    "seal detached": _made("bundles", "seal_target", detached=True),
    "statement": _made("bundles", "statement_target"),
    "push": _made("bundles", "push_target"),
    "companion": _made("companions", "companion_target"),
    "web seal": _made("webs", "web_target", what="seal"),
    "web seal detached": _made("webs", "web_target", what="seal detached"),
    "web statement": _made("webs", "web_target", what="statement"),
    "web companion": _made("webs", "web_target", what="companion"),
    "web head": _made("webdocs", "web_document_target", what="head"),
    "web update": _made("webdocs", "web_document_target", what="update"),
    "web recipe": _made("webdocs", "web_document_target", what="recipe"),
    "web x5c": _made("webs", "web_x5c_target"),
    "x5c": _made("trusting", "x5c_target"),
    "trust store": _made("trusting", "store_target"),
    "trust update": _made("trusting", "update_target"),
    "head": _made("heads", "head_target"),
    "recall": _made("heads", "recall_target"),
    "log": _made("logs", "log_target"),
    "device state": _made("devices", "state_target"),
    "device manifest": _made("devices", "manifest_target"),
    "recipe": _made("recipes", "recipe_target"),
    "zip": _made("zips", "zip_target"),
    "client": _made("clients", "client_target"),
    "server": _made("servers", "server_target"),
    "server record": _made("devices", "record_target"),
    "capgo wire": _made("capgos", "wire_target"),
    "capgo manifest": _made("capgos", "manifest_target"),
    "capgo request": _made("capgos", "request_target"),
}
