"""Writes docs/coverage.md: which operations of each AWS service the local cloud has, from its dispatch tables."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import botocore.session

from sagehound.localcloud.cloud import Cloud
from sagehound.settings import LocalCloudSettings

TARGET = Path(__file__).parents[1] / "docs" / "coverage.md"


def coverage() -> str:
    """The page as Markdown: one section a service, the share of AWS's operations, and their names."""
    with tempfile.TemporaryDirectory() as folder:
        cloud = Cloud(LocalCloudSettings(), Path(folder), endpoint_url=lambda: "http://127.0.0.1:4566")
        tables = {name: sorted(service.operations) for name, service in cloud.services.items()}
        about = {name: sys.modules[_package(service)].__doc__ or "" for name, service in cloud.services.items()}
        cloud.recorder.close()
        cloud.store.close()
    session = botocore.session.Session()
    lines = [
        "# What the local cloud covers",
        "",
        "Written by `python -m tools.write_coverage` from the dispatch tables: an operation is listed because code",
        "answers it. Any other operation of these services is answered with AWS's error shape and the words that it is",
        "not implemented.",
        "",
        "| service | operations here | of AWS's |",
        "|---|---|---|",
    ]
    for name, operations in tables.items():
        lines.append(
            f"| [{name}](#{name}) | {len(operations)} | {len(session.get_service_model(name).operation_names)} |"
        )
    for name, operations in tables.items():
        lines += ["", f"## {name}", "", about[name].strip(), "", ", ".join(f"`{each}`" for each in operations)]
    return "\n".join(lines) + "\n"


def _package(service: object) -> str:
    return type(service).__module__.rpartition(".")[0]


if __name__ == "__main__":
    text = coverage()
    if "--check" in sys.argv:
        current = TARGET.read_text() if TARGET.exists() else ""
        sys.exit(0 if current == text else "docs/coverage.md is out of date; run python -m tools.write_coverage")
    TARGET.write_text(text)
