"""AllowedPattern: a regular expression that a value must match whole, tried where it can take no time of anyone's."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence

from sagehound.localcloud.errors import AwsError

_SECONDS = 5.0
_BAD, _NO_MATCH = 3, 4
_PROGRAM = f"""
import json, re, sys
pattern, values = json.load(sys.stdin)
try:
    compiled = re.compile(pattern)
except (re.error, RecursionError, OverflowError):
    sys.exit({_BAD})
sys.exit(0 if all(compiled.fullmatch(value) for value in values) else {_NO_MATCH})
"""


async def check(pattern: str, values: Sequence[str]) -> None:
    """AwsError unless each value matches.

    Python's `re` may take exponential time and lets no other thread run meanwhile, so a process of its own does it.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-S", "-c", _PROGRAM, stdin=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(_SECONDS):
            await process.communicate(json.dumps([pattern, list(values)]).encode())
    except TimeoutError:
        raise _invalid(f" It takes more than {_SECONDS:g} seconds.") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode == _NO_MATCH:
        message = f"Parameter value, cannot be validated against allowedPattern: {pattern}"
        raise AwsError("ParameterPatternMismatchException", message)
    if process.returncode != 0:
        raise _invalid("")


def _invalid(reason: str) -> AwsError:
    message = f"The request doesn't meet the regular expression requirement.{reason}"
    return AwsError("InvalidAllowedPatternException", message)
