"""The server process: one per data directory, loopback only, keys made once, answers in AWS's shapes."""

from __future__ import annotations

import json
import signal
import stat
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import psutil
import pytest
from botocore.exceptions import ClientError

from tests.cloud_process import CloudProcess

SERVER = [sys.executable, "-m", "sagehound.localcloud.server"]


def _start(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*SERVER, *options], capture_output=True, text=True, timeout=60, check=False)


def test_a_second_server_on_the_same_data_is_refused_by_name(cloud: CloudProcess) -> None:
    second = _start("--data-dir", str(cloud.data_dir), "--port", "0")
    assert second.returncode == 1
    assert cloud.process is not None
    assert f"in use by the server with pid {cloud.process.pid}" in second.stderr
    assert "--data-dir" in second.stderr
    assert cloud.client("sts").get_caller_identity()["Account"] == cloud.account_id


def test_a_taken_port_is_refused_with_the_way_out(cloud: CloudProcess, tmp_path: Path) -> None:
    second = _start("--data-dir", str(tmp_path), "--port", str(cloud.port))
    assert second.returncode == 1
    assert f"port {cloud.port} is taken" in second.stderr


def test_an_address_that_others_reach_needs_a_flag(tmp_path: Path) -> None:
    refused = _start("--data-dir", str(tmp_path), "--port", "0", "--host", "0.0.0.0")
    assert refused.returncode == 1
    assert "--allow-remote" in refused.stderr


def test_it_may_listen_on_ipv6(tmp_path: Path) -> None:
    cloud = CloudProcess(tmp_path, "--host", "::1").start()
    try:
        url = json.loads((tmp_path / "server.json").read_text())["endpoint_url"]
        assert url == f"http://[::1]:{cloud.port}"
        assert cloud.client("sts", endpoint_url=url).get_caller_identity()["Account"] == cloud.account_id
    finally:
        cloud.stop()


def test_other_hosts_are_passed_or_refused_and_nothing_else(tmp_path: Path) -> None:
    refused = subprocess.run(
        [sys.executable, "-m", "sagehound.cli.main", "up", "--data-dir", str(tmp_path), "--other-hosts", "maybe"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert refused.returncode == 1
    assert "it may be pass or refuse" in refused.stderr


def test_root_keys_are_made_once_and_only_their_owner_reads_them(own_cloud: CloudProcess) -> None:
    path = own_cloud.data_dir / "credentials"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    key = own_cloud.access_key
    own_cloud.restart()
    assert own_cloud.access_key == key
    assert own_cloud.client("sts").get_caller_identity()["Arn"] == "arn:aws:iam::123456789012:root"


def test_sigterm_ends_it_cleanly_and_the_next_start_finds_the_lock_free(own_cloud: CloudProcess) -> None:
    assert own_cloud.stop() == 0
    assert not (own_cloud.data_dir / "server.json").exists()
    own_cloud.start()
    assert own_cloud.process is not None
    own_cloud.process.send_signal(signal.SIGINT)
    assert own_cloud.process.wait(timeout=60) == 0


def test_an_operation_that_is_missing_is_named(cloud: CloudProcess) -> None:
    with pytest.raises(ClientError, match="sagemaker:CreateWorkforce") as refused:
        cloud.client("sagemaker").create_workforce(WorkforceName="nobody")
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501


def test_what_is_missing_is_named_in_its_service_s_own_protocol(cloud: CloudProcess) -> None:
    with pytest.raises(ClientError, match="ssm:ListDocuments"):
        cloud.client("ssm").list_documents()
    with pytest.raises(ClientError, match="ec2:DescribeCapacityReservations"):
        cloud.client("ec2").describe_capacity_reservations()
    with pytest.raises(ClientError, match=r"DynamoDB_20120810\.ListTables is not known"):
        cloud.client("dynamodb").list_tables()
    with pytest.raises(ClientError, match="Could not find operation ListTopics"):
        cloud.client("sns").list_topics()


def test_garbage_gets_an_answer_and_harms_nobody(cloud: CloudProcess) -> None:
    for path, data in (("/", b"Action=%%%&Version=1"), ("/%zz?%%", None), ("/2015-03-31/functions/", b"{")):
        with pytest.raises(urllib.error.HTTPError) as answer:
            urllib.request.urlopen(cloud.endpoint_url + path, data=data)
        assert 400 <= answer.value.code <= 501
    assert cloud.client("sts").get_caller_identity()["Account"] == cloud.account_id


def test_every_call_is_recorded_with_who_and_why_not(own_cloud: CloudProcess) -> None:
    own_cloud.client("sts").get_caller_identity()
    with pytest.raises(ClientError):
        own_cloud.client("sts", aws_secret_access_key="wrong").get_caller_identity()
    allowed, refused = own_cloud.calls(2)[-2:]
    assert allowed["action"] == "sts:GetCallerIdentity"
    assert allowed["caller"] == "arn:aws:iam::123456789012:root"
    assert allowed["status"] == 200
    assert allowed["milliseconds"] > 0
    assert refused["refused_by"] == "authenticate"
    assert refused["error"] == "SignatureDoesNotMatch"


def test_it_imports_no_torch_and_stays_small_when_idle(own_cloud: CloudProcess) -> None:
    assert own_cloud.process is not None
    own_cloud.client("s3").list_buckets()
    own_cloud.client("sagemaker").list_training_jobs()
    process = psutil.Process(own_cloud.process.pid)
    assert process.memory_info().rss < 150 * 2**20
    mapped = {Path(each.path).name for each in process.memory_maps()}
    assert not [name for name in mapped if name.startswith("libtorch")]


def test_server_json_tells_what_runs(cloud: CloudProcess) -> None:
    facts = json.loads((cloud.data_dir / "server.json").read_text())
    assert cloud.process is not None
    assert facts["pid"] == cloud.process.pid
    assert facts["endpoint_url"] == cloud.endpoint_url
    assert facts["create_time"] == pytest.approx(psutil.Process(facts["pid"]).create_time(), abs=0.01)


def test_a_refused_upload_does_not_swallow_the_next_request(cloud: CloudProcess) -> None:
    """The client holds the body of a large-enough put back until 100-continue; refused before, it never sends it."""
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="refused-upload")
    s3.put_object(Bucket="refused-upload", Key="key", Body=b"first")
    with pytest.raises(ClientError, match="PreconditionFailed"):
        s3.put_object(Bucket="refused-upload", Key="key", Body=b"x" * 100_000, IfNoneMatch="*")
    assert s3.get_object(Bucket="refused-upload", Key="key")["Body"].read() == b"first"
