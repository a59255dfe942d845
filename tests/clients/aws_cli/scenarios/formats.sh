# The CLI itself: what it is configured with, its output formats, --debug, --generate-cli-skeleton, what is not there.
. "$(dirname "$0")/shared/checks.sh"
has "$(aws --version)" aws-cli/
listed=$(aws configure list)
has "$listed" access_key
has "$listed" container-role
has "$listed" region
same "$(aws configure get region)" us-east-1
same "$(aws sts get-caller-identity --output json | head -c 1)" "{"
has "$(aws sts get-caller-identity --output text)" "	arn:aws:sts::"
has "$(aws sts get-caller-identity --output table)" "GetCallerIdentity"
debugged=$(aws sts get-caller-identity --debug 2>&1)
has "$debugged" "https://sts.us-east-1.amazonaws.com"
has "$debugged" '"POST / HTTP/1.1" 200'
for service in "dynamodb list-tables" "ecr describe-repositories" "athena list-work-groups" "route53 list-hosted-zones" "batch describe-job-queues" "sns list-topics"; do
  read -r -a words <<< "$service"
  refused "${words[0]}:" aws "${words[@]}"
done
refused "ListQueues" aws sqs list-queues
refused "An error occurred (NotImplemented" aws dynamodb list-tables
refused "An error occurred (NotImplemented" aws sagemaker list-auto-ml-jobs
refused "Invalid choice" aws sagemaker make-dogs
refused "Parameter validation failed" aws sagemaker create-model --model-name x --primary-container Picture=1
refused "Unable to locate credentials" env -u AWS_CONTAINER_CREDENTIALS_FULL_URI AWS_EC2_METADATA_DISABLED=true aws sts get-caller-identity
refused "InvalidClientTokenId" env AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE AWS_SECRET_ACCESS_KEY=wrong aws sts get-caller-identity
has "$(aws sagemaker create-training-job --generate-cli-skeleton)" '"TrainingJobName": ""'
for region in eu-west-1 us-west-2; do same "$(aws ec2 describe-availability-zones --region $region --query 'AvailabilityZones[0].ZoneName' --output text)" ${region}a; done
