"""What `import capseal.server` offers, and what it costs."""

import subprocess
import sys

import pytest

import capseal.server

FOREIGN = {
    "brotli",
    "distributed",
    "httpx",
    "matplotlib",
    "numpy",
    "pathspec",
    "rich",
    "segno",
    "tenacity",
    "zlib_ng",
    "zstandard",
}
EXTRA = {"httptools", "jinja2", "obstore", "prometheus_client", "starlette", "uvicorn", "uvloop"}


def loaded(code: str) -> set[str]:
    """Return the modules that a fresh interpreter has loaded after some code."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_the_server_loads_no_http_client_and_each_name_only_what_it_needs() -> None:
    bare = loaded("")
    costs = {}
    for name in ("", "Limits", "Storage", "load_token", "create_app", "make_server"):
        code = "import capseal.server" + (f"\ncapseal.server.{name}" if name else "")
        costs[name or "import"] = loaded(code) - bare
    print({name: len(modules) for name, modules in costs.items()})
    every = loaded("from capseal.server import *") - bare
    print(f"all names: {len(every)}, of capseal {sum(name.startswith('capseal') for name in every)}")
    assert not {name.partition(".")[0] for name in every} & FOREIGN
    assert not {name.partition(".")[0] for name in costs["import"]} & EXTRA
    assert not {name.partition(".")[0] for name in costs["create_app"]} & {"uvicorn", "jinja2"}
    # What the libraries load in turn differs with their versions and with Python's; what is capseal's own does not.
    assert sum(name.partition(".")[0] == "capseal" for name in every) < 140


def test_every_public_name_of_the_server_is_there() -> None:
    for name in capseal.server.__all__:
        assert getattr(capseal.server, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = capseal.server.nothing
