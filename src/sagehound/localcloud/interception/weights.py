"""Pretrained weights that scripts download: answered from the data directory, where they lie as in torch's own cache"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import re
from pathlib import Path
from urllib.parse import unquote

from sagehound.localcloud.call import FileRange, HttpRequest
from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.gateway import Exchange
from sagehound.localcloud.interception.hosts import WEIGHTS_HOSTS
from sagehound.localcloud.interception.real_host import VIA, NotGiven, RealHost
from sagehound.localcloud.interception.reason import REASON
from sagehound.localcloud.interception.rules import is_local
from sagehound.localcloud.wire.protocol import WireResponse

logger = logging.getLogger(__name__)

_MODELS = "/models/"
_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,199}")
"""Within what file systems take, also with what a part of it is called."""
_DIGEST = re.compile(r"-([a-f0-9]{8,64})\.")
"""As in torch.hub: a name tells the beginning of its content's SHA-256."""


def torch_home(data_dir: Path) -> Path:
    """What TORCH_HOME is for everything that runs in this cloud."""
    return data_dir / "weights"


def checkpoints(data_dir: Path) -> Path:
    """The folder of the files themselves: where torch.hub looks below TORCH_HOME."""
    return torch_home(data_dir) / "hub" / "checkpoints"


class WeightsFront:
    """Answers for the hosts of pretrained weights: from the cache, or from the real host where that is allowed.

    What is missing fails at once, and the reason phrase tells which file to add and how: that is what the traceback of
    a script shows of an HTTP error.
    """

    def __init__(self, data_dir: Path, real_host: RealHost | None) -> None:
        self._folder = checkpoints(data_dir)
        self._folder.mkdir(parents=True, exist_ok=True)
        for left in self._folder.glob(".*.part"):  # of a server that was killed
            left.unlink()
        self._real_host = real_host
        self._fetching: dict[str, asyncio.Task[str]] = {}

    def claims(self, http: HttpRequest) -> bool:
        """Whether a request is for a host of weights."""
        return _host(http) in WEIGHTS_HOSTS

    async def answer(self, exchange: Exchange) -> WireResponse:
        """The file, or why there is none; to anything but weights (wheels lie there too) the host's own answer."""
        http = exchange.http
        exchange.step = "dispatch"
        if http.method not in ("GET", "HEAD"):
            return _refusal(exchange, 405, "MethodNotAllowed", f"{_host(http)} can be read only.")
        if not http.raw_path.startswith(_MODELS):
            return await self._forwarded(exchange)
        name = unquote(http.raw_path.rsplit("/", 1)[1])
        if not _FILE.fullmatch(name):
            return _refusal(exchange, 404, "NoSuchWeights", "No file of weights has such a name.")
        path = self._folder / name
        if not path.is_file() and (problem := await self._fetched(http, path)):
            return _refusal(exchange, 404, "NoSuchWeights", problem)
        size = path.stat().st_size
        headers = [("Content-Type", "application/octet-stream"), ("Content-Length", str(size))]
        return WireResponse(200, headers, FileRange(path, 0, size))

    async def _fetched(self, http: HttpRequest, path: Path) -> str:
        """Put a missing file into the cache; why not, where that cannot be. Who asks meanwhile is told the same."""
        missing = f"{path.name} is not in the weights cache. Add it once: sagehound weights add {path.name}"
        if self._real_host is None or not _may_leave(http):
            return missing
        fetching = self._fetching.get(path.name)
        if fetching is None:
            work = _fetch(self._real_host, _host(http), http.raw_path, path)
            fetching = self._fetching[path.name] = asyncio.create_task(work)
            fetching.add_done_callback(lambda _: self._fetching.pop(path.name))
        problem = await asyncio.shield(fetching)
        return problem and f"{missing} ({_host(http)} has not given it: {problem})"

    async def _forwarded(self, exchange: Exchange) -> WireResponse:
        http = exchange.http
        if self._real_host is None or not _may_leave(http):
            said = f"{_host(http)} is asked for nothing but weights: this cloud refuses other hosts."
            return _refusal(exchange, 403, "OtherHostRefused", said)
        try:
            return await self._real_host.forward(_host(http), http)
        except NotGiven as why:
            return _refusal(exchange, 502, "OtherHostUnreachable", f"{_host(http)} has not answered: {why}")


def _host(http: HttpRequest) -> str:
    return http.headers.get("host", "").partition(":")[0].lower().rstrip(".")


def _may_leave(http: HttpRequest) -> bool:
    """Only clients of this machine may have something fetched, and no other cloud like this one."""
    return VIA not in http.headers.get("via", "") and is_local(http.client)


async def _fetch(real_host: RealHost, host: str, url_path: str, path: Path) -> str:
    part = path.with_name(f".{path.name}.part")
    try:
        await real_host.fetch(host, url_path, part)
        await asyncio.to_thread(_check_digest, part, path.name)
        part.replace(path)
    except NotGiven as why:
        return str(why)
    except OSError as error:
        logger.warning("%s cannot be kept in the weights cache: %s", path.name, error)
        return f"it cannot be kept: {os.strerror(error.errno) if error.errno else error}"
    finally:
        part.unlink(missing_ok=True)
    return ""


def _check_digest(path: Path, name: str) -> None:
    told = _DIGEST.search(name)
    if told is None:
        return
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if not digest.startswith(told[1]):
        raise NotGiven(f"its SHA-256 begins with {digest[: len(told[1])]}, not with {told[1]} as its name says")


def _refusal(exchange: Exchange, status: int, code: str, sentence: str) -> WireResponse:
    """An error as plain text, told in the status line as well."""
    exchange.error = AwsError(code, sentence, status)
    body = f"{sentence}\n".encode()
    headers = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))]
    return WireResponse(status, [*headers, (REASON, sentence)], body)
