"""A table that is drawn anew in place while something goes on; its last state stays on the terminal."""

from __future__ import annotations

from typing import Any, TextIO


class LiveTable:
    """One table on a terminal, of whatever kind is drawn next."""

    def __init__(self, err: TextIO) -> None:
        from rich.console import Console
        from rich.live import Live

        self._live: Any = Live(console=Console(file=err), auto_refresh=False)
        self._live.start()

    def show(self, table: Any) -> None:
        """Draw a rich table over the one before."""
        self._live.update(table, refresh=True)

    def stop(self) -> None:
        """Leave the last state and give the terminal back."""
        self._live.stop()
