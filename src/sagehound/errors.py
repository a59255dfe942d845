"""The errors that a person reads: which step failed, why, and the way out."""

from __future__ import annotations


class SagehoundError(Exception):
    """Base of the errors that are expected and rendered without a traceback."""


class StepFailed(SagehoundError):
    """One step of the pipeline (or one verb of the command line) could not do its work.

    ``step`` names what was being done in a word or two, ``cause`` says why it failed with the names
    involved (file, field, job), and ``hint`` is the way out: something that the reader can do now.
    """

    def __init__(self, step: str, cause: str, hint: str) -> None:
        super().__init__(f"{step}: {cause}")
        self.step = step
        self.cause = cause
        self.hint = hint

    def as_dict(self) -> dict[str, str]:
        """The same three facts for machines (``--json``)."""
        return {"step": self.step, "cause": self.cause, "hint": self.hint}


class SettingsError(StepFailed):
    """A settings file holds an unknown key, a value of the wrong type, or one outside its range."""

    def __init__(self, cause: str, hint: str) -> None:
        super().__init__("settings", cause, hint)


class DataRefused(StepFailed):
    """The pictures that were given cannot be trained on as they are; the cause names the files."""

    def __init__(self, cause: str, hint: str) -> None:
        super().__init__("data", cause, hint)


class Interrupted(StepFailed):
    """The person pressed Ctrl-C: the cause says what is still running, the hint how to go on or to stop it."""
