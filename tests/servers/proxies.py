"""The proxies of `docker/`, on a free port and with short timeouts."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from config.env import BASE_DIR
from tests.servers.debian import install
from tests.servers.server import Server
from tests.servers.sockets import open_to
from tests.servers.unavailable import Unavailable
from tests.servers.waiting import free_port, wait_until

DOCKER = BASE_DIR / "docker"
#: Where Debian has the programs of servers; not in everybody's PATH.
SYSTEM_PROGRAMS = "/usr/sbin"
#: In place of the ten and twenty seconds of the configurations.
SHORT = "2s"
MAIN = """
daemon off;
pid {folder}/nginx.pid;
{user}
events {{}}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/shop.conf;
}}
"""


class Proxy:
    """A proxy before the shop."""

    def __init__(self, url: str, server: Server, logs: list[Path]) -> None:
        self.url = url
        self.server = server
        self._logs = [*logs, server.log]

    def log_text(self) -> str:
        return "".join(log.read_text() for log in self._logs if log.exists())

    def answers(self) -> bool:
        self.server.check_runs()
        try:
            open_to(self.url, seconds=1).close()
        except OSError:
            return False
        return True


def nginx_program() -> str:
    """The path of nginx, installed first where it is missing.

    Raises `Unavailable`.
    """
    path = os.pathsep.join([os.environ.get("PATH", ""), SYSTEM_PROGRAMS])
    if shutil.which("nginx", path=path) is None:
        install("nginx-light")
    program = shutil.which("nginx", path=path)
    if program is None:
        raise Unavailable("nginx is not here; install its Debian package, nginx-light")
    return program


@contextmanager
def nginx(folder: Path, shop: str) -> Iterator[Proxy]:
    """docker/nginx.conf without TLS, before the shop at this `host:port`."""
    port = free_port()
    text = (DOCKER / "nginx.conf").read_text()
    for pattern, replacement in {
        "listen 80 default_server;": f"listen 127.0.0.1:{free_port()};",
        "listen 443 ssl default_server;": f"listen 127.0.0.1:{port};",
        r" *ssl_certificate.*\n": "",
        "127.0.0.1:8000": shop,
        "/var/log/nginx": str(folder),
        r"\b10s;": f"{SHORT};",
    }.items():
        text, count = re.subn(pattern, replacement, text)
        assert count, f"docker/nginx.conf has no {pattern}"
    (folder / "shop.conf").write_text(text)
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(MAIN.format(folder=folder, user=user))
    argv = [os.environ["NGINX"], "-c", str(folder / "nginx.conf"), "-p", str(folder)]
    server = Server([*argv, "-e", str(folder / "start.log")], folder / "nginx.log")
    logs = [folder / name for name in ("access.log", "error.log", "start.log")]
    with _running(Proxy(f"http://127.0.0.1:{port}", server, logs)) as proxy:
        yield proxy


@contextmanager
def caddy(folder: Path, shop: str) -> Iterator[Proxy]:
    """docker/Caddyfile without TLS, before the shop at this `host:port`."""
    url = f"http://127.0.0.1:{free_port()}"
    text = (DOCKER / "Caddyfile").read_text()
    text, count = re.subn(r"(read_header|read_body) \d+s", rf"\1 {SHORT}", text)
    assert count == 2
    (folder / "Caddyfile").write_text(text)
    argv = [os.environ["CADDY"], "run", "--adapter", "caddyfile", "--config"]
    server = Server(
        [*argv, str(folder / "Caddyfile")],
        folder / "caddy.log",
        env={
            **os.environ,
            "SITE_URL": url,
            "SHOP_ADDRESS": shop,
            "XDG_DATA_HOME": str(folder),
            "XDG_CONFIG_HOME": str(folder),
        },
    )
    with _running(Proxy(url, server, [])) as proxy:
        yield proxy


@contextmanager
def _running(proxy: Proxy) -> Iterator[Proxy]:
    try:
        wait_until(proxy.answers)
        yield proxy
    finally:
        proxy.server.stop()


PROXIES: dict[str, Callable[[Path, str], AbstractContextManager[Proxy]]] = {
    "NGINX": nginx,
    "CADDY": caddy,
}
