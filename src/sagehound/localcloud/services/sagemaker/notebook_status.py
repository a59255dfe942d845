"""The life of a notebook instance as data, the refusals in AWS's words, and why one has failed."""

from __future__ import annotations

from typing import Any

from sagehound.localcloud.errors import AwsError, validation
from sagehound.localcloud.state.lifecycle import Lifecycle

Record = dict[str, Any]

NOTEBOOK = "sagemaker:notebook-instance"
LIFECYCLE_CONFIG = "sagemaker:notebook-instance-lifecycle-config"

NOTEBOOK_STATUS = Lifecycle(
    "NotebookInstanceStatus",
    {
        "Pending": {"InService", "Failed"},
        # To Pending when the machine below it was lost: it is started again, and is not in service meanwhile.
        "InService": {"Stopping", "Pending"},
        "Stopping": {"Stopped", "Failed"},
        "Stopped": {"Pending", "Updating", "Deleting"},
        "Updating": {"Stopped", "Failed"},
        "Failed": {"Pending", "Updating", "Deleting"},
        "Deleting": {"Failed"},
    },
)
_BEFORE = {
    "Pending": ("Stopped", "Failed"),
    "Stopping": ("InService",),
    "Updating": ("Stopped", "Failed"),
    "Deleting": ("Stopped", "Failed"),
}
"""From which statuses a request may lead to another one."""
_LONGEST_REASON = 1024


def check_transition(record: Record, to: str) -> None:
    """ValidationException, in AWS's words, when a request comes in a status that does not allow it."""
    status, before = record["NotebookInstanceStatus"], _BEFORE[to]
    if status not in before:
        raise validation(
            f"Status ({status}) not in ([{', '.join(before)}]). Unable to transition to ({to}) for Notebook Instance "
            f"({record['NotebookInstanceArn']})"
        )


def check_in_service(record: Record) -> None:
    """A link leads to an instance that is there."""
    if record["NotebookInstanceStatus"] != "InService":
        raise validation(
            f"Status ({record['NotebookInstanceStatus']}) not in ([InService]). Unable to create a presigned URL for "
            f"Notebook Instance ({record['NotebookInstanceArn']})"
        )


def unsupported(what: str) -> AwsError:
    """What this cloud does not really do is refused by name, never ignored."""
    return AwsError("NotImplemented", f"The local cloud's notebook instances do not have {what}.", 501)


class NotStarted(Exception):
    """The instance did not come up; the text is what FailureReason says."""


def why_not_started(record: Record, failed: Record, config_arn: str, last_words: str) -> NotStarted:
    """FailureReason: AWS's sentence about a lifecycle script, ours about JupyterLab, and the last words of the log."""
    if failed["what"] == "jupyter":
        said = _about_jupyter(failed)
    elif failed["why"] == "time":
        said = (
            f"Notebook Instance Lifecycle Config '{config_arn}' for Notebook Instance "
            f"'{record['NotebookInstanceArn']}' took longer than 5 minutes. Please check your CloudWatch logs for "
            "more details if your Notebook Instance has Internet access."
        )
    else:
        said = (
            f"Notebook Instance Lifecycle Config '{config_arn}' for Notebook Instance "
            f"'{record['NotebookInstanceArn']}' failed: {failed['what']} ended with exit code {failed['code']}. Please "
            "check your CloudWatch logs for more details."
        )
    return NotStarted(said if failed["why"] == "missing" else with_last_words(said, last_words))


def with_last_words(said: str, last_words: str) -> str:
    """As much of the end of the log as FailureReason has room for."""
    room = _LONGEST_REASON - len(said) - len(" Last words:\n")
    return f"{said} Last words:\n{last_words[-room:]}" if last_words and room > 0 else said[:_LONGEST_REASON]


def _about_jupyter(failed: Record) -> str:
    if failed["why"] == "missing":
        return (
            "JupyterLab is not installed beside this cloud. Install the extra that has it, pip install "
            "'sagehound[notebook]', and start the notebook instance again."
        )
    return f"JupyterLab ended again and again, the last time with exit code {failed['code']}."
