"""The optional dependencies of capseal, which a command may need."""

from ...errors import UsageError

MODULES_OF = {
    "client": ("httpx", "tenacity"),
    "capgo": ("brotli",),
    "completion": ("shtab",),
    "delta": ("zstandard",),
    "fleet": ("distributed", "obstore"),
    "pkcs11": ("pkcs11",),
    "server": ("httptools", "httpx", "jinja2", "obstore", "prometheus_client", "starlette", "uvicorn"),
    "dev-server": ("segno", "starlette", "uvicorn", "watchfiles"),
}
"""What is imported of each extra, the smallest first: that is the one to install for a module of several."""


def need(extra: str) -> None:
    """Raise UsageError where the libraries of an extra are not installed."""
    told = lacking(extra)
    if told is not None:
        raise UsageError(told)


def has(extra: str) -> bool:
    """Say whether the libraries of an extra are installed."""
    return lacking(extra) is None


def lacking(extra: str) -> str | None:
    """Return what to tell where the libraries of an extra are not installed, or None."""
    import importlib.util

    for module in MODULES_OF[extra]:
        try:
            found = importlib.util.find_spec(module)
        except (ModuleNotFoundError, ValueError):  # who hides it may say it so
            found = None
        if found is None:
            return _told(module, extra)
    return None


def missing_extra(error: BaseException) -> str | None:
    """Return what to tell where an error says that a library of an extra is not installed, or None."""
    if not isinstance(error, ModuleNotFoundError):
        return None
    module = (error.name or "").partition(".")[0]
    return next((_told(module, extra) for extra, modules in MODULES_OF.items() if module in modules), None)


def _told(module: str, extra: str) -> str:
    return f"{module} is not installed: pip install 'capseal[{extra}]'"
