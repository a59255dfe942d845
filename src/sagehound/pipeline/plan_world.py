"""The world of a plan: what there would be if the calls so far had been made, answered as AWS would answer.

Everything goes well in it: jobs are completed and endpoints in service as soon as they are asked for. What nobody can
know before (a tuning's best values, a model's metrics) is left out, or a stand-in that the plan's notes name.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from sagehound.pipeline.instance_planned import PlannedInstances
from sagehound.pipeline.plan_calls import Call, Refusal
from sagehound.pipeline.plan_jobs import PlannedJobs

_Answer = dict[str, Any] | Refusal | None


class PlannedWorld:
    """Answers to writing calls, and to reading calls about what those would have made."""

    def __init__(self, region: str, partition: str, account_id: Callable[[], str]) -> None:
        self._region, self._partition, self._account_id = region, partition, account_id
        self._objects: dict[tuple[str, str], tuple[bytes | None, int]] = {}
        self._buckets: dict[str, dict[str, Any]] = {}
        self._made: dict[tuple[str, str], dict[str, Any]] = {}
        self._now = datetime.now(UTC)
        self._instances = PlannedInstances(self.arn, self._now, self._put_object)
        self._jobs = PlannedJobs(self.arn, self._now, self._put_object)

    def arn(self, service: str, rest: str) -> str:
        """An ARN as AWS would form it."""
        region = "" if service in ("iam", "s3") else self._region
        account = "" if service == "s3" else self._account_id()
        return f"arn:{self._partition}:{service}:{region}:{account}:{rest}"

    def answer(self, call: Call) -> dict[str, Any] | Refusal | None:
        """What the planned world knows; None for a read about what it did not make."""
        found: _Answer
        if call.service == "sagemaker" and (found := self._jobs.answer(call)) is not None:
            return found
        if (found := self._instances.answer(call)) is not None:
            return found
        method: Callable[[Any], _Answer] | None = getattr(
            self, f"_{call.service}_{call.operation}".replace("-", "_"), None
        )
        return method(call.params) if method is not None else None

    # --- S3

    def _put_object(self, bucket: str, key: str, body: bytes | None, size: int) -> None:
        self._objects[bucket, key] = body, size

    def _s3_CreateBucket(self, params: Any) -> _Answer:
        self._buckets[params["Bucket"]] = {}
        return {"Location": f"/{params['Bucket']}"}

    def _s3_HeadBucket(self, params: Any) -> _Answer:
        return {} if params["Bucket"] in self._buckets else None

    def _s3_PutBucketTagging(self, params: Any) -> _Answer:
        self._buckets.setdefault(params["Bucket"], {})["Tagging"] = params["Tagging"]
        return {}

    def _s3_GetBucketTagging(self, params: Any) -> _Answer:
        return self._buckets.get(params["Bucket"], {}).get("Tagging")

    def _s3_PutPublicAccessBlock(self, params: Any) -> _Answer:
        self._buckets.setdefault(params["Bucket"], {})["Block"] = params["PublicAccessBlockConfiguration"]
        return {}

    def _s3_GetPublicAccessBlock(self, params: Any) -> _Answer:
        block = self._buckets.get(params["Bucket"], {}).get("Block")
        return {"PublicAccessBlockConfiguration": block} if block else None

    def _s3_PutBucketEncryption(self, params: Any) -> _Answer:
        kept = params["ServerSideEncryptionConfiguration"]
        self._buckets.setdefault(params["Bucket"], {})["Encryption"] = kept
        return {}

    def _s3_GetBucketEncryption(self, params: Any) -> _Answer:
        kept = self._buckets.get(params["Bucket"], {}).get("Encryption")
        return {"ServerSideEncryptionConfiguration": kept} if kept else None

    def _s3_GetBucketPolicy(self, params: Any) -> _Answer:
        return Refusal("NoSuchBucketPolicy", "planned") if params["Bucket"] in self._buckets else None

    def _s3_GetBucketAcl(self, params: Any) -> _Answer:
        return {"Grants": []} if params["Bucket"] in self._buckets else None

    def _s3_PutObject(self, params: Any) -> _Answer:
        content = params.get("Body", b"")
        # Records are read again by later steps; pictures are not, and would fill the memory.
        kept = content if params.get("ContentType") == "application/json" else None
        self._put_object(params["Bucket"], params["Key"], kept, len(content))
        return {"ETag": f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'}

    def _s3_GetObject(self, params: Any) -> _Answer:
        from botocore.response import StreamingBody

        found = self._objects.get((params["Bucket"], params["Key"]))
        if found is None or found[0] is None:
            return None
        body = StreamingBody(io.BytesIO(found[0]), len(found[0]))
        return {"Body": body, "ContentLength": len(found[0]), "LastModified": self._now}

    def _s3_HeadObject(self, params: Any) -> _Answer:
        found = self._objects.get((params["Bucket"], params["Key"]))
        return None if found is None else {"ContentLength": found[1], "LastModified": self._now}

    def _s3_ListObjectsV2(self, params: Any) -> _Answer:
        bucket, prefix = params["Bucket"], params.get("Prefix", "")
        found = [
            {"Key": key, "Size": size, "ETag": '"planned"', "LastModified": self._now}
            for (place, key), (_, size) in sorted(self._objects.items())
            if place == bucket and key.startswith(prefix)
        ]
        if not found and bucket not in self._buckets:
            return None
        return {"Contents": found, "KeyCount": len(found), "IsTruncated": False, "Name": bucket, "Prefix": prefix}

    # --- IAM

    def _iam_SimulatePrincipalPolicy(self, params: Any) -> _Answer:
        # Whether a role may do something is asked of what it has, which here is only planned.
        return {"EvaluationResults": [], "IsTruncated": False}

    _iam_SimulateCustomPolicy = _iam_SimulatePrincipalPolicy

    def _iam_CreateRole(self, params: Any) -> _Answer:
        role = {
            "RoleName": params["RoleName"],
            "Path": "/",
            "RoleId": "AROAPLANNED",
            "Arn": self.arn("iam", f"role/{params['RoleName']}"),
            "CreateDate": self._now,
            "AssumeRolePolicyDocument": quote(params["AssumeRolePolicyDocument"]),
            "Tags": params.get("Tags", []),
        }
        self._made["role", params["RoleName"]] = role
        return {"Role": role}

    def _iam_GetRole(self, params: Any) -> _Answer:
        role = self._made.get(("role", params["RoleName"]))
        return {"Role": role} if role else None

    def _iam_PutRolePolicy(self, params: Any) -> _Answer:
        self._made["policy", f"{params['RoleName']}/{params['PolicyName']}"] = {
            "RoleName": params["RoleName"],
            "PolicyName": params["PolicyName"],
            "PolicyDocument": quote(params["PolicyDocument"]),
        }
        return {}

    def _iam_GetRolePolicy(self, params: Any) -> _Answer:
        return self._made.get(("policy", f"{params['RoleName']}/{params['PolicyName']}"))

    def _iam_ListRolePolicies(self, params: Any) -> _Answer:
        if ("role", params["RoleName"]) not in self._made:
            return None
        start = f"{params['RoleName']}/"
        names = [name.removeprefix(start) for kind, name in self._made if kind == "policy" and name.startswith(start)]
        return {"PolicyNames": names, "IsTruncated": False}

    def _iam_ListAttachedRolePolicies(self, params: Any) -> _Answer:
        return {"AttachedPolicies": [], "IsTruncated": False} if ("role", params["RoleName"]) in self._made else None

    # --- SageMaker Runtime and Lambda

    def _sagemaker_InvokeEndpoint(self, params: Any) -> _Answer:
        from botocore.response import StreamingBody

        body = json.dumps({"predictions": [{"label": "planned", "score": 1.0}]}).encode()
        return {"Body": StreamingBody(io.BytesIO(body), len(body)), "ContentType": "application/json"}

    def _lambda_CreateFunction(self, params: Any) -> _Answer:
        content = params["Code"].get("ZipFile", b"")
        name = params["FunctionName"]
        function = {
            **{member: value for member, value in params.items() if member not in ("Code", "Tags")},
            "FunctionArn": self.arn("lambda", f"function:{name}"),
            "CodeSha256": base64.b64encode(hashlib.sha256(content).digest()).decode(),
            "State": "Active",
            "LastUpdateStatus": "Successful",
            "Version": "$LATEST",
        }
        self._made["function", name] = function
        return function

    def _lambda_GetFunctionConfiguration(self, params: Any) -> _Answer:
        return self._made.get(("function", params["FunctionName"]))

    def _lambda_UpdateFunctionCode(self, params: Any) -> _Answer:
        return {"FunctionName": params["FunctionName"]}

    def _lambda_PublishVersion(self, params: Any) -> _Answer:
        return {"FunctionName": params["FunctionName"], "Version": "1"}

    def _lambda_CreateAlias(self, params: Any) -> _Answer:
        name, alias = params["FunctionName"], params["Name"]
        made = {**params, "AliasArn": self.arn("lambda", f"function:{name}:{alias}")}
        self._made["alias", f"{name}:{alias}"] = made
        return made

    def _lambda_UpdateAlias(self, params: Any) -> _Answer:
        return self._lambda_CreateAlias(params)

    def _lambda_GetAlias(self, params: Any) -> _Answer:
        return self._made.get(("alias", f"{params['FunctionName']}:{params['Name']}"))

    def _lambda_PutProvisionedConcurrencyConfig(self, params: Any) -> _Answer:
        count = params["ProvisionedConcurrentExecutions"]
        made = {
            "RequestedProvisionedConcurrentExecutions": count,
            "AvailableProvisionedConcurrentExecutions": count,
            "Status": "READY",
        }
        self._made["provisioned", f"{params['FunctionName']}:{params['Qualifier']}"] = made
        return made

    def _lambda_GetProvisionedConcurrencyConfig(self, params: Any) -> _Answer:
        found = self._made.get(("provisioned", f"{params['FunctionName']}:{params['Qualifier']}"))
        if found is None and ("alias", f"{params['FunctionName']}:{params['Qualifier']}") in self._made:
            return Refusal("ProvisionedConcurrencyConfigNotFoundException", "planned")
        return found

    def _lambda_Invoke(self, params: Any) -> _Answer:
        """An empty answer, or a denial where the planned role's policies no longer name the endpoint."""
        from botocore.response import StreamingBody

        role = self._made.get(("function", params["FunctionName"]), {}).get("Role", "").rpartition("/")[2]
        written = [one for (kind, name), one in self._made.items() if kind == "policy" and name.startswith(f"{role}/")]
        denied = role and not any("InvokeEndpoint" in one["PolicyDocument"] for one in written)
        told = {"statusCode": 502, "body": '{"error": "AccessDenied"}'} if denied else {"statusCode": 200, "body": "{}"}
        body = json.dumps(told).encode()
        return {"StatusCode": 200, "Payload": StreamingBody(io.BytesIO(body), len(body)), "ExecutedVersion": "1"}

    def _lambda_CreateFunctionUrlConfig(self, params: Any) -> _Answer:
        return {"AuthType": params["AuthType"], "FunctionUrl": "https://planned.lambda-url.on.aws/"}

    # --- Auto scaling

    def _application_autoscaling_RegisterScalableTarget(self, params: Any) -> _Answer:
        self._made["target", params["ResourceId"]] = {**params, "CreationTime": self._now}
        return {}

    def _application_autoscaling_DescribeScalableTargets(self, params: Any) -> _Answer:
        made = [self._made.get(("target", name)) for name in params.get("ResourceIds", [])]
        return {"ScalableTargets": made} if made and all(made) else None

    def _application_autoscaling_PutScalingPolicy(self, params: Any) -> _Answer:
        self._made["scaling", params["ResourceId"]] = {**params, "Alarms": [], "CreationTime": self._now}
        return {"PolicyARN": self.arn("autoscaling", f"scalingPolicy:planned:{params['PolicyName']}"), "Alarms": []}

    def _application_autoscaling_DescribeScalingPolicies(self, params: Any) -> _Answer:
        made = self._made.get(("scaling", params.get("ResourceId", "")))
        return {"ScalingPolicies": [made]} if made else None
