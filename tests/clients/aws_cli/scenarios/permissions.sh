# Who one is and who may what: sts, iam, a role that is taken on and may do one thing.
. "$(dirname "$0")/shared/checks.sh"
role=cli-reader
me=$(aws sts get-caller-identity --query Arn --output text)
has "$me" ":assumed-role/sagehound-user/"
account=$(aws sts get-caller-identity --query Account --output text)
cat > trust.json <<JSON
{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::$account:root"}, "Action": "sts:AssumeRole"}]}
JSON
cat > read.json <<'JSON'
{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::cli-secret/public/*"}]}
JSON
arn=$(aws iam create-role --role-name $role --assume-role-policy-document file://trust.json --query Role.Arn --output text)
refused EntityAlreadyExists aws iam create-role --role-name $role --assume-role-policy-document file://trust.json
aws iam wait role-exists --role-name $role
aws iam put-role-policy --role-name $role --policy-name read --policy-document file://read.json
policy=$(aws iam create-policy --policy-name cli-list --policy-document '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*"}]}' --query Policy.Arn --output text)
aws iam attach-role-policy --role-name $role --policy-arn "$policy"
same "$(aws iam list-attached-role-policies --role-name $role --query 'AttachedPolicies[].PolicyName' --output text)" cli-list
same "$(aws iam get-role-policy --role-name $role --policy-name read --query 'PolicyDocument.Statement[0].Action' --output text)" s3:GetObject
same "$(aws iam simulate-principal-policy --policy-source-arn "$arn" --action-names s3:GetObject s3:PutObject --resource-arns arn:aws:s3:::cli-secret/public/dog.jpg --query 'EvaluationResults[].EvalDecision' --output text)" \
  "allowed	implicitDeny"
refused MalformedPolicyDocument aws iam put-role-policy --role-name $role --policy-name wrong --policy-document '{"Statement": 1}'

aws s3 mb s3://cli-secret
echo open | aws s3 cp - s3://cli-secret/public/dog.jpg
echo shut | aws s3 cp - s3://cli-secret/private/dog.jpg
read -r key secret token <<< "$(aws sts assume-role --role-arn "$arn" --role-session-name somebody --query 'Credentials.[AccessKeyId, SecretAccessKey, SessionToken]' --output text)"
as_reader() {
  AWS_ACCESS_KEY_ID=$key AWS_SECRET_ACCESS_KEY=$secret AWS_SESSION_TOKEN=$token "$@"
}
has "$(as_reader aws sts get-caller-identity --query Arn --output text)" "assumed-role/$role/somebody"
same "$(as_reader aws s3 cp s3://cli-secret/public/dog.jpg -)" open
refused "403" as_reader aws s3 cp s3://cli-secret/private/dog.jpg -
has "$(as_reader aws s3 ls)" cli-secret
refused "is not authorized to perform: iam:ListRoles" as_reader aws iam list-roles
aws configure set role_arn "$arn" --profile reader
aws configure set credential_source EcsContainer --profile reader
has "$(aws --profile reader sts get-caller-identity --query Arn --output text)" "assumed-role/$role/"

refused DeleteConflict aws iam delete-role --role-name $role
aws iam detach-role-policy --role-name $role --policy-arn "$policy"
aws iam delete-role-policy --role-name $role --policy-name read
aws iam delete-role --role-name $role
aws iam delete-policy --policy-arn "$policy"
refused NoSuchEntity aws iam get-role --role-name $role
aws s3 rb s3://cli-secret --force
found=$(aws cloudtrail lookup-events --lookup-attributes AttributeKey=EventName,AttributeValue=CreateRole --query "Events[?contains(CloudTrailEvent, '$role')].[EventName, EventSource]" --output text)
has "$found" "CreateRole	iam.amazonaws.com"
