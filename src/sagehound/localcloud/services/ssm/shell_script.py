"""AWS-RunShellScript: the parameters that it takes, and the program that an instance runs for it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.instances.spec import Command
from sagehound.localcloud.services.ssm.errors import invalid_parameters
from sagehound.localcloud.state import arns

DOCUMENT = "AWS-RunShellScript"
PLUGIN, STEP = "aws:runShellScript", "awsrunShellScript"
_REFERENCE = re.compile(r"\{\{\s*ssm(-secure)?:")
_LONGEST_SECONDS = 172_800
_PARAMETERS = ("commands", "workingDirectory", "executionTimeout")
_WORKING_DIRECTORY = "/usr/bin"
"""Where AWS's agent runs scripts that name no directory."""
_RUN = (
    'd="$HOME/.ssm/$1"; mkdir -p "$d" && cat >"$d/_script.sh" && chmod 700 "$d/_script.sh" || exit 1; '
    'if cd -- "$2"; then "$d/_script.sh" </dev/null; s=$?; else s=1; fi; rm -r "$d"; exit $s'
)
"""As the agent does it: the commands become a file, run by its path, so `#!` in the first line has an effect."""


class ShellScript(NamedTuple):
    """What is to run."""

    text: str
    working_directory: str
    seconds: int
    """Its executionTimeout."""

    def command(self, command_id: str, instance_id: str, region: str, speed: float) -> Command:
        """For the engine; `speed` is that of the cloud's clock, by which timeouts go."""
        return Command(
            argv=("/bin/sh", "-c", _RUN, "sh", command_id, self.working_directory),
            timeout=self.seconds / speed,
            env={"AWS_SSM_INSTANCE_ID": instance_id, "AWS_SSM_REGION_NAME": region},
            stdin=self.text.encode(),
        )


def check_document(name: str, region: str) -> None:
    """InvalidDocument for a document that is not here: only AWS-RunShellScript is, by its name or its whole ARN.

    No other name may lead to it: IAM was asked about the name as it stands in the request.
    """
    short = name.removeprefix(arns.make("ssm", region, "", "document/"))
    if short == "AWS-RunPowerShellScript":
        raise AwsError("UnsupportedPlatformType", "AWS-RunPowerShellScript is for Windows; the instances are Linux.")
    if short != DOCUMENT:
        message = f"Document with name {name} does not exist: the local cloud has {DOCUMENT} only."
        raise AwsError("InvalidDocument", message)


def parse(parameters: Mapping[str, list[str]]) -> ShellScript:
    """The script of SendCommand's Parameters; InvalidParameters for what the document does not take."""
    for name, values in parameters.items():
        if any(_REFERENCE.search(value) for value in values):
            raise invalid_parameters("The local cloud fills in no {{ssm:PARAMETER}}: get it in the script, or before.")
        if name not in _PARAMETERS:
            raise invalid_parameters(f"{DOCUMENT} has no parameter {name}; it has {', '.join(_PARAMETERS)}.")
        if name != "commands" and len(values) != 1:
            raise invalid_parameters(f"{name} takes one value and has {len(values)}.")
    commands = parameters.get("commands", [])
    if not any(command.strip() for command in commands):
        raise invalid_parameters("commands is required and has no command.")
    timeout = parameters.get("executionTimeout", [""])[0] or "3600"
    if not timeout.isdecimal() or not 1 <= int(timeout[:9]) <= _LONGEST_SECONDS:
        raise invalid_parameters(f"executionTimeout is {timeout!r}; it takes 1 to {_LONGEST_SECONDS} seconds.")
    directory = parameters.get("workingDirectory", [""])[0] or _WORKING_DIRECTORY
    return ShellScript("\n".join(commands) + "\n", directory, int(timeout))
