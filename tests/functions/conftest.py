"""An engine for a test: real processes of the runtime client, ended after it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.functions.bench import Bench


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with Bench(tmp_path) as made:
        await made.engine.ready()
        yield made


@pytest.fixture
async def private(bench: Bench) -> Bench:
    """A bench whose environments are private; kernels that refuse that have nothing to test here."""
    if not bench.engine.private:
        pytest.skip("this kernel lets nobody have namespaces")
    return bench


@pytest.fixture
async def open_bench(tmp_path: Path) -> AsyncIterator[Bench]:
    """A bench without sandboxes, as where the kernel refuses them."""
    async with Bench(tmp_path, sandbox=False) as made:
        await made.engine.ready()
        yield made
