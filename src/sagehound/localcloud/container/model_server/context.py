"""The context that a user's function may ask for as its last argument, with the names of AWS's own containers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class RequestProcessor:
    """The request's headers in the way of older handlers: `context.request_processor[0].get_request_properties()`."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = headers

    def get_request_properties(self) -> dict[str, str]:
        """All headers, by lower-case name."""
        return dict(self._headers)

    def get_request_property(self, key: str) -> str | None:
        """One header, whatever the case of its name."""
        return self._headers.get(key.lower())


class Context:
    """One request (or the load) as the user's functions see it; `index` is always 0, since nothing is batched."""

    def __init__(
        self,
        model_dir: str,
        headers: Mapping[str, str] | None = None,
        *,
        request_id: str = "",
        model_name: str = "model",
    ) -> None:
        self.model_name = model_name
        self.manifest: dict[str, Any] = {"model": {"modelName": model_name}}
        self.system_properties: dict[str, Any] = {
            "model_dir": model_dir,
            "gpu_id": None,
            "batch_size": 1,
            "server_name": "sagehound",
            "server_version": "1",
        }
        self.request_ids = {0: request_id}
        self.response_status = 200
        self.response_content_type: str | None = None
        self.response_headers: dict[str, str] = {}
        self._headers = {name.lower(): value for name, value in (headers or {}).items()}
        self.request_processor = [RequestProcessor(self._headers)]

    def get_request_id(self, index: int = 0) -> str:
        """The id of the request."""
        return self.request_ids.get(index, "")

    def get_request_header(self, index: int, key: str) -> str | None:
        """One header of the request, whatever the case of its name; None when it was not sent."""
        return self._headers.get(key.lower())

    def get_all_request_header(self, index: int) -> dict[str, str]:
        """All headers of the request, by lower-case name."""
        return dict(self._headers)

    def set_response_content_type(self, index: int, value: str) -> None:
        """Override the content type of the answer."""
        self.response_content_type = value

    def get_response_content_type(self, index: int) -> str | None:
        """The content type that was set, if any."""
        return self.response_content_type

    def set_response_header(self, index: int, key: str, value: str) -> None:
        """Add a header to the answer."""
        self.response_headers[key] = value

    def get_response_headers(self, index: int) -> dict[str, str]:
        """The headers that were set."""
        return self.response_headers

    def set_response_status(self, code: int = 200, phrase: str = "", index: int = 0) -> None:
        """Set the HTTP status of the answer."""
        self.response_status = code

    def get_response_status(self, index: int) -> tuple[int, str]:
        """The status that the answer will have."""
        return self.response_status, ""
