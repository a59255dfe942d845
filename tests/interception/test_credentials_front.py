"""Keys for a token, as the SDKs fetch them in a container of AWS's: sessions of a role, renewed in time."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sagehound.caller_token import CREDENTIALS_PATH, make_token
from tests.cloud_process import CloudProcess
from tests.interception.support import run_python

TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"},
    ],
}
WHO = "import boto3; print(boto3.client('sts').get_caller_identity()['Arn'])"


def _role(cloud: CloudProcess) -> str:
    made = cloud.client("iam").create_role(
        RoleName=f"caller-{uuid.uuid4().hex[:8]}", AssumeRolePolicyDocument=json.dumps(TRUST)
    )
    return str(made["Role"]["Arn"])


def _fetch(cloud: CloudProcess, token: str, method: str = "GET") -> dict[str, Any]:
    request = urllib.request.Request(
        cloud.endpoint_url + CREDENTIALS_PATH, headers={"Authorization": token}, method=method
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return dict(json.load(answer))


def _refused(cloud: CloudProcess, token: str, method: str = "GET") -> tuple[int, str]:
    with pytest.raises(urllib.error.HTTPError) as refused:
        _fetch(cloud, token, method)
    return refused.value.code, str(json.load(refused.value)["message"])


def _variables(cloud: CloudProcess, token: str) -> dict[str, str]:
    return {
        "AWS_ACCESS_KEY_ID": "",
        "AWS_SECRET_ACCESS_KEY": "",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": cloud.endpoint_url + CREDENTIALS_PATH,
        "AWS_CONTAINER_AUTHORIZATION_TOKEN": token,
    }


def test_boto3_becomes_the_role(cloud: CloudProcess) -> None:
    arn = _role(cloud)
    token = make_token(cloud.secret_key, arn, "me")
    name = arn.rpartition("/")[2]
    who = run_python(cloud, WHO, **_variables(cloud, token))
    assert who == f"arn:aws:sts::{cloud.account_id}:assumed-role/{name}/me"


def test_a_token_is_good_after_a_restart_and_in_another_process(own_cloud: CloudProcess) -> None:
    token = make_token(own_cloud.secret_key, _role(own_cloud), "me")
    first = _fetch(own_cloud, token)
    own_cloud.restart(kill=True)
    second = _fetch(own_cloud, token)
    assert first["AccessKeyId"] != second["AccessKeyId"]
    for keys in (first, second):
        sts = own_cloud.client(
            "sts",
            aws_access_key_id=keys["AccessKeyId"],
            aws_secret_access_key=keys["SecretAccessKey"],
            aws_session_token=keys["Token"],
        )
        assert sts.get_caller_identity()["Arn"].endswith("/me")


def test_who_asks_again_is_given_the_same_session_while_it_lasts(cloud: CloudProcess) -> None:
    arn = _role(cloud)
    keys = [_fetch(cloud, make_token(cloud.secret_key, arn, name))["AccessKeyId"] for name in ("a", "a", "b")]
    assert keys[0] == keys[1] != keys[2]


def test_a_session_is_renewed_before_it_ends(tmp_path: Path) -> None:
    """On a clock that runs two thousand times as fast an hour is two seconds; its last third is not handed out."""
    fast = CloudProcess(tmp_path, "--speed", "2000").start()
    try:
        token = make_token(fast.secret_key, _role(fast), "me")
        first = _fetch(fast, token)
        keys = first
        while keys["AccessKeyId"] == first["AccessKeyId"]:
            keys = _fetch(fast, token)
        assert keys["Expiration"] > first["Expiration"]
    finally:
        fast.stop()


def test_it_lasts_an_hour(cloud: CloudProcess) -> None:
    keys = _fetch(cloud, make_token(cloud.secret_key, _role(cloud), "me"))
    left = datetime.fromisoformat(keys["Expiration"]) - datetime.now(UTC)
    assert 3000 < left.total_seconds() <= 3600


def test_a_wrong_token_is_refused_with_a_sentence(cloud: CloudProcess) -> None:
    for token in (make_token("another secret", _role(cloud), "me"), "nonsense", "", "."):
        status, message = _refused(cloud, token)
        assert status == 403
        assert "was not made with the root keys" in message


def test_a_role_that_is_gone_is_told(cloud: CloudProcess) -> None:
    arn = _role(cloud)
    token = make_token(cloud.secret_key, arn, "me")
    old = _fetch(cloud, token)
    cloud.client("iam").delete_role(RoleName=arn.rpartition("/")[2])
    assert _refused(cloud, token) == (403, f"Role {arn} does not exist (any more).")
    made = cloud.client("iam").create_role(RoleName=arn.rpartition("/")[2], AssumeRolePolicyDocument=json.dumps(TRUST))
    assert made["Role"]["Arn"] == arn
    assert _fetch(cloud, token)["AccessKeyId"] != old["AccessKeyId"]


def test_only_get_is_answered(cloud: CloudProcess) -> None:
    assert _refused(cloud, make_token(cloud.secret_key, _role(cloud), "me"), "POST")[0] == 405


def test_the_record_has_the_request_and_no_token(cloud: CloudProcess) -> None:
    token = make_token(cloud.secret_key, _role(cloud), "me")
    _fetch(cloud, token)
    assert token not in (cloud.data_dir / "calls.jsonl").read_text()
