# A model from a folder to an endpoint that follows its load: sagemaker, sagemaker-runtime, application-autoscaling, alarms.
. "$(dirname "$0")/shared/checks.sh"
bucket=sagemaker-cli-hosting
name=cli-dogs
cat > trust.json <<'JSON'
{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
JSON
arn=$(aws iam create-role --role-name cli-hosting --assume-role-policy-document file://trust.json --query Role.Arn --output text)
aws iam attach-role-policy --role-name cli-hosting --policy-arn arn:aws:iam::aws:policy/AmazonSageMakerFullAccess
aws s3 mb s3://$bucket
mkdir -p model/code
echo "Afghan hound" > model/name.txt
cat > model/code/inference.py <<'PYTHON'
import json
def model_fn(model_dir):
    return open(model_dir + "/name.txt").read().strip()
def transform_fn(model, data, content_type, accept):
    print(f"asked with {len(data)} bytes of {content_type}", flush=True)
    if content_type != "image/jpeg":
        raise ValueError("only pictures, please")
    return json.dumps({"breed": model, "bytes": len(data)}), accept
PYTHON
tar -czf model.tar.gz -C model .
aws s3 cp model.tar.gz s3://$bucket/
has "$(aws sagemaker create-model --model-name $name --execution-role-arn "$arn" --primary-container \
  Image=763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-inference:1.13.1-cpu-py39,ModelDataUrl=s3://$bucket/model.tar.gz,Environment={SAGEMAKER_PROGRAM=inference.py} \
  --query ModelArn --output text)" ":model/$name"
aws sagemaker create-endpoint-config --endpoint-config-name $name --production-variants \
  VariantName=AllTraffic,ModelName=$name,InitialInstanceCount=1,InstanceType=ml.m5.large,InitialVariantWeight=1
aws sagemaker create-endpoint --endpoint-name $name --endpoint-config-name $name
aws sagemaker wait endpoint-in-service --endpoint-name $name
same "$(aws sagemaker describe-endpoint --endpoint-name $name --query '[EndpointStatus, ProductionVariants[0].CurrentInstanceCount]' --output text)" "InService	1"

printf '\xff\xd8\xff picture' > dog.jpg
same "$(aws sagemaker-runtime invoke-endpoint --endpoint-name $name --content-type image/jpeg --accept application/json --body fileb://dog.jpg answer.json --query '[ContentType, InvokedProductionVariant]' --output text)" \
  "application/json	AllTraffic"
same "$(cat answer.json)" '{"breed": "Afghan hound", "bytes": 11}'
refused "An error occurred (ModelError) when calling the InvokeEndpoint operation" aws sagemaker-runtime invoke-endpoint --endpoint-name $name --content-type text/csv --body fileb://dog.jpg answer.json
refused "ValidationError" aws sagemaker-runtime invoke-endpoint --endpoint-name cli-none --body fileb://dog.jpg answer.json
until_says "asked with 11 bytes of image/jpeg" aws logs filter-log-events --log-group-name /aws/sagemaker/Endpoints/$name --filter-pattern '"asked with 11 bytes of image"' --query 'events[0].message' --output text

resource=(--service-namespace sagemaker --resource-id endpoint/$name/variant/AllTraffic --scalable-dimension sagemaker:variant:DesiredInstanceCount)
aws application-autoscaling register-scalable-target "${resource[@]}" --min-capacity 2 --max-capacity 3
cat > tracking.json <<'JSON'
{"TargetValue": 30, "ScaleInCooldown": 30, "ScaleOutCooldown": 30,
 "PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"}}
JSON
same "$(aws application-autoscaling put-scaling-policy "${resource[@]}" --policy-name dogs --policy-type TargetTrackingScaling --target-tracking-scaling-policy-configuration file://tracking.json --query 'length(Alarms)')" 2
same "$(aws application-autoscaling describe-scaling-policies --service-namespace sagemaker --query 'ScalingPolicies[].TargetTrackingScalingPolicyConfiguration.TargetValue' --output text)" 30.0
same "$(aws application-autoscaling describe-scalable-targets --service-namespace sagemaker --query 'ScalableTargets[0].[MinCapacity, MaxCapacity]' --output text)" "2	3"
until_says Successful aws application-autoscaling describe-scaling-activities --service-namespace sagemaker --query 'ScalingActivities[0].StatusCode' --output text
until_says "InService	2" aws sagemaker describe-endpoint --endpoint-name $name --query '[EndpointStatus, ProductionVariants[0].CurrentInstanceCount]' --output text
same "$(aws cloudwatch describe-alarms --alarm-name-prefix TargetTracking-endpoint/$name --query 'length(MetricAlarms)')" 2
aws application-autoscaling delete-scaling-policy "${resource[@]}" --policy-name dogs
aws application-autoscaling deregister-scalable-target "${resource[@]}"
same "$(aws cloudwatch describe-alarms --alarm-name-prefix TargetTracking-endpoint/$name --query 'length(MetricAlarms)')" 0

until_says 2.0 aws cloudwatch get-metric-statistics --namespace AWS/SageMaker --metric-name Invocations --dimensions Name=EndpointName,Value=$name Name=VariantName,Value=AllTraffic \
  --start-time "$(date -u -d '1 hour ago' +%FT%TZ)" --end-time "$(date -u -d '5 minutes' +%FT%TZ)" --period 86400 --statistics Sum --query 'sum(Datapoints[].Sum)'
aws sagemaker delete-endpoint --endpoint-name $name
aws sagemaker wait endpoint-deleted --endpoint-name $name
aws sagemaker delete-endpoint-config --endpoint-config-name $name
aws sagemaker delete-model --model-name $name
same "$(aws sagemaker list-endpoints --query 'Endpoints')" "[]"
