"""The function step against a running cloud: real functions before a real endpoint, with permissions that hold."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from sagehound.errors import StepFailed
from sagehound.pipeline.belongings.thing import Kind
from sagehound.pipeline.cleanup import Belongings, delete_belongings, find_belongings
from sagehound.pipeline.clients import Clients, connect_endpoint, connect_local
from sagehound.pipeline.deploy import Placement, deploy
from sagehound.pipeline.function import DeployedFunction, Trial, deploy_function
from sagehound.pipeline.function_code import zip_of
from sagehound.pipeline.function_denial import prove_denial
from sagehound.pipeline.function_event import picture_event, read_event, send_event, stored_picture
from sagehound.pipeline.intake.source import take_in
from sagehound.pipeline.names import Names
from sagehound.pipeline.roles import inline_policy
from sagehound.pipeline.train import train
from sagehound.pipeline.upload import StoredData, upload
from sagehound.settings import FunctionSettings, PipelineSettings, TrainSettings
from tests.cloud.log_lines import messages_in
from tests.cloud_process import CloudProcess
from tests.pipeline.conftest import Recorded
from tests.pipeline.test_function_code import WRITE_UP
from tests.waiting import uncollected

pytestmark = [pytest.mark.timeout(600), pytest.mark.xdist_group("function")]
LITERAL = "pytorch-inference-2024-08-29-16-19-34-530"
DENIED_WAITS = f"""
import json, time
import boto3
from botocore.exceptions import ClientError
runtime = boto3.client("sagemaker-runtime")
def handler(event, context):
    try:
        answer = runtime.invoke_endpoint(
            EndpointName="{LITERAL}", ContentType="application/json", Body=json.dumps(event)
        )
    except ClientError:
        time.sleep(60)
    return {{"statusCode": 200, "body": answer["Body"].read().decode()}}
"""


@dataclass
class Shop:
    """A project whose endpoint answers, for functions of several names."""

    clients: Clients
    settings: PipelineSettings
    data: StoredData
    cloud: CloudProcess
    pictures: Path

    @property
    def names(self) -> Names:
        return Names.of(self.settings, self.clients.account_id)

    def called(self, name: str, **more: Any) -> tuple[FunctionSettings, Names]:
        """Settings of a function of this name, with a role of its own."""
        function = dataclasses.replace(self.settings.function, name=name, role_name=f"{name}-role", **more)
        named = dataclasses.replace(self.settings, function=function)
        return function, Names.of(named, self.clients.account_id)

    def trial(self) -> Trial:
        return Trial(stored_picture(self.clients, self.names, self.data), len(self.data.classes))

    def put(self, recorded: Recorded, settings: FunctionSettings, names: Names, **more: Any) -> DeployedFunction:
        with recorded.reporter.step("function") as step:
            return deploy_function(self.clients, names, settings, self.names.endpoint, recorded.reporter, step, **more)


@pytest.fixture(scope="module")
def shop(cloud: CloudProcess, pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    settings = PipelineSettings(
        project="fnshop",
        bucket="fnshop-bucket",
        role_name="fnshop-role",
        train=TrainSettings(epochs=6, batch_size=8, learning_rate=0.01),
    )
    clients, recorded = connect_local(cloud.data_dir, cloud.region), Recorded()
    names = Names.of(settings, clients.account_id)
    manifest = take_in(str(pictures), settings.data, tmp_path_factory.mktemp("cache"), recorded.reporter)
    with recorded.reporter.step("all") as step:
        data = upload(clients, names, manifest, recorded.reporter, step)
        model = train(clients, names, settings, data, None, recorded.reporter, step)
        places = [Placement(names.endpoint, model), Placement(LITERAL, model)]
        deploy(clients, names, settings.deploy, settings.train, places, step)
    yield Shop(clients, settings, data, cloud, pictures)
    with recorded.reporter.step("delete") as step:
        delete_belongings(clients, find_belongings(clients, names), step)


def test_the_function_answers_with_the_least_permission(shop, recorded) -> None:
    settings, names = shop.called("fn-least")
    function = shop.put(recorded, settings, names, trial=shop.trial())
    assert (function.version, function.how, function.provisioned) == ("1", "created", 2)
    scores, named = function.answers
    assert (scores.status, len(scores.scores)) == (200, 3)
    assert scores.answer["COntent-Type-In"] == "application/json"
    assert scores.init_ms is None  # its environment was ready beforehand
    assert {label for label, _ in named.names} == {"red", "green", "blue"}
    assert named.names[0][0] == shop.trial().picture.label
    account, region = shop.clients.account_id, shop.clients.region
    assert inline_policy(shop.clients, names.function_role, names.function_policy) == {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "InvokeEndpoint",
                "Effect": "Allow",
                "Action": "sagemaker:InvokeEndpoint",
                "Resource": f"arn:aws:sagemaker:{region}:{account}:endpoint/{names.endpoint}",
            },
            {
                "Sid": "WriteLog",
                "Effect": "Allow",
                "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
                "Resource": f"arn:aws:logs:{region}:{account}:log-group:/aws/lambda/fn-least:*",
            },
        ],
    }
    role = shop.clients.iam.get_role(RoleName=names.function_role)["Role"]
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "lambda.amazonaws.com"}
    assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": account}}
    assert not shop.clients.iam.list_attached_role_policies(RoleName=names.function_role)["AttachedPolicies"]
    # What the function did was done as its role, and decided by that statement.
    (call, *_) = [
        call
        for call in shop.cloud.calls()
        if call["action"].endswith("InvokeEndpoint") and "/fn-least-role/" in call.get("caller", "")
    ]
    assert [one["statement"] for one in call["authorised"]] == ["InvokeEndpoint"]
    streams = shop.clients.logs.describe_log_streams(logGroupName="/aws/lambda/fn-least")["logStreams"]
    assert streams
    line = recorded.steps()["function"]["text"]
    assert "version 1 as live, 2 kept ready (created)" in line
    assert "200, 3 scores for 3 classes" in line
    assert line.endswith(" ms warm")


def test_the_same_again_changes_nothing_and_another_setting_is_another_version(shop, recorded) -> None:
    settings, names = shop.called("fn-again", provisioned_concurrency=1)
    first = shop.put(recorded, settings, names)
    before = shop.clients.lambda_.get_function_configuration(FunctionName="fn-again")
    second = shop.put(recorded, settings, names)
    after = shop.clients.lambda_.get_function_configuration(FunctionName="fn-again")
    assert (second.how, second.version) == ("was there", first.version)
    assert (after["RevisionId"], after["LastModified"]) == (before["RevisionId"], before["LastModified"])
    larger = dataclasses.replace(settings, memory_size=1024, provisioned_concurrency=2)
    third = shop.put(recorded, larger, names)
    assert (third.how, third.version, third.provisioned) == ("updated", "2", 2)
    alias = shop.clients.lambda_.get_alias(FunctionName="fn-again", Name="live")
    assert alias["FunctionVersion"] == "2"
    without = shop.put(recorded, dataclasses.replace(larger, provisioned_concurrency=0), names)
    assert (without.how, without.version, without.provisioned) == ("was there", "2", 0)
    assert not shop.clients.lambda_.list_provisioned_concurrency_configs(FunctionName="fn-again")[
        "ProvisionedConcurrencyConfigs"
    ]


def test_a_cold_start_is_told(shop, recorded) -> None:
    settings, names = shop.called("fn-cold", provisioned_concurrency=0)
    function = shop.put(recorded, settings, names, trial=shop.trial())
    cold, warm = function.answers
    assert cold.init_ms is not None
    assert cold.init_ms > 0
    assert warm.init_ms is None
    assert "cold (its environment took" in recorded.steps()["function"]["text"]


def test_without_its_statement_the_same_event_is_denied(shop, recorded) -> None:
    settings, names = shop.called("fn-denied")
    function = shop.put(recorded, settings, names, trial=shop.trial())
    with recorded.reporter.step("denial") as step:
        denied = prove_denial(shop.clients, function, step)
    assert (denied.status, denied.refusal) == (502, "AccessDenied")
    assert "sagemaker:InvokeEndpoint" in denied.body["message"]
    assert inline_policy(shop.clients, names.function_role, names.function_policy) == function.role.policy
    told = recorded.steps()["denial"]["text"]
    assert "without sagemaker:InvokeEndpoint: 502 AccessDenied; with it again: 200" in told
    # A role that may more than the statement gives is found out.
    shop.clients.iam.attach_role_policy(
        RoleName=names.function_role, PolicyArn="arn:aws:iam::aws:policy/AmazonSageMakerFullAccess"
    )
    with recorded.reporter.step("denial") as step, pytest.raises(StepFailed) as failed:
        prove_denial(shop.clients, function, step)
    assert "answered 200 and not AccessDenied" in failed.value.cause
    assert inline_policy(shop.clients, names.function_role, names.function_policy) == function.role.policy


def test_ctrl_c_while_it_is_denied_puts_the_policy_back(shop, recorded, tmp_path) -> None:
    (tmp_path / "waits.py").write_text(DENIED_WAITS)
    settings, names = shop.called("fn-waits", source_dir=str(tmp_path / "waits.py"), provisioned_concurrency=0)
    function = shop.put(recorded, settings, names, trial=shop.trial())
    policy = function.role.policy
    streams = shop.clients.logs

    def press() -> None:
        """Ctrl-C once the second call has begun: it waits where the endpoint refuses it."""
        while True:
            begun = len(messages_in(streams, "/aws/lambda/fn-waits", "START"))
            if inline_policy(shop.clients, names.function_role, names.function_policy) != policy or begun > 1:
                os.kill(os.getpid(), signal.SIGINT)
                return
            time.sleep(0.005)

    with recorded.reporter.step("denial") as step, pytest.raises(KeyboardInterrupt), uncollected():
        thread = threading.Thread(target=press)
        thread.start()
        try:
            prove_denial(shop.clients, function, step)
        finally:
            thread.join()
    assert inline_policy(shop.clients, names.function_role, names.function_policy) == policy


def test_the_write_up_s_handler_runs_as_it_is(shop, recorded, tmp_path) -> None:
    (tmp_path / "deployment.zip").write_bytes(zip_of({"lambdafunction.py": WRITE_UP.encode()}))
    settings, names = shop.called("fn-own", source_dir=str(tmp_path / "deployment.zip"))
    function = shop.put(recorded, settings, names, trial=shop.trial())
    (answer,) = function.answers
    assert len(answer.scores) == 3
    assert answer.answer["headers"] == {"Content-Type": "text/plain", "Access-Control-Allow-Origin": "*"}
    assert answer.answer["type-result"] == "<class 'str'>"
    assert answer.answer["COntent-Type-In"].startswith("LambdaContext(")
    # It may ask the endpoint that is written into it, and no other.
    statement = function.role.policy["Statement"][0]
    assert statement["Resource"].endswith(f":endpoint/{LITERAL}")
    literal, context = recorded.notes()
    assert f"lambdafunction.py:10: the endpoint's name '{LITERAL}' is written into the code" in literal
    assert "SAGEHOUND_ENDPOINT_NAME" in literal
    assert "str(context) tells every caller" in context
    configured = shop.clients.lambda_.get_function_configuration(FunctionName="fn-own")
    assert configured["Handler"] == "lambdafunction.lambda_handler"
    with recorded.reporter.step("denial") as step:
        denied = prove_denial(shop.clients, function, step)
    assert denied.error == "Unhandled"
    assert "not authorized to perform: sagemaker:InvokeEndpoint on resource" in denied.in_a_word()
    (tmp_path / "other.py").write_text(WRITE_UP.replace(LITERAL, "no-such-endpoint"))
    settings, names = shop.called("fn-missing", source_dir=str(tmp_path / "other.py"))
    with pytest.raises(StepFailed) as failed:
        shop.put(recorded, settings, names)
    assert failed.value.cause == "endpoint no-such-endpoint does not exist"
    assert "sagehound deploy --endpoint no-such-endpoint" in failed.value.hint


def test_a_variable_of_one_s_own_code_is_given_the_endpoint(shop, recorded, tmp_path) -> None:
    (tmp_path / "app.py").write_text(
        WRITE_UP.replace(f'"{LITERAL}"', 'os.environ["ENDPOINT"]').replace("import sys", "import os")
    )
    settings, names = shop.called("fn-variable", source_dir=str(tmp_path / "app.py"), provisioned_concurrency=0)
    function = shop.put(recorded, settings, names, trial=shop.trial())
    assert len(function.answer.scores) == 3
    assert function.endpoints == (shop.names.endpoint,)


def test_code_that_breaks_is_told_with_its_own_words(shop, recorded, tmp_path) -> None:
    (tmp_path / "broken.py").write_text("import no_such_module\ndef handler(event, context): return 1\n")
    source = str(tmp_path / "broken.py")
    settings, names = shop.called("fn-broken", source_dir=source, provisioned_concurrency=0)
    with pytest.raises(StepFailed) as failed:
        shop.put(recorded, settings, names, trial=shop.trial())
    assert "Unhandled" in failed.value.cause
    assert "no_such_module" in failed.value.cause
    settings, names = shop.called("fn-broken", source_dir=source, provisioned_concurrency=1)
    with pytest.raises(StepFailed) as failed:
        shop.put(recorded, settings, names)
    assert "the provisioned environments of fn-broken:live did not come up" in failed.value.cause


def test_what_the_caller_did_wrong_comes_back_as_an_answer(shop, recorded, tmp_path) -> None:
    settings, names = shop.called("fn-refuses", provisioned_concurrency=1)
    function = shop.put(recorded, settings, names)

    def ask(event: dict[str, Any]) -> Any:
        return send_event(shop.clients, function.name, function.alias, event, function.timeout)

    inside = ask({"url": "http://169.254.169.254/latest/meta-data/iam"})
    assert (inside.status, inside.refusal) == (422, "PictureRefused")
    assert "not at a public address" in inside.body["message"]
    # The local cloud's own address is allowed, and answers nobody without a signature.
    unsigned = ask({"url": f"{shop.cloud.endpoint_url}/{shop.names.bucket}/{shop.names.project}/x.png"})
    assert (unsigned.status, unsigned.refusal) == (422, "PictureRefused")
    assert "answers with status 403" in unsigned.body["message"]
    (tmp_path / "text.jpg").write_text("no picture")
    assert ask(picture_event(tmp_path / "text.jpg").event).status == 422
    assert ask({"url": 1}).status == 400
    picture = next((shop.pictures / "test" / "green").iterdir())
    assert ask({**picture_event(picture).event, "names": True}).names[0][0] == "green"
    shop.clients.lambda_.update_function_configuration(
        FunctionName=function.name, Environment={"Variables": {"SAGEHOUND_ENDPOINT_NAME": "nowhere"}}
    )
    shop.clients.lambda_.get_waiter("function_updated_v2").wait(FunctionName=function.name, WaiterConfig={"Delay": 1})
    nowhere = send_event(shop.clients, function.name, "$LATEST", read_event('{"url": "https://x/"}').event, 60)
    # Its role may ask one endpoint only, so of another it does not even hear whether it is there.
    assert (nowhere.status, nowhere.refusal) == (502, "AccessDenied")


def test_an_address_of_its_own_takes_signed_requests_only(shop, recorded) -> None:
    settings, names = shop.called("fn-url", provisioned_concurrency=0)
    function = shop.put(recorded, settings, names, url=True)
    assert shop.put(recorded, settings, names, url=True).url == function.url
    body = json.dumps({**shop.trial().picture.event, "names": True}).encode()
    headers = {"content-type": "application/json"}
    assert requests.post(function.url, data=body, headers=headers, timeout=60).status_code == 403
    request = AWSRequest("POST", function.url, data=body, headers=headers)
    SigV4Auth(shop.clients._session.get_credentials(), "lambda", shop.clients.region).add_auth(request)
    answer = requests.post(function.url, data=body, headers=dict(request.headers), timeout=60)
    assert answer.status_code == 200, answer.text
    assert answer.json()["predictions"][0]["label"] == shop.trial().picture.label
    assert answer.headers["Access-Control-Allow-Origin"] == "*"


def test_somebody_else_s_function_of_the_name_is_left_alone(shop, recorded) -> None:
    settings, names = shop.called("fn-theirs", provisioned_concurrency=0)
    mine = shop.put(recorded, settings, names)
    shop.clients.lambda_.untag_resource(Resource=mine.arn, TagKeys=["sagehound:project"])
    before = shop.clients.lambda_.get_function_configuration(FunctionName="fn-theirs")
    with pytest.raises(StepFailed) as failed:
        shop.put(recorded, dataclasses.replace(settings, memory_size=1024), names)
    assert "fn-theirs exists and is none of project fnshop" in failed.value.cause
    assert (
        shop.clients.lambda_.get_function_configuration(FunctionName="fn-theirs")["RevisionId"] == before["RevisionId"]
    )
    assert "fn-theirs" not in find_belongings(shop.clients, shop.names).names(Kind.FUNCTION)
    shop.clients.lambda_.delete_function(FunctionName="fn-theirs")


def test_a_concurrency_that_the_account_has_not_is_refused_with_the_way_out(shop, recorded) -> None:
    settings, names = shop.called("fn-many", provisioned_concurrency=5000)
    with pytest.raises(StepFailed) as failed:
        shop.put(recorded, settings, names)
    assert "5000 provisioned environments" in failed.value.cause
    assert "function.provisioned_concurrency=0" in failed.value.hint


def test_a_person_who_may_not_is_told_which_permission_is_missing(shop, recorded) -> None:
    iam, name = shop.clients.iam, "fn-person"
    iam.create_user(UserName=name)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    person = connect_endpoint(
        shop.clients.endpoint_url, key["AccessKeyId"], key["SecretAccessKey"], shop.clients.region
    )
    settings, names = shop.called("fn-not-mine", provisioned_concurrency=0)
    allowed = ["logs:*", "sagemaker:DescribeEndpoint", "iam:GetRole", "iam:CreateRole", "iam:TagRole"]
    allowed += ["iam:GetRolePolicy", "iam:PutRolePolicy"]

    def refused(*actions: str) -> str:
        document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}]}
        iam.put_user_policy(UserName=name, PolicyName="some", PolicyDocument=json.dumps(document))
        with recorded.reporter.step("function") as step, pytest.raises(StepFailed) as failed:
            deploy_function(person, names, settings, shop.names.endpoint, recorded.reporter, step)
        assert "AccessDenied" in failed.value.cause
        assert "permission named above" in failed.value.hint
        return failed.value.cause

    assert "not authorized to perform: logs:CreateLogGroup" in refused("sts:GetCallerIdentity")
    assert "not authorized to perform: lambda:GetFunctionConfiguration" in refused(*allowed)
    assert "not authorized to perform: iam:PassRole" in refused(*allowed, "lambda:*")
    # Clean-up of who may not even list functions goes on with the rest: this role, here.
    refused(*allowed)
    found = find_belongings(person, names)
    assert found.names(Kind.FUNCTION) == []
    assert any(note.startswith("functions: ListFunctions is not allowed") for note in found.unseen)
    assert found.names(Kind.ROLE) == [names.function_role]
    assert not any(one["FunctionName"] == "fn-not-mine" for one in shop.clients.lambda_.list_functions()["Functions"])


def test_everything_of_the_function_is_deleted_with_the_project(shop, recorded) -> None:
    settings, names = shop.called("fn-gone", provisioned_concurrency=1)
    shop.put(recorded, settings, names, url=True)
    found = find_belongings(shop.clients, names)
    assert "fn-gone" in found.names(Kind.FUNCTION)
    assert "fn-gone-role" in found.names(Kind.ROLE)
    only = Belongings([thing for thing in found.things if thing.name in ("fn-gone", "fn-gone-role")])
    with recorded.reporter.step("delete") as step:
        delete_belongings(shop.clients, only, step)
    left = find_belongings(shop.clients, names)
    assert "fn-gone" not in left.names(Kind.FUNCTION)
    assert "fn-gone-role" not in left.names(Kind.ROLE)
    groups = shop.clients.logs.describe_log_groups(logGroupNamePrefix="/aws/lambda/fn-gone")["logGroups"]
    assert groups == []
