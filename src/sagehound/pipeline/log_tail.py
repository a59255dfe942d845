"""The lines that jobs and endpoints write, read from CloudWatch Logs as they come."""

from __future__ import annotations

from collections.abc import Iterator

from sagehound.pipeline.aws_errors import error_of
from sagehound.pipeline.clients import Clients

TRAINING_GROUP = "/aws/sagemaker/TrainingJobs"


def endpoint_group(endpoint_name: str) -> str:
    """The log group of an endpoint."""
    return f"/aws/sagemaker/Endpoints/{endpoint_name}"


def function_group(function_name: str) -> str:
    """The log group of a function."""
    return f"/aws/lambda/{function_name}"


class LogTail:
    """New lines of every stream of a group whose name begins with a prefix; each line is given once."""

    def __init__(self, clients: Clients, group: str, prefix: str = "") -> None:
        self._logs = clients.logs
        self._group = group
        self._prefix = prefix
        self._tokens: dict[str, str | None] = {}

    def new_lines(self) -> Iterator[tuple[str, str]]:
        """(stream, line) of what was written since the last call; nothing while the group does not exist."""
        for stream in self._streams():
            while True:
                request = {"logGroupName": self._group, "logStreamName": stream, "startFromHead": True}
                token = self._tokens.get(stream)
                if token is not None:
                    request["nextToken"] = token
                answer = self._logs.get_log_events(**request)
                self._tokens[stream] = answer["nextForwardToken"]
                for event in answer["events"]:
                    yield stream, event["message"].rstrip("\n")
                # The end of a stream is where the service gives back the token that it was given.
                if answer["nextForwardToken"] == token:
                    break

    def last_lines(self, count: int) -> list[str]:
        """The last ``count`` lines of the stream that was written to last."""
        streams = self._streams()
        if not streams:
            return []
        answer = self._logs.get_log_events(
            logGroupName=self._group, logStreamName=streams[-1], limit=count, startFromHead=False
        )
        return [event["message"].rstrip("\n") for event in answer["events"]]

    def _streams(self) -> list[str]:
        from botocore.exceptions import ClientError

        request = {"logGroupName": self._group}
        if self._prefix:
            request["logStreamNamePrefix"] = self._prefix
        try:
            pages = self._logs.get_paginator("describe_log_streams").paginate(**request)
            return [stream["logStreamName"] for page in pages for stream in page["logStreams"]]
        except ClientError as error:
            if error_of(error)[0] == "ResourceNotFoundException":
                return []
            raise
