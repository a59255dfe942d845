"""Notebook instances: JupyterLab that really runs, its folder over stop and start, links that open it once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import requests
from botocore.exceptions import ClientError

from tests.cloud.hosting import TRUST
from tests.cloud.notebooks import Browser, Notebooks
from tests.cloud_process import CloudProcess
from tests.waiting import is_alive

pytestmark = pytest.mark.timeout(400)
KEYS_USED = """
import boto3
session, seen = boto3.Session(), {}
sts, keys = session.client("sts"), session.get_credentials()
while len(seen) < 2:
    sts.get_caller_identity()
    seen[keys.get_frozen_credentials().access_key] = True
print(*seen)
"""


@pytest.fixture
def notebooks(cloud: CloudProcess) -> Notebooks:
    return Notebooks(cloud)


def refused(do: object) -> str:
    with pytest.raises(ClientError) as caught:
        do()  # type: ignore[operator]
    return str(caught.value.response["Error"]["Message"])


def test_an_instance_from_its_creation_to_its_end(cloud, notebooks) -> None:
    sagemaker, name = notebooks.sagemaker, f"life-{id(notebooks)}"
    notebooks.create(name=name, Tags=[{"Key": "run", "Value": "one"}])
    arn = f"arn:aws:sagemaker:us-east-1:{cloud.account_id}:notebook-instance/{name}"
    pending = notebooks.describe(name)
    assert (pending["NotebookInstanceStatus"], pending["NotebookInstanceArn"]) == ("Pending", arn)
    assert (
        refused(lambda: sagemaker.stop_notebook_instance(NotebookInstanceName=name))
        == f"Status (Pending) not in ([InService]). Unable to transition to (Stopping) for Notebook Instance ({arn})"
    )
    assert "not in ([InService])" in refused(lambda: notebooks.link(name))
    assert refused(lambda: notebooks.create(name=name)) == f"Cannot create a duplicate Notebook Instance ({arn})"

    described = notebooks.wait(name, "InService")
    assert described["VolumeSizeInGB"] == 5
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "run", "Value": "one"}]
    assert requests.get(f"http://{described['Url']}/api/contents", timeout=60).status_code == 403
    link = notebooks.link(name)
    browser = Browser(link)
    assert browser.opened.url.endswith("/lab")
    assert "JupyterLab" in browser.opened.text
    second = Browser(link)
    assert second.opened.status_code == 403
    assert "can be used once" in second.opened.text
    assert second.get("/api/contents").status_code == 403

    # Inside, AWS is this cloud, and who asks is the role.
    whoami = "import boto3; print(boto3.client('sts').get_caller_identity()['Arn'])"
    role = notebooks.role.rpartition("/")[2]
    assert browser.run(whoami).strip() == f"arn:aws:sts::{cloud.account_id}:assumed-role/{role}/SageMaker"
    metadata = "print(open('/opt/ml/metadata/resource-metadata.json').read())"
    assert arn in browser.run(metadata)
    assert browser.run("import os; print(os.getcwd())").strip() == "/home/ec2-user/SageMaker"
    browser.run("open('kept.txt', 'w').write('kept'); open('/home/ec2-user/lost.txt', 'w').write('lost')")

    folder = notebooks.folder(name)
    assert folder.stat().st_mode & 0o777 == 0o700
    browser.kernel()
    init = notebooks.machine(name)
    below = init.children(recursive=True)
    assert len(below) >= 3  # what starts JupyterLab again, JupyterLab, the kernel
    notebooks.stop(name)
    assert [process for process in (init, *below) if is_alive(process)] == []
    with pytest.raises(requests.ConnectionError):
        browser.get("/api")
    sagemaker.start_notebook_instance(NotebookInstanceName=name)
    notebooks.wait(name, "InService")
    again = Browser(notebooks.link(name))
    assert again.run("import os; print(os.listdir('/home/ec2-user/SageMaker'))").strip() == "['kept.txt']"
    assert again.run("import os; print(os.path.exists('/home/ec2-user/lost.txt'))").strip() == "False"
    # The session of before the stop is over, under whatever port the cookie is sent.
    cookies = {one.name: str(one.value) for one in again.session.cookies if one.name.startswith("username-")}
    (cookie,) = cookies
    old = next(str(one.value) for one in browser.session.cookies if one.name.startswith("username-"))
    contents = f"{again.base}/api/contents"
    assert requests.get(contents, cookies=cookies, timeout=60).status_code == 200
    assert requests.get(contents, cookies={cookie: old}, timeout=60).status_code == 403

    assert "not in ([Stopped, Failed])" in refused(lambda: notebooks.delete(name))
    # What the user has made read-only goes too.
    again.run("import os; os.makedirs('shut/in'); open('shut/in/file', 'w').close(); os.chmod('shut/in', 0o500)")
    notebooks.stop(name)
    notebooks.delete(name)
    assert not folder.exists()
    assert refused(lambda: notebooks.describe(name)) == "RecordNotFound"
    assert not Path("/home/ec2-user").exists()


def test_an_instance_never_has_the_keys_of_another_role(cloud, notebooks) -> None:
    """Its new role trusts SageMaker no more when it starts again: then it has no keys, and not those of before."""
    name = notebooks.create()
    notebooks.wait(name, "InService")
    keys = "import boto3; found = boto3.Session().get_credentials(); print(found and found.access_key)"
    browser = Browser(notebooks.link(name))
    assert browser.run(keys).startswith("ASIA")
    notebooks.stop(name)
    other = Notebooks(cloud).role
    notebooks.sagemaker.update_notebook_instance(NotebookInstanceName=name, RoleArn=other)
    notebooks.wait(name, "Stopped")
    iam, role = cloud.client("iam"), other.rpartition("/")[2]
    trust = json.dumps(TRUST).replace("sagemaker.amazonaws.com", "ec2.amazonaws.com")
    iam.update_assume_role_policy(RoleName=role, PolicyDocument=trust)
    notebooks.sagemaker.start_notebook_instance(NotebookInstanceName=name)
    notebooks.wait(name, "InService")
    with pytest.raises(AssertionError, match="CredentialRetrievalError"):
        Browser(notebooks.link(name)).run(keys)
    notebooks.stop(name)
    notebooks.delete(name)


def test_keys_are_renewed_before_they_end(tmp_path) -> None:
    """Half a day of this cloud is 22 seconds: who uses the first keys for longer is refused."""
    cloud = CloudProcess(tmp_path / "cloud", "--speed", "2000").start()
    try:
        notebooks = Notebooks(cloud)
        name = notebooks.create()
        notebooks.wait(name, "InService")
        used = Browser(notebooks.link(name)).run(KEYS_USED)
        assert len(set(used.split())) == 2
        notebooks.stop(name)
        notebooks.delete(name)
    finally:
        cloud.stop()
