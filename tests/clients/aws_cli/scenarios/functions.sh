# A Lambda function from its zip file to provisioned concurrency, and its log.
. "$(dirname "$0")/shared/checks.sh"
name=cli-function
cat > trust.json <<'JSON'
{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
JSON
arn=$(aws iam create-role --role-name cli-function --assume-role-policy-document file://trust.json --query Role.Arn --output text)
aws iam attach-role-policy --role-name cli-function --policy-arn arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole
cat > lamdafunction.py <<'PYTHON'
import json, os
def lambda_handler(event, context):
    print("asked for", event["url"])
    return {"statusCode": 200, "body": json.dumps({"url": event["url"], "mode": os.environ["MODE"], "version": context.function_version})}
PYTHON
python3 -m zipfile -c function.zip lamdafunction.py
same "$(aws lambda create-function --function-name $name --runtime python3.12 --role "$arn" --handler lamdafunction.lambda_handler --zip-file fileb://function.zip \
  --timeout 30 --memory-size 256 --environment 'Variables={MODE=quick}' --query State --output text)" Pending
aws lambda wait function-active --function-name $name
same "$(aws lambda get-function --function-name $name --query 'Configuration.[State, Timeout, MemorySize, Handler]' --output text)" "Active	30	256	lamdafunction.lambda_handler"
curl --silent --show-error --fail --output code.zip "$(aws lambda get-function --function-name $name --query Code.Location --output text)"
cmp code.zip function.zip
same "$(aws lambda invoke --function-name $name --payload '{"url": "https://example.com/dog.jpg"}' answer.json --query '[StatusCode, ExecutedVersion]' --output text)" '200	$LATEST'
has "$(cat answer.json)" '\"mode\": \"quick\"'
has "$(aws lambda invoke --function-name $name --payload '{"url": "x"}' --log-type Tail answer.json --query LogResult --output text | base64 --decode)" "asked for x"
same "$(aws lambda invoke --function-name $name --payload '{}' answer.json --query FunctionError --output text)" Unhandled
has "$(cat answer.json)" KeyError
same "$(aws lambda invoke --function-name $name --invocation-type Event --payload '{"url": "later"}' answer.json --query StatusCode)" 202

same "$(aws lambda publish-version --function-name $name --query Version --output text)" 1
aws lambda put-provisioned-concurrency-config --function-name $name --qualifier 1 --provisioned-concurrent-executions 2
until_says "READY	2" aws lambda get-provisioned-concurrency-config --function-name $name --qualifier 1 --query '[Status, AvailableProvisionedConcurrentExecutions]' --output text
aws lambda invoke --function-name $name --qualifier 1 --payload '{"url": "x"}' answer.json
has "$(cat answer.json)" '\"version\": \"1\"'
refused InvalidParameterValueException aws lambda put-provisioned-concurrency-config --function-name $name --qualifier '$LATEST' --provisioned-concurrent-executions 2
aws lambda put-function-concurrency --function-name $name --reserved-concurrent-executions 5
same "$(aws lambda get-function-concurrency --function-name $name --query ReservedConcurrentExecutions)" 5

until_says "asked for later" bash -c "aws logs filter-log-events --log-group-name /aws/lambda/$name --filter-pattern later --query 'events[0].message' --output text | sed '/^$/d'"
has "$(aws logs filter-log-events --log-group-name /aws/lambda/$name --start-time "$(date -d '1 hour ago' +%s000)" --query 'events[].message' --output text)" "REPORT RequestId"
aws lambda update-function-configuration --function-name $name --environment 'Variables={MODE=slow}' --query LastUpdateStatus --output text
aws lambda wait function-updated --function-name $name
aws lambda invoke --function-name $name --payload '{"url": "x"}' answer.json
has "$(cat answer.json)" '\"mode\": \"slow\"'
url=$(aws lambda create-function-url-config --function-name $name --auth-type NONE --query FunctionUrl --output text)
same "$(curl --silent --output /dev/null --write-out '%{http_code}' "$url")" 403
aws lambda add-permission --function-name $name --statement-id everybody --action lambda:InvokeFunctionUrl --principal '*' --function-url-auth-type NONE
aws lambda add-permission --function-name $name --statement-id by-url --action lambda:InvokeFunction --principal '*' --invoked-via-function-url
has "$(curl --silent --data '{"url": "x"}' "$url")" "Internal Server Error"
has "$(aws lambda list-functions --query 'Functions[].FunctionName' --output text)" $name
aws lambda delete-function --function-name $name
refused ResourceNotFoundException aws lambda get-function --function-name $name
