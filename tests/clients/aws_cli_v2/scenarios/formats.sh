# The CLI itself: what it is configured with, its output formats, its prompts and pager, --debug, what is not there.
. "$(dirname "$0")/../../aws_cli/scenarios/shared/checks.sh"
has "$(aws --version)" aws-cli/2.
listed=$(aws configure list)
has "$listed" container-role
has "$listed" us-east-1
has "$(aws configure list-profiles)" default
same "$(aws sts get-caller-identity --output json | head -c 1)" "{"
has "$(aws sts get-caller-identity --output text)" "	arn:aws:sts::"
has "$(aws sts get-caller-identity --output table)" "GetCallerIdentity"
has "$(aws sts get-caller-identity --output yaml)" "Arn: arn:aws:sts::"
has "$(aws sagemaker list-endpoints --output yaml-stream)" "Endpoints: []"
debugged=$(aws sts get-caller-identity --debug 2>&1)
has "$debugged" "https://sts.us-east-1.amazonaws.com"
has "$debugged" '"POST / HTTP/1.1" 200'
refused "An error occurred (NotImplemented" aws dynamodb list-tables
refused "An error occurred (NotImplemented" aws sagemaker list-auto-ml-jobs
has "$(aws sagemaker create-training-job --generate-cli-skeleton yaml-input)" "TrainingJobName: ''"
refused "InvalidClientTokenId" env AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE AWS_SECRET_ACCESS_KEY=wrong aws sts get-caller-identity
