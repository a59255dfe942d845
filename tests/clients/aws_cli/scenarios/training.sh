# A training job from a file of JSON to its artefact; its log while it runs; the waiter, which looks every 120 s.
. "$(dirname "$0")/shared/checks.sh"
bucket=sagemaker-cli-training
role=cli-training
group=/aws/sagemaker/TrainingJobs
cat > trust.json <<'JSON'
{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
JSON
arn=$(aws iam create-role --role-name $role --assume-role-policy-document file://trust.json --query Role.Arn --output text)
aws iam attach-role-policy --role-name $role --policy-arn arn:aws:iam::aws:policy/AmazonSageMakerFullAccess
aws s3 mb s3://$bucket
mkdir code
cat > code/train.py <<'PYTHON'
import argparse, os, pathlib, time
parser = argparse.ArgumentParser()
parser.add_argument("--seconds", type=float)
seconds = parser.parse_args().seconds
pictures = sorted(os.listdir(os.environ["SM_CHANNEL_TRAINING"]))
print(f"training on {pictures}", flush=True)
end = time.monotonic() + seconds
while time.monotonic() < end:
    print(f"Testing Loss: {0.25 if end - time.monotonic() < 1 else 0.5}", flush=True)
    time.sleep(0.5)
pathlib.Path(os.environ["SM_MODEL_DIR"], "model.txt").write_text("trained")
PYTHON
tar -czf sourcedir.tar.gz -C code train.py
aws s3 cp sourcedir.tar.gz s3://$bucket/code/
echo picture | aws s3 cp - s3://$bucket/data/one.jpg

job() {  # job NAME SECONDS
  cat > "$1.json" <<JSON
{
  "TrainingJobName": "$1",
  "RoleArn": "$arn",
  "AlgorithmSpecification": {
    "TrainingImage": "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:1.13.1-cpu-py39",
    "TrainingInputMode": "File",
    "MetricDefinitions": [{"Name": "Test Loss", "Regex": "Testing Loss: ([0-9\\\\.]+)"}]
  },
  "HyperParameters": {
    "sagemaker_program": "train.py", "sagemaker_submit_directory": "s3://$bucket/code/sourcedir.tar.gz", "seconds": "$2"
  },
  "InputDataConfig": [{"ChannelName": "training", "DataSource": {"S3DataSource": {
    "S3DataType": "S3Prefix", "S3Uri": "s3://$bucket/data/", "S3DataDistributionType": "FullyReplicated"}}}],
  "OutputDataConfig": {"S3OutputPath": "s3://$bucket/out"},
  "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10},
  "StoppingCondition": {"MaxRuntimeInSeconds": 600}
}
JSON
  aws sagemaker create-training-job --cli-input-json "file://$1.json" --query TrainingJobArn --output text
}

has "$(job cli-long 600)" ":training-job/cli-long"
has "$(job cli-short 40)" ":training-job/cli-short"
refused ResourceInUse aws sagemaker create-training-job --cli-input-json file://cli-short.json
aws sagemaker wait training-job-completed-or-stopped --training-job-name cli-short &
waiter=$!
same "$(aws sagemaker list-training-jobs --name-contains cli- --sort-by Name --sort-order Ascending --query 'TrainingJobSummaries[].TrainingJobName' --output text)" "cli-long	cli-short"
until_says InProgress aws sagemaker describe-training-job --training-job-name cli-long --query TrainingJobStatus --output text
until_says "$group" aws logs describe-log-groups --log-group-name-prefix $group --query 'logGroups[0].logGroupName' --output text
until_says True bash -c "aws logs describe-log-streams --log-group-name $group --log-stream-name-prefix cli-short/ --query 'length(logStreams) == \`1\`' --output text"
# What `aws logs tail --follow` of the CLI's version 2 asks for, again and again.
tail=(aws logs filter-log-events --log-group-name $group --log-stream-name-prefix cli-short/ --interleaved --start-time "$(date -d '10 minutes ago' +%s000)")
until_says True "${tail[@]}" --query 'contains(events[].message, `Testing Loss: 0.5`)' --output text
has "$("${tail[@]}" --query 'events[].message' --output text)" "training on ['one.jpg']"
lacks "$("${tail[@]}" --query 'events[].logStreamName' --output text)" cli-long
until_says Completed aws sagemaker describe-training-job --training-job-name cli-short --query TrainingJobStatus --output text
has "$(aws logs filter-log-events --log-group-name $group --log-stream-name-prefix cli-short/ --filter-pattern '"0.25"' --query 'events[0].message' --output text)" "Testing Loss: 0.25"

aws sagemaker stop-training-job --training-job-name cli-long
until_says Stopped aws sagemaker describe-training-job --training-job-name cli-long --query TrainingJobStatus --output text
same "$(aws sagemaker describe-training-job --training-job-name cli-short --query '[TrainingJobStatus, FinalMetricDataList[0].Value, ModelArtifacts.S3ModelArtifacts]' --output text)" \
  "Completed	0.25	s3://$bucket/out/cli-short/output/model.tar.gz"
wait $waiter
aws s3 cp s3://$bucket/out/cli-short/output/model.tar.gz .
same "$(tar -xzOf model.tar.gz model.txt)" trained
same "$(aws sagemaker list-training-jobs --status-equals Stopped --query 'TrainingJobSummaries[].TrainingJobName' --output text)" cli-long
refused "An error occurred (ValidationException) when calling the DescribeTrainingJob operation" aws sagemaker describe-training-job --training-job-name cli-none
