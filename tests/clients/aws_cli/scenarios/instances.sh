# An EC2 instance with user data, asked by Systems Manager: ec2, ssm, cloudtrail.
. "$(dirname "$0")/shared/checks.sh"
name=cli-instance
cat > trust.json <<'JSON'
{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
JSON
aws iam create-role --role-name $name --assume-role-policy-document file://trust.json --query Role.Arn --output text
aws iam attach-role-policy --role-name $name --policy-arn arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore
aws iam create-instance-profile --instance-profile-name $name
aws iam add-role-to-instance-profile --instance-profile-name $name --role-name $name
image=$(aws ssm get-parameter --name /aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64 --query Parameter.Value --output text)
has "$image" ami-
cat > userdata.sh <<'SH'
#!/bin/bash
mkdir -p /root/TrainedModels
echo "user data has run" | tee /root/TrainedModels/log.txt
SH
aws ec2 create-key-pair --key-name $name --query KeyMaterial --output text > key.pem
has "$(cat key.pem)" "PRIVATE KEY"
refused DryRunOperation aws ec2 run-instances --image-id "$image" --instance-type m5.xlarge --dry-run
id=$(aws ec2 run-instances --image-id "$image" --instance-type m5.xlarge --key-name $name --iam-instance-profile Name=$name --user-data file://userdata.sh \
  --tag-specifications "ResourceType=instance,Tags=[{Key=Name,Value=$name}]" --query 'Instances[0].InstanceId' --output text)
aws ec2 wait instance-running --instance-ids "$id"
same "$(aws ec2 describe-instances --filters Name=tag:Name,Values=$name --query 'Reservations[].Instances[].[InstanceId, State.Name, InstanceType]' --output text)" "$id	running	m5.xlarge"
table=$(aws ec2 describe-instances --instance-ids "$id" --query 'Reservations[].Instances[].{Id: InstanceId, Type: InstanceType, State: State.Name}' --output table)
has "$table" "DescribeInstances"
has "$table" "|  $id |  running |  m5.xlarge  |"
aws ec2 wait instance-status-ok --instance-ids "$id"
until_says True bash -c "aws ec2 get-console-output --instance-id $id --output text --query 'contains(Output, \`user data has run\`)'"
has "$(aws ec2 get-console-output --instance-id "$id" --output text)" "user data has run"

until_says "$id" aws ssm describe-instance-information --query 'InstanceInformationList[0].InstanceId' --output text
command=$(aws ssm send-command --document-name AWS-RunShellScript --instance-ids "$id" --parameters 'commands=["cat /root/TrainedModels/log.txt"]' --query Command.CommandId --output text)
aws ssm wait command-executed --command-id "$command" --instance-id "$id"
has "$(aws ssm get-command-invocation --command-id "$command" --instance-id "$id" --query StandardOutputContent --output text)" "user data has run"
same "$(aws ssm list-command-invocations --command-id "$command" --details --query 'CommandInvocations[].[InstanceId, Status]' --output text)" "$id	Success"
aws ssm put-parameter --name /cli/endpoint --type String --value dogs
same "$(aws ssm get-parameter --name /cli/endpoint --query 'Parameter.[Value, Version]' --output text)" "dogs	1"

same "$(aws ec2 terminate-instances --instance-ids "$id" --query 'TerminatingInstances[0].CurrentState.Name' --output text)" shutting-down
aws ec2 wait instance-terminated --instance-ids "$id"
refused InvalidInstanceID.NotFound aws ec2 describe-instances --instance-ids i-0123456789abcdef0
same "$(aws cloudtrail lookup-events --lookup-attributes AttributeKey=EventName,AttributeValue=RunInstances --query 'Events[0].EventName' --output text)" RunInstances
