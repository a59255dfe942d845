"""EC2 trainings for tests: scripts that end at once or wait, and a look at what is left of them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from sagehound.pipeline.clients import Clients
from sagehound.pipeline.instance_cleanup import find_instances
from sagehound.pipeline.instance_machine import Machine, project_machines
from sagehound.pipeline.names import Names
from sagehound.settings import PipelineSettings, TrainSettings

WRITES = "open('TrainedModels/model.pth', 'w').write('trained')\n"
WAITS = """
import boto3, botocore.exceptions, os, time
print("waits", flush=True)
bucket, key = os.environ["BUCKET"], os.environ["DATA_PREFIX"] + "go"
while True:
    try:
        boto3.client("s3").head_object(Bucket=bucket, Key=key)
        break
    except botocore.exceptions.ClientError:
        time.sleep(0.2)
"""
"""A training that lasts until the test puts an object among its data."""


def with_script(settings: PipelineSettings, folder: Path, text: str) -> PipelineSettings:
    """Settings that train with this script."""
    path = folder / "solution.py"
    path.write_text(text)
    return dataclasses.replace(settings, train=TrainSettings(entry_point=str(path)))


def ended(clients: Clients, names: Names) -> list[Machine]:
    """All instances that the project ever had, each of which must have ended, with nothing left beside them."""
    assert find_instances(clients, names).lines() == []
    groups = clients.ec2.describe_security_groups()["SecurityGroups"]
    assert [group["GroupName"] for group in groups if group["GroupName"].startswith(names.project)] == []
    roles = [role["RoleName"] for role in clients.iam.list_roles()["Roles"]]
    assert [role for role in roles if role.startswith(f"{names.project}-instance")] == []
    machines = project_machines(clients, names, ended=True)
    assert all(machine.state == "terminated" for machine in machines)
    return machines
