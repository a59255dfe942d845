"""Ports of training jobs: jobs that run at once open the same ones on every address, as on machines of their own."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.cloud.classifier_jobs import program_of
from tests.cloud.training import Workshop
from tests.cloud_process import CloudProcess
from tests.conftest import private_cloud
from tests.waiting import is_alive, wait_for

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has network namespaces")

TELL = "import json, os, socket, time\ndef tell(value): print('RESULT', json.dumps(value), flush=True)\n"
WAIT = (
    "import boto3\n"
    "s3 = boto3.client('s3')\n"
    "def wait(key):\n"
    "    while True:\n"
    "        answer = s3.list_objects_v2(Bucket=os.environ['BUCKET'], Prefix=key)\n"
    "        if answer.get('KeyCount'): return\n"
    "        time.sleep(.05)\n"
)
"""S3 as a job reaches it from its own network. Of a server that is killed between the head of an answer and its body
botocore makes an answer without a member."""


@pytest.fixture(scope="module")
def shop(cloud: CloudProcess) -> Workshop:
    return Workshop(cloud)


@pytest.mark.timeout(600)
def test_two_jobs_of_two_hosts_meet_at_the_same_fixed_ports_at_once(shop: Workshop) -> None:
    script = (
        TELL
        + WAIT
        + (
            "host, ports = os.environ['SM_CURRENT_HOST'], (7777, 29500, 55555)\n"
            "if host == 'algo-1':\n"
            "    servers = [socket.create_server(('', port)) for port in ports]\n"
            "    print('open', flush=True)\n"
            "    wait('go')\n"
            "    peers = [server.accept() for server in servers]\n"
            "    tell([peer.recv(64).decode() for peer, _ in peers])\n"
            "else:\n"
            "    wait('go')\n"
            "    name = os.environ['TRAINING_JOB_NAME'].encode()\n"
            "    for port in ports:\n"
            "        peer = socket.create_connection(('algo-1', port)); peer.sendall(name)\n"
            "    tell([os.environ['MASTER_PORT'], os.environ['MASTER_ADDR']])\n"
        )
    )
    names = [shop.create(script, count=2, Environment={"BUCKET": shop.bucket}) for _ in range(2)]
    for name in names:
        shop.until_line(name, "open")  # and keeps them open until both do
    shop.put("go", "x")
    for name in names:
        job = shop.ended(name)
        assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
        assert shop.printed(name) == [name] * 3
        assert shop.printed(name, "algo-2") == ["7777", "algo-1"]
        assert not [line for line in shop.lines(name) if "x the bill" in line]


def test_torch_meets_at_its_usual_port_in_two_jobs_at_once(shop: Workshop) -> None:
    pytest.importorskip("torch")
    script = (
        TELL
        + WAIT
        + (
            "import torch, torch.distributed as dist\n"
            "rank = json.loads(os.environ['SM_HOSTS']).index(os.environ['SM_CURRENT_HOST'])\n"
            "dist.init_process_group('gloo', init_method='tcp://algo-1:29500', rank=rank, world_size=2)\n"
            "print('joined', flush=True)\n"
            "wait('joined')\n"
            "value = torch.ones(1); dist.all_reduce(value); tell(value.item()); dist.destroy_process_group()\n"
        )
    )
    names = [shop.create(script, count=2, Environment={"BUCKET": shop.bucket}) for _ in range(2)]
    for name in names:
        shop.until_line(name, "joined")
    shop.put("joined", "x")
    for name in names:
        job = shop.ended(name)
        assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
        assert (shop.printed(name), shop.printed(name, "algo-2")) == (2.0, 2.0)


def test_a_job_reaches_the_cloud_from_loopback_and_no_program_of_the_machine(shop: Workshop) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        script = TELL + (
            "import boto3\n"
            "boto3.client('s3').put_object(Bucket=os.environ['BUCKET'], Key='from-the-job', Body=b'x' * 100_000)\n"
            "sts = boto3.client('sts', endpoint_url='https://sts.us-east-1.amazonaws.com')\n"
            "print(sts.get_caller_identity()['Arn'])\n"
            f"try: socket.create_connection(('127.0.0.1', {server.getsockname()[1]})); tell('reached')\n"
            "except ConnectionRefusedError: tell('refused')\n"
        )
        job = shop.run(script, Environment={"BUCKET": shop.bucket})
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    assert shop.printed(job["TrainingJobName"]) == "refused"
    assert any(":assumed-role/" in line for line in shop.lines(job["TrainingJobName"])), "AWS's host, by the proxy"
    assert shop.s3.get_object(Bucket=shop.bucket, Key="from-the-job")["ContentLength"] == 100_000


def test_policies_see_a_job_at_127_0_0_1(shop: Workshop) -> None:
    name = f"sagemaker-here-{shop.bucket[-12:]}"
    shop.s3.create_bucket(Bucket=name)
    deny = {
        "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{name}/*",
        "Condition": {"NotIpAddress": {"aws:SourceIp": "127.0.0.1/32"}},
    }  # fmt: skip
    shop.s3.put_bucket_policy(Bucket=name, Policy=json.dumps({"Version": "2012-10-17", "Statement": [deny]}))
    script = "import boto3\nboto3.client('s3').put_object(Bucket={!r}, Key='k', Body=b'x')\n"
    job = shop.run(script.format(name))
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")


def makers(cloud: CloudProcess) -> list[psutil.Process]:
    """The processes that make networks for a server."""
    assert cloud.process is not None
    children = psutil.Process(cloud.process.pid).children()
    return [child for child in children if any("network_maker" in part for part in child.cmdline())]


@pytest.mark.timeout(600)
def test_a_job_reaches_the_cloud_again_after_its_server_was_killed(own_cloud: CloudProcess) -> None:
    shop = Workshop(own_cloud)
    script = (
        TELL
        + WAIT.replace("wait(key)", "look(key)")
        + (
            "from botocore.exceptions import BotoCoreError\n"
            "def wait(key):\n"
            "    while True:\n"
            "        try: return look(key)\n"
            "        except BotoCoreError: time.sleep(.05)\n"
            "s3.put_object(Bucket=os.environ['BUCKET'], Key='before', Body=b'x')\n"
            "print('before', flush=True)\n"
            "wait('go')\n"
            "s3.put_object(Bucket=os.environ['BUCKET'], Key='after-' + os.environ['SM_CURRENT_HOST'], Body=b'x')\n"
        )
    )
    name = shop.create(script, count=2, Environment={"BUCKET": shop.bucket})
    for host in ("algo-1", "algo-2"):
        wait_for(lambda host=host: "before" in shop.lines(name, host))  # type: ignore[misc]
    for _ in range(2):
        [maker] = makers(own_cloud)
        own_cloud.restart(kill=True)
        wait_for(lambda maker=maker: not is_alive(maker))  # type: ignore[misc]
    own_cloud.restart()
    shop.put("go", "x")
    job = shop.ended(name)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    found = shop.s3.list_objects_v2(Bucket=shop.bucket, Prefix="after-")["Contents"]
    assert [each["Key"] for each in found] == ["after-algo-1", "after-algo-2"]


@pytest.mark.timeout(600)
def test_hosts_that_joined_and_ended_while_no_server_looked_are_not_told_that_they_did_not(
    own_cloud: CloudProcess,
) -> None:
    shop = Workshop(own_cloud)
    script = TELL + (
        "from urllib.parse import urlsplit\n"
        "cloud = urlsplit(os.environ['AWS_ENDPOINT_URL'])\n"
        "server = socket.create_server(('', 29500)) if os.environ['SM_CURRENT_HOST'] == 'algo-1' else None\n"
        "print('up', flush=True)\n"
        "while True:\n"
        "    try: socket.create_connection((cloud.hostname, cloud.port)).close()\n"
        "    except ConnectionRefusedError: break\n"
        "    time.sleep(.05)\n"
        "if server: server.accept()[0].recv(1)\n"
        "else: socket.create_connection(('algo-1', 29500)).sendall(b'x')  # one of SM_HOSTS\n"
    )
    name = shop.create(script, count=2)
    for host in ("algo-1", "algo-2"):
        wait_for(lambda host=host: "up" in shop.lines(name, host))  # type: ignore[misc]
    programs = [program_of(shop, name, host) for host in ("algo-1", "algo-2")]
    own_cloud.kill()
    psutil.wait_procs(programs, timeout=60)
    own_cloud.start()
    job = shop.ended(name)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    assert not [line for line in shop.lines(name) if "x the bill" in line]


def test_nothing_stays_of_the_networks_of_ended_jobs(own_cloud: CloudProcess) -> None:
    def held() -> list[str]:
        """The networks that the server holds."""
        assert own_cloud.process is not None
        links = []
        for path in Path(f"/proc/{own_cloud.process.pid}/fd").iterdir():
            with suppress(FileNotFoundError):
                links.append(os.readlink(path))
        return [link for link in links if link.startswith("net:")]

    shop = Workshop(own_cloud)
    names = [shop.create(TELL + WAIT + "wait('go')\n", count=1, Environment={"BUCKET": shop.bucket}) for _ in range(3)]
    wait_for(lambda: len(held()) == 4, "one for each job and one for the next")
    shop.put("go", "x")
    assert [shop.ended(name)["TrainingJobStatus"] for name in names] == ["Completed"] * 3
    wait_for(lambda: len(held()) == 1, "the one for the next job")


@pytest.fixture
def cloud_without_networks(tmp_path: Path) -> Iterator[CloudProcess]:
    """A server whose kernel makes no network namespaces: their number is limited to none, in a user namespace."""
    if subprocess.run(["unshare", "--user", "--map-root-user", "true"], check=False).returncode != 0:
        pytest.skip("this kernel gives no user namespaces, in which their number could be limited")
    yield from private_cloud(before=("unshare", "--user", "--map-root-user", "sh", "-c", NO_NETWORKS, "sh"))


NO_NETWORKS = 'echo 0 > /proc/sys/user/max_net_namespaces && exec "$@"'


@pytest.mark.timeout(600)
def test_where_the_kernel_makes_none_jobs_are_told_and_get_ports_of_their_own(
    cloud_without_networks: CloudProcess,
) -> None:
    shop = Workshop(cloud_without_networks)
    script = TELL + (
        "host, port = os.environ['SM_CURRENT_HOST'], int(os.environ['MASTER_PORT'])\n"
        "if host == 'algo-1':\n"
        "    server = socket.create_server(('', port)); server.accept()[0].recv(1)\n"
        "else:\n"
        "    while True:\n"
        "        try: socket.create_connection((os.environ['MASTER_ADDR'], port)).sendall(b'x'); break\n"
        "        except ConnectionRefusedError: time.sleep(.05)\n"
        "tell(port)\n"
    )
    names = [shop.create(script, count=2) for _ in range(2)]
    ports = []
    for name in names:
        job = shop.ended(name)
        assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
        told = [line for line in shop.lines(name) if "has no network of its own" in line]
        assert len(told) == 1
        assert "(unshare: No space left on device)" in told[0]
        assert not [line for line in shop.lines(name) if "x the bill" in line]
        ports.append(shop.printed(name))
    assert ports[0] != ports[1]
