"""Servers that are measured: what starts each, on a free port, and the processor time that it took."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence

from .contestants import Site
from .measure import CommandError

_UP_TIMEOUT_S = 30
_POLL_S = 0.01
_NGINX = """
daemon off; worker_processes 1; {user} pid {folder}/nginx.pid; error_log /dev/null;
events {{ worker_connections 256; }}
http {{
  access_log off; sendfile {sendfile}; root {folder};
  client_body_temp_path {folder}/t; proxy_temp_path {folder}/t; fastcgi_temp_path {folder}/t;
  uwsgi_temp_path {folder}/t; scgi_temp_path {folder}/t;
  server {{ listen 127.0.0.1:{port}; }}
}}
"""
_STATIC_FILES = """
import sys, uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
app = Starlette(routes=[Mount("/", StaticFiles(directory=sys.argv[1]))])
uvicorn.run(app, port=int(sys.argv[2]), log_level="error", access_log=False)
"""


def serve_argv(store: str, site: Site) -> list[str]:
    """Return what starts `capseal serve` of a store; {port} stands for the port."""
    program = os.path.join(os.path.dirname(sys.executable), "capseal")
    return [sys.executable, program, "serve", store, "--trust", site.key("key.pub"), "--port", "{port}"]


def nginx_argv(site: Site, sendfile: str) -> list[str]:
    """Return what starts nginx, which serves the site's folder, with its sendfile on or off."""
    os.makedirs(site.at("t"), exist_ok=True)
    return ["nginx", "-p", site.folder, "-c", site.at(f"nginx-{sendfile}.conf")]


def static_files_argv(site: Site) -> list[str]:
    """Return what starts Starlette's StaticFiles of the site's folder on uvicorn."""
    return [sys.executable, "-c", _STATIC_FILES, site.folder, "{port}"]


@contextlib.contextmanager
def running(argv: Sequence[str], site: Site) -> Iterator[tuple[int, int]]:
    """Run a server on a free port until it listens; yield its process and the port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    user = "user root;" if os.geteuid() == 0 else ""
    for sendfile in ("on", "off"):
        with open(site.at(f"nginx-{sendfile}.conf"), "w") as file:
            file.write(_NGINX.format(user=user, folder=site.folder, sendfile=sendfile, port=port))
    full = [one.replace("{port}", str(port)) for one in argv]
    with subprocess.Popen(full, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=site.folder) as process:
        try:
            _wait_until_up(process, port)
            yield process.pid, port
        finally:
            process.terminate()


def _wait_until_up(process: "subprocess.Popen[bytes]", port: int) -> None:
    deadline = time.monotonic() + _UP_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port)).close()
            return
        time.sleep(_POLL_S)
    raise CommandError(f"{process.args[0]}: does not listen")


def cpu_s(pid: int) -> float:
    """Return the processor seconds of a process and its children, so far."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        children = file.read().split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") + sum(cpu_s(int(one)) for one in children)
