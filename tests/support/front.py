"""Proxies in front of a server: nginx and varnish as Debian packages them, with the recipes of examples/operations."""

import contextlib
import os
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from support.places import ROOT
from support.serving_command import free_port
from support.tools import require_tool

RECIPES = ROOT / "examples" / "operations"

_NGINX = """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
{user}
events {{}}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/capseal.conf;
}}
"""


@contextlib.contextmanager
def nginx(folder: Path, target: int) -> Iterator[str]:
    """Run nginx with the recipe, but for TLS and paths, in front of a port; yield its URL."""
    places = (
        (r"127\.0\.0\.1:8417", f"127.0.0.1:{target}"),
        (r"/var/cache/nginx/capseal", str(folder / "cache")),
        (r"/var/log/nginx/capseal\.log", str(folder / "requests.log")),
    )
    with _nginx("nginx.conf", folder, places) as url:
        yield url


@contextlib.contextmanager
def static_nginx(folder: Path, root: Path) -> Iterator[str]:
    """Run nginx with the recipe for a tree of files, but for TLS and paths; yield its URL."""
    with _nginx("nginx-static.conf", folder, ((r"/srv/bundles;", f"{root};"),)) as url:
        yield url


@contextlib.contextmanager
def _nginx(name: str, folder: Path, places: tuple[tuple[str, str], ...]) -> Iterator[str]:
    port = free_port()
    recipe = (RECIPES / name).read_text()
    for old, new in (
        (r"listen 443 ssl;", f"listen 127.0.0.1:{port};"),
        (r"    ssl_certificate[^\n]*\n", ""),
        *places,
    ):
        recipe, count = re.subn(old, new, recipe)
        assert count, old
    (folder / "capseal.conf").write_text(recipe)
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(_NGINX.format(folder=folder, user=user))
    command = [require_tool("nginx"), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]
    with _running(command, port, folder):
        yield f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def varnish(folder: Path, target: int) -> Iterator[str]:
    """Run varnish with the recipe, but for the server's port, in front of a port; yield its URL."""
    port = free_port()
    recipe = (RECIPES / "varnish.vcl").read_text()
    assert recipe.count('.port = "8417"') == 1
    (folder / "varnish.vcl").write_text(recipe.replace('.port = "8417"', f'.port = "{target}"'))
    command = [require_tool("varnishd"), "-F", "-n", str(folder / "work"), "-a", f"127.0.0.1:{port}"]
    command += [
        "-f",
        str(folder / "varnish.vcl"),
        "-s",
        "malloc,256m",
        "-j",
        "none",
        "-p",
        "vsl_space=4M",
        "-T",
        "none",
    ]
    with _running(command, port, folder):
        yield f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def _running(command: list[str], port: int, folder: Path) -> Iterator[None]:
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port)).close()
                break
            assert process.poll() is None and time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(30)
