"""Notebook instances: JupyterLab that really runs, its folder over stop and start, links that open it once."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest
import requests
from botocore.exceptions import ClientError

from tests.cloud.notebooks import Browser, Notebooks
from tests.cloud_process import CloudProcess

pytestmark = pytest.mark.timeout(400)


@pytest.fixture
def notebooks(cloud: CloudProcess) -> Notebooks:
    return Notebooks(cloud)


def processes_of(folder: Path) -> list[str]:
    """The command lines that name the directory of an instance."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = " ".join(process.info["cmdline"] or [])
        if str(folder) in words:
            found.append(words)
    return found


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

    notebooks.stop(name)
    folder = cloud.data_dir / "sagemaker" / "notebooks" / f"us-east-1.{name}"
    assert processes_of(folder) == []
    with pytest.raises(requests.ConnectionError):
        browser.get("/api")
    sagemaker.start_notebook_instance(NotebookInstanceName=name)
    notebooks.wait(name, "InService")
    again = Browser(notebooks.link(name))
    assert again.run("import os; print(os.listdir('/home/ec2-user/SageMaker'))").strip() == "['kept.txt']"
    assert again.run("import os; print(os.path.exists('/home/ec2-user/lost.txt'))").strip() == "False"
    # The session of before the stop is over, though the page is where it was.
    again.session.cookies = browser.session.cookies
    assert again.get("/api/contents").status_code == 403

    assert "not in ([Stopped, Failed])" in refused(lambda: notebooks.delete(name))
    notebooks.stop(name)
    notebooks.delete(name)
    assert not folder.exists()
    assert refused(lambda: notebooks.describe(name)) == "RecordNotFound"
    assert not Path("/home/ec2-user").exists()
