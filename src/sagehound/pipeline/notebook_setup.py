"""What a project's notebook instance is made with: the script that puts the notebook there, and its role's policy."""

from __future__ import annotations

import base64
import gzip
import io
import tarfile
from dataclasses import replace
from importlib import resources
from typing import Any

from sagehound.pipeline.names import Names
from sagehound.pipeline.security import key_statements
from sagehound.pipeline.settings_file import FILE_NAME, render_settings
from sagehound.settings import PipelineSettings

NOTEBOOK = "train_and_deploy.ipynb"
_ON_CREATE = """#!/bin/bash
# Puts the notebook of the walk, and the project's settings, into the folder that the instance keeps.
set -e
cd /home/ec2-user/SageMaker 2> /dev/null || cd "$HOME/SageMaker"
base64 -d << 'END' | tar xz
{archive}
END
if id ec2-user > /dev/null 2>&1; then chown ec2-user: {files}; fi
echo "{files} are there"
"""


def on_create_script(settings: PipelineSettings) -> str:
    """The script of OnCreate, in base64 as CreateNotebookInstanceLifecycleConfig takes it."""
    shipped = resources.files("sagehound.pipeline") / "notebooks" / NOTEBOOK
    files = {NOTEBOOK: shipped.read_bytes(), FILE_NAME: render_settings(replace(settings, run="")).encode()}
    text = _ON_CREATE.format(archive=base64.encodebytes(_archive(files)).decode(), files=" ".join(files))
    return base64.b64encode(text.encode()).decode()


def notebook_policy(names: Names, region: str, account_id: str, partition: str = "aws") -> dict[str, Any]:
    """What the notebook's cells do: the walk's services in this region, the project's bucket and roles; reading."""
    home = f"arn:{partition}:iam::{account_id}:role"
    own = [f"{home}/{role}" for role in (names.role, names.function_role)]
    services = ["application-autoscaling:*", "cloudwatch:*", "lambda:*", "logs:*", "sagemaker:*"]
    reading = [
        *("cloudtrail:LookupEvents", "ec2:Describe*", "iam:Get*", "iam:List*", "iam:SimulatePrincipalPolicy"),
        *("pricing:GetProducts", "s3:ListAllMyBuckets", "servicequotas:ListServiceQuotas", "sts:GetCallerIdentity"),
    ]
    linked = f"{home}/aws-service-role/*.application-autoscaling.amazonaws.com/*"
    in_region = {"StringEquals": {"aws:RequestedRegion": region}}
    bucket = [f"arn:{partition}:s3:::{names.bucket}", f"arn:{partition}:s3:::{names.bucket}/*"]
    # No managed policy is attached, and who may be a role is not changed: the walk writes its own inline ones.
    roles = ["CreateRole", "DeleteRole", "DeleteRolePolicy", "PassRole", "PutRolePolicy", "TagRole"]
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Sid": "Walk", "Effect": "Allow", "Action": services, "Resource": "*", "Condition": in_region},
            {"Sid": "Bucket", "Effect": "Allow", "Action": "s3:*", "Resource": bucket},
            {"Sid": "Roles", "Effect": "Allow", "Action": [f"iam:{one}" for one in roles], "Resource": own},
            {"Sid": "Scaling", "Effect": "Allow", "Action": "iam:CreateServiceLinkedRole", "Resource": linked},
            {"Sid": "Read", "Effect": "Allow", "Action": reading, "Resource": "*"},
            *key_statements(names.aws, f"arn:{partition}:kms:{region}:{account_id}"),
        ],
    }


def _archive(files: dict[str, bytes]) -> bytes:
    """A tar.gz of these files, the same for the same content."""
    packed = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as squeezed,
        tarfile.open(fileobj=squeezed, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return packed.getvalue()
