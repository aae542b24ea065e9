"""The optional dependencies of capseal, which a command may need."""

from ...errors import UsageError

_MODULES_OF = {
    "client": ("httpx", "tenacity"),
    "dev-server": ("segno", "starlette", "uvicorn", "watchfiles"),
    "server": ("httptools", "httpx", "jinja2", "obstore", "prometheus_client", "starlette", "uvicorn"),
}


def need(extra: str) -> None:
    """Raise UsageError where the libraries of an extra are not installed."""
    import importlib.util

    for module in _MODULES_OF[extra]:
        if importlib.util.find_spec(module) is None:
            raise UsageError(f"{module} is not installed: pip install 'capseal[{extra}]'")
