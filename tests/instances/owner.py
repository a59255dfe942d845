"""A program that boots an instance and then waits to be killed: the server of test_adoption.py."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from .conftest import Lab


async def main(data_dir: Path, private: bool, user_data: str) -> None:
    lab = Lab(data_dir, private)
    handle = await lab.boot(lab.spec(user_data))
    print(json.dumps(handle), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2] == "private", sys.argv[3]))
