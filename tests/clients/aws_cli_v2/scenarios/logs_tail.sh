# logs tail, which only version 2 has: a function's log as it is written, and what was written before.
. "$(dirname "$0")/../../aws_cli/scenarios/shared/checks.sh"
name=cli2-function
group=/aws/lambda/$name
cat > trust.json <<'JSON'
{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
JSON
arn=$(aws iam create-role --role-name $name --assume-role-policy-document file://trust.json --query Role.Arn --output text)
aws iam attach-role-policy --role-name $name --policy-arn arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole
printf 'def lambda_handler(event, context):\n    print("asked for", event["url"])\n    return "done"\n' > lamdafunction.py
python3 -m zipfile -c function.zip lamdafunction.py
aws lambda create-function --function-name $name --runtime python3.12 --role "$arn" --handler lamdafunction.lambda_handler --zip-file fileb://function.zip --query State --output text
aws lambda wait function-active-v2 --function-name $name
invoke() {
  aws lambda invoke --function-name $name --cli-binary-format raw-in-base64-out --payload "{\"url\": \"$1\"}" answer.json --query StatusCode
}
same "$(invoke before)" 200
until_says "asked for before" bash -c "aws logs tail $group --since 1h --format short | grep -o 'asked for before' || true"
aws logs tail $group --follow --since 1s --format json > followed.txt &
tail=$!
same "$(invoke 'while somebody looks')" 200
until_says "asked for while somebody looks" bash -c "grep -o 'asked for while somebody looks' followed.txt || true"
kill $tail
wait $tail || true
lacks "$(aws logs tail $group --since 1h --filter-pattern before --format short)" looks
has "$(aws logs tail $group --since 1h)" "REPORT RequestId"
refused ResourceNotFoundException aws logs tail /aws/lambda/cli2-none
