"""Instances as EC2 tells of them: launched, described, filtered, stopped, started, rebooted, terminated."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.cloud.ec2_instances import Machines, until
from tests.cloud_process import CloudProcess
from tests.waiting import wait_for

REGION = "eu-west-3"


@pytest.fixture
def machines(cloud: CloudProcess) -> Iterator[Machines]:
    made = Machines(cloud, REGION)
    yield made
    made.remove()


def code(call: Any, **request: Any) -> str:
    with pytest.raises(ClientError) as refused:
        call(**request)
    return str(refused.value.response["Error"]["Code"])


def ids_of(answer: dict[str, Any]) -> list[str]:
    return [item["InstanceId"] for group in answer["Reservations"] for item in group["Instances"]]


def test_an_instance_runs_its_user_data_and_is_what_was_asked_for(machines: Machines) -> None:
    tags = [{"Key": "Name", "Value": "trainer"}, {"Key": "run", "Value": "one"}]
    pending = machines.run(
        "#!/bin/bash\necho it is $(hostname)\n",
        TagSpecifications=[{"ResourceType": "instance", "Tags": tags}],
    )
    assert pending["State"] == {"Code": 0, "Name": "pending"}
    machines.ec2.get_waiter("instance_exists").wait(InstanceIds=[pending["InstanceId"]])
    machines.wait(pending["InstanceId"], "running")
    machines.ec2.get_waiter("instance_running").wait(InstanceIds=[pending["InstanceId"]])
    machines.ec2.get_waiter("instance_status_ok").wait(InstanceIds=[pending["InstanceId"]])
    instance = machines.get(pending["InstanceId"])
    assert instance["InstanceType"] == "t3.micro"
    assert instance["Tags"] == tags
    assert instance["SecurityGroups"][0]["GroupName"] == "default"
    assert instance["BlockDeviceMappings"][0]["Ebs"]["VolumeId"].startswith("vol-")
    assert instance["CpuOptions"] == {"CoreCount": 1, "ThreadsPerCore": 2}
    assert f"it is {instance['PrivateDnsName']}" in machines.console(pending["InstanceId"], "it is ")


def test_filters_have_wildcards_and_pages_end(machines: Machines) -> None:
    specification = [{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "many one"}]}]
    machines.run(MinCount=6, MaxCount=6, TagSpecifications=specification)
    other = machines.run(InstanceType="t3.small")["InstanceId"]
    named = [{"Name": "tag:Name", "Values": ["many ?ne", "nothing"]}]
    assert len(ids_of(machines.ec2.describe_instances(Filters=named))) == 6
    both = [*named, {"Name": "instance-type", "Values": ["t3.s*"]}]
    assert ids_of(machines.ec2.describe_instances(Filters=both)) == []
    alike = [{"Name": "instance-id", "Values": machines.ids}, {"Name": "instance-type", "Values": ["t3.s*"]}]
    assert ids_of(machines.ec2.describe_instances(Filters=alike)) == [other]
    pages = list(
        machines.ec2.get_paginator("describe_instances").paginate(Filters=named, PaginationConfig={"PageSize": 5})
    )
    assert [len(ids_of(page)) for page in pages] == [5, 1]
    assert sorted(ids_of(pages[0]) + ids_of(pages[1])) == sorted(machines.ids[:6])
    assert code(machines.ec2.describe_instances, Filters=[{"Name": "colour", "Values": ["red"]}]) == (
        "InvalidParameterValue"
    )
    assert code(machines.ec2.describe_instances, MaxResults=5, NextToken="é") == "InvalidParameterValue"
    assert code(machines.ec2.describe_instances, MaxResults=5, InstanceIds=[other]) == "InvalidParameterCombination"


def test_stop_keeps_what_was_written_and_start_runs_user_data_no_second_time(machines: Machines) -> None:
    instance_id = machines.run("#!/bin/bash\necho first >> /root/boots; echo said once\n")["InstanceId"]
    machines.console(instance_id, "Cloud-init finished")
    boots = machines.root(instance_id) / "disk" / "root" / "boots"
    stopping = machines.ec2.stop_instances(InstanceIds=[instance_id])["StoppingInstances"][0]
    assert stopping["PreviousState"]["Name"] == "running"
    assert stopping["CurrentState"] == {"Code": 64, "Name": "stopping"}
    stopped = machines.wait(instance_id, "stopped")
    machines.ec2.get_waiter("instance_stopped").wait(InstanceIds=[instance_id])
    assert stopped["StateReason"]["Code"] == "Client.UserInitiatedShutdown"
    assert stopped["StateTransitionReason"].startswith("User initiated (")
    status = machines.ec2.describe_instance_status(InstanceIds=[instance_id], IncludeAllInstances=True)
    assert status["InstanceStatuses"][0]["InstanceStatus"]["Status"] == "not-applicable"
    assert machines.ec2.describe_instance_status(InstanceIds=[instance_id])["InstanceStatuses"] == []
    again = machines.ec2.stop_instances(InstanceIds=[instance_id])["StoppingInstances"][0]
    assert again["CurrentState"]["Name"] == "stopped"
    starting = machines.ec2.start_instances(InstanceIds=[instance_id])["StartingInstances"][0]
    assert starting["CurrentState"]["Name"] == "pending"
    started = machines.wait(instance_id, "running")
    assert "StateReason" not in started
    assert started["PrivateIpAddress"] == stopped["PrivateIpAddress"]
    console = until(lambda: machines.console(instance_id, "login:"), lambda text: text.count("login:") == 2)
    assert console.count("said once") == 1
    assert boots.read_text() == "first\n"


def test_a_reboot_leaves_it_running(machines: Machines) -> None:
    instance_id = machines.run("#!/bin/bash\necho up\n")["InstanceId"]
    machines.console(instance_id, "Cloud-init finished")
    before = machines.ec2.get_console_output(InstanceId=instance_id)["Output"].count("boots as")
    machines.ec2.reboot_instances(InstanceIds=[instance_id])

    def boots() -> int:
        return int(machines.ec2.get_console_output(InstanceId=instance_id)["Output"].count("boots as"))

    assert until(boots, lambda count: count > before) == before + 1
    assert machines.get(instance_id)["State"]["Name"] == "running"


@pytest.mark.parametrize(("behaviour", "state"), [("stop", "stopped"), ("terminate", "terminated")])
def test_shutdown_inside_does_what_its_behaviour_says(machines: Machines, behaviour: str, state: str) -> None:
    script = "#!/bin/bash\necho the last words\nshutdown -h now\n"
    instance_id = machines.run(script, InstanceInitiatedShutdownBehavior=behaviour)["InstanceId"]
    ended = machines.wait(instance_id, state)
    assert ended["StateReason"]["Code"] == "Client.InstanceInitiatedShutdown"
    # On AWS, too, the console is there for a while after the instance is not.
    assert "the last words" in machines.ec2.get_console_output(InstanceId=instance_id)["Output"]


def test_a_terminated_instance_holds_nothing(machines: Machines) -> None:
    instance = machines.run()
    instance_id = instance["InstanceId"]
    volume = instance["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]
    interface = instance["NetworkInterfaces"][0]["NetworkInterfaceId"]
    described = machines.ec2.describe_volumes(VolumeIds=[volume])["Volumes"][0]
    assert described["Attachments"][0]["InstanceId"] == instance_id
    assert described["State"] == "in-use"
    shown = machines.ec2.describe_network_interfaces(NetworkInterfaceIds=[interface])["NetworkInterfaces"][0]
    assert shown["Attachment"]["InstanceId"] == instance_id
    tags = [{"Key": "run", "Value": "one"}]
    machines.ec2.create_tags(Resources=[instance_id, volume, interface], Tags=tags)
    machines.wait(instance_id, "running")
    assert machines.root(instance_id).is_dir()
    ending = machines.ec2.terminate_instances(InstanceIds=[instance_id])["TerminatingInstances"][0]
    assert ending["CurrentState"] == {"Code": 32, "Name": "shutting-down"}
    machines.wait(instance_id, "terminated")
    machines.ec2.get_waiter("instance_terminated").wait(InstanceIds=[instance_id])
    assert not machines.root(instance_id).exists()
    assert machines.processes(instance_id) == []
    assert code(machines.ec2.describe_volumes, VolumeIds=[volume]) == "InvalidVolume.NotFound"
    tagged = [{"Name": "resource-id", "Values": [instance_id, volume, interface]}]
    assert [tag["ResourceId"] for tag in machines.ec2.describe_tags(Filters=tagged)["Tags"]] == [instance_id]
    assert "PrivateIpAddress" not in machines.get(instance_id)
    again = machines.ec2.terminate_instances(InstanceIds=[instance_id])["TerminatingInstances"][0]
    assert again["PreviousState"]["Name"] == again["CurrentState"]["Name"] == "terminated"
    assert code(machines.ec2.start_instances, InstanceIds=[instance_id]) == "IncorrectInstanceState"
    assert code(machines.ec2.stop_instances, InstanceIds=[instance_id]) == "IncorrectInstanceState"
    assert code(machines.ec2.reboot_instances, InstanceIds=[instance_id]) == "IncorrectInstanceState"


def test_terminate_during_boot_leaves_nothing(machines: Machines) -> None:
    for _ in range(20):  # until one is caught in the middle: something of it is there, and it is not up yet
        instance_id = machines.run("#!/bin/bash\nsleep 600\n")["InstanceId"]
        root = machines.root(instance_id)
        wait_for(root.is_dir, "the root of an instance that boots")
        ending = machines.ec2.terminate_instances(InstanceIds=[instance_id])["TerminatingInstances"][0]
        machines.wait(instance_id, "terminated")
        assert not root.exists()
        assert machines.processes(instance_id) == []
        assert str(root) not in Path("/proc/self/mounts").read_text()
        if ending["PreviousState"]["Name"] == "pending":
            return
    pytest.fail("no instance was terminated while it booted")


def test_one_that_was_never_up_cannot_be_stopped(machines: Machines) -> None:
    for _ in range(20):  # until one is asked while it boots
        instance_id = machines.run()["InstanceId"]
        try:
            machines.ec2.stop_instances(InstanceIds=[instance_id])
        except ClientError as refused:
            error = refused.response["Error"]
            break
    else:
        pytest.fail("no instance was asked to stop while it booted")
    assert error["Code"] == "IncorrectInstanceState"
    assert "has never reached the 'running' state" in error["Message"]
    machines.wait(instance_id, "running")


def test_the_console_tells_when_it_was_written_last(machines: Machines) -> None:
    instance = machines.run("#!/bin/bash\necho the last words\nshutdown -h now\n")
    instance_id = instance["InstanceId"]
    machines.wait(instance_id, "stopped")
    answer = machines.ec2.get_console_output(InstanceId=instance_id)
    assert answer["Timestamp"] >= instance["LaunchTime"]
    long_ago = answer["Timestamp"].timestamp() - 1000
    os.utime(machines.root(instance_id) / "run" / "output.log", (long_ago, long_ago))
    answer = machines.ec2.get_console_output(InstanceId=instance_id)
    assert answer["Timestamp"].timestamp() == long_ago
    machines.ec2.terminate_instances(InstanceIds=[instance_id])
    machines.wait(instance_id, "terminated")
    assert machines.ec2.get_console_output(InstanceId=instance_id) | {"ResponseMetadata": 0} == (
        answer | {"ResponseMetadata": 0}
    )


def test_protected_instances_neither_stop_nor_go(machines: Machines) -> None:
    instance_id = machines.run(DisableApiTermination=True, DisableApiStop=True)["InstanceId"]
    free = machines.run()["InstanceId"]
    assert code(machines.ec2.terminate_instances, InstanceIds=[free, instance_id]) == "OperationNotPermitted"
    assert code(machines.ec2.stop_instances, InstanceIds=[instance_id]) == "OperationNotPermitted"
    # All or none: the one that is not protected is still there.
    machines.wait(free, "running")
    machines.ec2.modify_instance_attribute(InstanceId=instance_id, DisableApiTermination={"Value": False})
    machines.ec2.terminate_instances(InstanceIds=[instance_id])
    machines.wait(instance_id, "terminated")


def test_unknown_instances_are_named(machines: Machines) -> None:
    absent = "i-0123456789abcdef0"
    with pytest.raises(ClientError, match=f"The instance ID '{absent}' does not exist") as refused:
        machines.ec2.describe_instances(InstanceIds=[absent])
    assert refused.value.response["Error"]["Code"] == "InvalidInstanceID.NotFound"
    assert code(machines.ec2.describe_instances, InstanceIds=["nonsense"]) == "InvalidInstanceID.Malformed"
    assert code(machines.ec2.terminate_instances, InstanceIds=[absent]) == "InvalidInstanceID.NotFound"
    assert code(machines.ec2.get_console_output, InstanceId=absent) == "InvalidInstanceID.NotFound"


def test_attributes_of_a_stopped_instance_change(machines: Machines) -> None:
    instance_id = machines.run(b"#!/bin/sh\necho one\n", InstanceType="t3.micro")["InstanceId"]
    machines.wait(instance_id, "running")
    change = {"InstanceId": instance_id, "InstanceType": {"Value": "m5.large"}}
    assert code(machines.ec2.modify_instance_attribute, **change) == "IncorrectInstanceState"
    machines.ec2.stop_instances(InstanceIds=[instance_id], Force=True)
    machines.wait(instance_id, "stopped")
    machines.ec2.modify_instance_attribute(**change)
    machines.ec2.modify_instance_attribute(InstanceId=instance_id, UserData={"Value": b"#!/bin/sh\necho two\n"})
    machines.ec2.modify_instance_attribute(
        InstanceId=instance_id, Attribute="instanceInitiatedShutdownBehavior", Value="terminate"
    )

    def attribute(name: str) -> dict[str, Any]:
        return dict(machines.ec2.describe_instance_attribute(InstanceId=instance_id, Attribute=name))

    assert attribute("instanceType")["InstanceType"]["Value"] == "m5.large"
    assert attribute("userData")["UserData"]["Value"] == "IyEvYmluL3NoCmVjaG8gdHdvCg=="
    behaviour = attribute("instanceInitiatedShutdownBehavior")["InstanceInitiatedShutdownBehavior"]
    assert behaviour["Value"] == "terminate"
    assert attribute("groupSet")["Groups"][0]["GroupName"] == "default"
    assert attribute("disableApiTermination")["DisableApiTermination"]["Value"] is False
    both = {"DisableApiStop": {"Value": True}, "EbsOptimized": {"Value": True}}
    assert code(machines.ec2.modify_instance_attribute, InstanceId=instance_id, **both) == "InvalidParameterCombination"
    machines.ec2.start_instances(InstanceIds=[instance_id])
    assert machines.wait(instance_id, "running")["InstanceType"] == "m5.large"


def test_metadata_options_and_credits(machines: Machines) -> None:
    instance_id = machines.run(MetadataOptions={"HttpTokens": "optional", "HttpPutResponseHopLimit": 3})["InstanceId"]
    options = machines.get(instance_id)["MetadataOptions"]
    assert (options["HttpTokens"], options["HttpPutResponseHopLimit"]) == ("optional", 3)
    changed = machines.ec2.modify_instance_metadata_options(InstanceId=instance_id, HttpTokens="required")
    assert changed["InstanceMetadataOptions"]["HttpTokens"] == "required"
    assert machines.get(instance_id)["MetadataOptions"]["HttpPutResponseHopLimit"] == 3
    credits = machines.ec2.describe_instance_credit_specifications(InstanceIds=[instance_id])
    assert credits["InstanceCreditSpecifications"] == [{"InstanceId": instance_id, "CpuCredits": "unlimited"}]


def test_the_latest_console_is_for_types_on_nitro(machines: Machines) -> None:
    old = machines.run(InstanceType="t2.micro")["InstanceId"]
    new = machines.run("#!/bin/sh\necho said on Nitro\n", InstanceType="t3.micro")["InstanceId"]
    assert code(machines.ec2.get_console_output, InstanceId=old, Latest=True) == "UnsupportedOperation"
    machines.console(new, "said on Nitro")
    assert "said on Nitro" in machines.ec2.get_console_output(InstanceId=new, Latest=True)["Output"]
