"""Writes the settings in docs/pipeline.md: pipeline.toml as `sagehound init` writes it."""

from __future__ import annotations

from pathlib import Path

from sagehound.pipeline.settings_file import render_settings
from sagehound.settings import PipelineSettings

PAGE = Path(__file__).parents[1] / "docs" / "pipeline.md"
BEGIN, END = "<!-- settings: written by tools/write_settings.py -->\n", "<!-- end of settings -->"


def page(text: str) -> str:
    """`text` with its settings replaced by the present ones; ValueError when the markers are missing."""
    before, _, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError("docs/pipeline.md has no settings markers")
    return f"{before}{BEGIN}\n```toml\n{render_settings(PipelineSettings()).strip()}\n```\n\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
