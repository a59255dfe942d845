"""Training on an EC2 instance as the write-up does by hand: wget, unzip, mkdir TrainedModels, solution.py."""

import json

import boto3
from shared import CODE, PICTURES, says

session = boto3.Session()
account = session.client("sts").get_caller_identity()["Account"]
s3, ec2, iam = session.client("s3"), session.client("ec2"), session.client("iam")
bucket = f"dogs-ec2-{account}"
s3.create_bucket(Bucket=bucket)

trust = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
write = {"Effect": "Allow", "Action": ["s3:PutObject"], "Resource": f"arn:aws:s3:::{bucket}/*"}
document = {"Version": "2012-10-17"}
iam.create_role(RoleName="dogs-ec2", AssumeRolePolicyDocument=json.dumps({**document, "Statement": [trust]}))
iam.put_role_policy(
    RoleName="dogs-ec2", PolicyName="write", PolicyDocument=json.dumps({**document, "Statement": [write]})
)
iam.create_instance_profile(InstanceProfileName="dogs-ec2")
iam.add_role_to_instance_profile(InstanceProfileName="dogs-ec2", RoleName="dogs-ec2")

script = f"""#!/bin/bash
set -ex
cd /root
wget -q {PICTURES}
unzip -q dogImages.zip
mkdir TrainedModels
cat > solution.py <<'END'
{(CODE / "ec2train1.py").read_text()}
END
source activate PyTorch
python3 solution.py
aws s3 cp --quiet TrainedModels/model.pth s3://{bucket}/TrainedModels/model.pth
"""
images = ec2.describe_images(
    Owners=["amazon"],
    Filters=[{"Name": "name", "Values": ["Deep Learning OSS Nvidia Driver AMI GPU PyTorch*"]}],
)["Images"]
image = max((one for one in images if one["Architecture"] == "x86_64"), key=lambda one: one["CreationDate"])
instance = ec2.run_instances(
    ImageId=image["ImageId"],
    InstanceType="t2.small",
    MinCount=1,
    MaxCount=1,
    UserData=script,
    IamInstanceProfile={"Name": "dogs-ec2"},
    InstanceInitiatedShutdownBehavior="terminate",
)["Instances"][0]["InstanceId"]
try:
    ec2.get_waiter("instance_running").wait(InstanceIds=[instance])
    s3.get_waiter("object_exists").wait(
        Bucket=bucket, Key="TrainedModels/model.pth", WaiterConfig={"Delay": 5, "MaxAttempts": 150}
    )
    assert s3.head_object(Bucket=bucket, Key="TrainedModels/model.pth")["ContentLength"] > 1_000_000
finally:
    ec2.terminate_instances(InstanceIds=[instance])
    ec2.get_waiter("instance_terminated").wait(InstanceIds=[instance])
    console = ec2.get_console_output(InstanceId=instance).get("Output", "")
    print(console)
says(console, r"epoch 0: loss [0-9.]+")
says(console, "saved")
