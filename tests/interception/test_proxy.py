"""What all connections share: how many tunnels may be opening at once."""

from __future__ import annotations

import asyncio
from pathlib import Path

from sagehound.localcloud.interception.authority import load_or_make
from sagehound.localcloud.interception.proxy import MOST_OPENING, Proxy


async def test_a_bounded_number_of_tunnels_is_being_opened(tmp_path: Path) -> None:
    proxy = Proxy(load_or_make(tmp_path), tmp_path, "pass", {}, "http://127.0.0.1:4566")
    opened = asyncio.Event()

    async def open_slowly() -> None:
        await opened.wait()

    tasks = [asyncio.create_task(proxy.counted(open_slowly())) for _ in range(MOST_OPENING)]
    await asyncio.sleep(0)
    assert proxy.is_full()
    tasks.pop().cancel()
    await asyncio.sleep(0)
    assert not proxy.is_full()
    opened.set()
    await asyncio.gather(*tasks)
    assert not proxy.is_full()
