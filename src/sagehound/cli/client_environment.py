"""The environment of a command for which AWS is the local cloud: what it gets, and what of the person's it loses."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from sagehound.cli.client_files import Files
from sagehound.cli.local_process import Server, running
from sagehound.errors import StepFailed
from sagehound.loopback import is_loopback

KEPT = frozenset(
    {
        *("AWS_PAGER", "AWS_DEFAULT_OUTPUT", "AWS_CLI_AUTO_PROMPT", "AWS_CLI_FILE_ENCODING", "AWS_CLI_HISTORY_FILE"),
        *("AWS_MAX_ATTEMPTS", "AWS_RETRY_MODE", "AWS_DATA_PATH"),
    }
)
"""The person's AWS_... that say nothing about where AWS is or who asks; all others would lead somewhere else."""
ELSEWHERE = "^(AWS_[A-Za-z0-9_]*|BOTO_CONFIG|SAGEMAKER_USER_CONFIG_OVERRIDE)$"
"""What the names of the others look like."""

_TRUST = frozenset({"NIX_SSL_CERT_FILE", "HTTPLIB2_CA_CERTS", "CARGO_HTTP_CAINFO", "PERL_LWP_SSL_CA_FILE"})
"""Where the person has said which CAs some programs trust, those programs are to trust the cloud's as well."""


@dataclass(frozen=True)
class Caller:
    """Who the command is for AWS: a role by its name ("": sagehound-user), or the root user."""

    role: str = ""
    root: bool = False


@dataclass(frozen=True)
class ClientEnvironment:
    """What a command is started with."""

    variables: dict[str, str]
    """What it gets."""
    server: Server
    notes: tuple[str, ...] = ()
    """What the person should know."""

    def over(self, own: Mapping[str, str]) -> dict[str, str]:
        """The person's own environment with it: nothing of it leads to another AWS any more."""
        kept = {name: value for name, value in own.items() if not leads_elsewhere(name)}
        trust = dict.fromkeys(kept.keys() & _TRUST, self.variables["SSL_CERT_FILE"])
        return kept | trust | self.variables


def leads_elsewhere(name: str) -> bool:
    """Whether a variable of the person's own would lead a client to another AWS, or make it somebody else."""
    return re.match(ELSEWHERE, name) is not None and name not in KEPT


def client_environment(step: str, data_dir: Path, caller: Caller, own: Mapping[str, str]) -> ClientEnvironment:
    """The environment for a caller of the cloud that serves a data directory; the caller's role is made if need be.

    Raises StepFailed of ``step`` where no cloud runs, or there is no such role.
    """
    if caller.root and caller.role:
        raise StepFailed(step, "--role and --root exclude each other", "Give one of them.")
    server = running(data_dir)
    if server is None:
        raise StepFailed(
            step,
            f"no local cloud is running on {data_dir}",
            "Start it with `sagehound up --detach`.",
        )
    facts = json.loads((data_dir / "server.json").read_text())
    if "environment" not in facts:
        raise StepFailed(
            step,
            f"the local cloud on {data_dir} was started by an earlier version",
            "Start it again: `sagehound down`, then `sagehound up --detach`.",
        )
    region = str(facts["environment"]["AWS_REGION"])
    files = Files(data_dir, region)
    variables: dict[str, str] = {
        **facts["environment"],
        **_identity(step, data_dir, server, region, caller, files),
        # Keys, profiles and addresses of the person's own files must not count, nor those of a machine on EC2.
        "AWS_CONFIG_FILE": str(files.aws_config()),
        "AWS_SHARED_CREDENTIALS_FILE": str(files.aws_credentials()),
        "AWS_EC2_METADATA_DISABLED": "true",
        "SAGEMAKER_USER_CONFIG_OVERRIDE": str(files.sagemaker_config(own)),
        # The command may be ours again: then it is this cloud that it finds.
        "SAGEHOUND_DATA_DIR": str(data_dir),
    }
    return ClientEnvironment(variables, server, tuple(files.notes))


def _identity(step: str, data_dir: Path, server: Server, region: str, caller: Caller, files: Files) -> dict[str, str]:
    """The root user by its keys; a role by an address where its keys are asked for, and asked for again in time."""
    from sagehound.pipeline.caller import are_answered, credentials_of, role_of
    from sagehound.pipeline.clients import connect_local, read_credentials

    access_key, secret_key = read_credentials(data_dir / "credentials")
    if caller.root:
        return {"AWS_ACCESS_KEY_ID": access_key, "AWS_SECRET_ACCESS_KEY": secret_key}
    address = _loopback(step, server)
    known = files.role(caller.role)
    if known:  # the usual case, which needs no client of IAM: making one takes longer than all the rest
        found = credentials_of(address, secret_key, known)
        if are_answered(found):
            return found
    role_arn = role_of(connect_local(data_dir, region), caller.role, step)
    files.keep_role(caller.role, role_arn)
    return credentials_of(address, secret_key, role_arn)


def _loopback(step: str, server: Server) -> str:
    """The server's address as the SDKs fetch keys from it: they do so without TLS from loopback only."""
    host = urlsplit(server.endpoint_url).hostname or ""
    if is_loopback(host):
        return server.endpoint_url
    with contextlib.suppress(ValueError):  # a name
        address = ipaddress.ip_address(host)
        if address.is_unspecified:
            return f"http://{'127.0.0.1' if address.version == 4 else '[::1]'}:{server.port}"
    raise StepFailed(
        step,
        f"the local cloud listens on {host}, and AWS's clients fetch a role's keys from loopback addresses only",
        "Start it on 127.0.0.1 (or 0.0.0.0), or be the root user: --root.",
    )
