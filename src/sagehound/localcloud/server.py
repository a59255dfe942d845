"""The one process of the local cloud: locks its data directory, listens on loopback, serves until told to stop."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import errno
import fcntl
import functools
import gc
import json
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import uvicorn

from sagehound.localcloud.cloud import Cloud
from sagehound.localcloud.interception import authority
from sagehound.localcloud.interception.bundle import write_bundle
from sagehound.localcloud.interception.proxy import Proxy
from sagehound.localcloud.interception.proxy_connection import ProxyConnection
from sagehound.localcloud.interception.variables import bundle_of, client_variables
from sagehound.loopback import is_loopback
from sagehound.settings import LocalCloudSettings, outward_proxies, trusted_bundles, wget_start_up_file

logger = logging.getLogger("sagehound")


class CannotStart(Exception):
    """Why the server does not start, with the way out; shown to the person without a traceback."""


def serve(settings: LocalCloudSettings) -> int:
    """Run the local cloud in the foreground until SIGTERM or SIGINT; the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    try:
        _check_address(settings)
        if settings.other_hosts not in ("pass", "refuse"):
            raise CannotStart(f"other_hosts is {settings.other_hosts!r}; it may be pass or refuse.")
        data_dir = settings.data_dir.expanduser().resolve()
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (
            _lock(data_dir),
            _listen(settings) as listener,
            asyncio.Runner(loop_factory=_loop_factory()) as runner,
        ):
            runner.run(_serve(settings, data_dir, listener))
    except CannotStart as reason:
        print(f"sagehound: {reason}", file=sys.stderr)
        return 1
    return 0


async def _serve(settings: LocalCloudSettings, data_dir: Path, listener: socket.socket) -> None:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    endpoint_url = f"http://{host}:{listener.getsockname()[1]}"
    try:
        certificates = authority.load_or_make(data_dir / "authority")
        write_bundle(bundle_of(data_dir), certificates.pem, trusted_bundles(), wget_start_up_file())
    except OSError as reason:
        raise CannotStart(
            f"cannot write the certificates that clients trust, or read what they are made of: {reason}. "
            "Give the file to the user of this server, or leave it out of the variable that names it."
        ) from reason
    cloud = Cloud(settings, data_dir, endpoint_url=lambda: endpoint_url)
    await cloud.start()
    proxies = outward_proxies(bundle_of(data_dir))
    proxy = Proxy(certificates, data_dir / "authority", settings.other_hosts, proxies, endpoint_url)
    server = _Server(_uvicorn_config(cloud, proxy), data_dir, endpoint_url, cloud, settings.region)
    # What start-up made lives as long as the process: the collector need not walk it again.
    gc.freeze()
    try:
        await server.serve(sockets=[listener])
    finally:
        await cloud.stop()
        (data_dir / "server.json").unlink(missing_ok=True)


def _uvicorn_config(cloud: Cloud, proxy: Proxy) -> uvicorn.Config:
    return uvicorn.Config(
        cloud.gateway,
        loop="none",
        http=functools.partial(ProxyConnection, proxy=proxy),  # type: ignore[arg-type]
        ws="none",
        lifespan="off",
        # There is no proxy in front: who calls from where (aws:SourceIp) is nothing that a header may say.
        proxy_headers=False,
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=True,
        timeout_keep_alive=65,
        timeout_graceful_shutdown=5,
        backlog=2048,
    )


class _Server(uvicorn.Server):
    """Writes server.json once it accepts connections: `sagehound up --detach` and `status` read it."""

    def __init__(self, config: uvicorn.Config, data_dir: Path, endpoint_url: str, cloud: Cloud, region: str) -> None:
        super().__init__(config)
        self._region = region
        self._clock = cloud.clock
        self._listeners = cloud.listeners
        self._data_dir = data_dir
        self._endpoint_url = endpoint_url

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """SIGTERM and SIGINT end the serving only; uvicorn's own would end the process before the store is closed."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield

    def _new_connection(self) -> asyncio.Protocol:
        protocol = self.config.http_protocol_class
        return protocol(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)  # type: ignore[call-arg]

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._listeners.end()
        await super().shutdown(sockets=sockets)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        await self._listeners.begin(self._new_connection)
        process = psutil.Process()
        facts = {
            "pid": process.pid,
            "create_time": process.create_time(),
            "endpoint_url": self._endpoint_url,
            "port": int(self._endpoint_url.rsplit(":", 1)[1]),
            "started": time.time(),
            # How clients turn times of this cloud into those of their own clock.
            "speed": self._clock.speed,
            "clock_epoch": self._clock.epoch,
            # What makes a client of AWS's a client of this cloud, beside its keys.
            "environment": client_variables(self._endpoint_url, str(bundle_of(self._data_dir)), self._region),
        }
        temporary = self._data_dir / "server.json.new"
        temporary.write_text(json.dumps(facts))
        temporary.replace(self._data_dir / "server.json")
        clock = f", clock x{self._clock.speed:g}" if self._clock.speed != 1.0 else ""
        logger.info("listening on %s, data in %s%s", self._endpoint_url, self._data_dir, clock)


def _loop_factory() -> Any:
    try:
        import uvloop
    except ImportError:  # no wheel for this platform: asyncio's own loop does the same, slower
        return None
    return uvloop.new_event_loop


def _check_address(settings: LocalCloudSettings) -> None:
    if not is_loopback(settings.host) and not settings.allow_remote:
        raise CannotStart(
            f"host {settings.host} is not loopback, so other machines could reach this cloud. "
            "Use 127.0.0.1, or say --allow-remote if that is what you want."
        )


@contextlib.contextmanager
def _lock(data_dir: Path) -> Iterator[None]:
    """One server per data directory: the kernel lets go of the lock when the process ends, however it ends."""
    descriptor = os.open(data_dir / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as busy:
            holder = os.pread(descriptor, 32, 0).decode() or "unknown"
            raise CannotStart(
                f"data directory {data_dir} is in use by the server with pid {holder}. "
                "Stop it with `sagehound down`, or choose another --data-dir."
            ) from busy
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _listen(settings: LocalCloudSettings) -> Iterator[socket.socket]:
    listener = socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as reason:
        listener.close()
        if reason.errno == errno.EADDRINUSE:
            raise CannotStart(
                f"port {settings.port} is taken. Choose another with --port (0 takes a free one)."
            ) from reason
        raise CannotStart(f"cannot listen on {settings.host}:{settings.port}: {reason.strerror}.") from reason
    try:
        yield listener
    finally:
        listener.close()


def _arguments() -> LocalCloudSettings:
    parser = argparse.ArgumentParser(prog="python -m sagehound.localcloud.server", description=__doc__)
    for each in dataclasses.fields(LocalCloudSettings):
        option, sentence = "--" + each.name.replace("_", "-"), each.metadata["sentence"].replace("%", "%%")
        if isinstance(each.default, bool):
            parser.add_argument(option, action="store_true", help=sentence)
        elif each.default is dataclasses.MISSING:
            parser.add_argument(option, type=json.loads, metavar="JSON", help=sentence)
        else:
            kind = Path if isinstance(each.default, Path) else type(each.default)
            choices = each.metadata["choices"] or None
            parser.add_argument(option, type=kind, default=each.default, choices=choices, help=sentence)
    given = {name: value for name, value in vars(parser.parse_args()).items() if value is not None}
    return LocalCloudSettings(**given)


if __name__ == "__main__":
    sys.exit(serve(_arguments()))
