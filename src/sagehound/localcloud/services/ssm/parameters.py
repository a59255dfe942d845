"""PutParameter, DeleteParameter, DeleteParameters."""

from __future__ import annotations

from typing import Any

from sagehound.localcloud.call import Call, Request, Response
from sagehound.localcloud.errors import AwsError, validation
from sagehound.localcloud.services.ssm import allowed_pattern, errors, names, tags
from sagehound.localcloud.services.ssm.cipher import KEY_ID, Cipher
from sagehound.localcloud.services.ssm.parameter_table import ParameterTable
from sagehound.localcloud.state.clock import Clock

Record = dict[str, Any]
STANDARD, ADVANCED, INTELLIGENT = "Standard", "Advanced", "Intelligent-Tiering"
SECURE = "SecureString"
_LARGEST = {STANDARD: 4096, ADVANCED: 8192}
_MOST = {STANDARD: 10_000, ADVANCED: 100_000}
_DATA_TYPES = ("text", "aws:ec2:image")
_KEPT = ("Type", "Description", "AllowedPattern", "KeyId", "DataType")
"""What a new version has from the one before unless the request says otherwise."""
_TIERS_PAGE = "https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html"


class Parameters:
    """What changes parameters."""

    def __init__(self, table: ParameterTable, clock: Clock, cipher: Cipher) -> None:
        self._table = table
        self._clock = clock
        self._cipher = cipher

    async def PutParameter(self, call: Call, request: Request) -> Response:
        """Create a parameter, or with Overwrite a new version of it."""
        region, name = call.region, request["Name"]
        arn = call.resource = self._table.arn(region, name)
        _check_request(request)
        names.check_new(name, arn)
        checked: str | None = None
        while True:  # the pattern of a parameter may change while one is tried
            latest = self._table.find(region, name)
            pattern = request.get("AllowedPattern", (latest or {}).get("AllowedPattern"))
            if not pattern or pattern == checked:
                break
            await allowed_pattern.check(pattern, _items(request, latest))
            checked = pattern
        record = self._version(region, name, arn, request, latest)
        record["LastModifiedUser"] = call.caller.arn
        with self._table.store.transaction():
            self._table.put(region, record)
        return {"Version": record["Version"], "Tier": record["Tier"]}

    def DeleteParameter(self, call: Call, request: Request) -> Response:
        """Remove a parameter with its versions."""
        name = request["Name"]  # as in DeleteParameters no ARN, and nothing that names one version only
        call.resource = self._table.arn(call.region, name)
        if not self._table.delete(call.region, name):
            raise errors.parameter_not_found(name)
        return {}

    def DeleteParameters(self, call: Call, request: Request) -> Response:
        """Remove up to ten; the answer says which were not there."""
        gone: list[str] = []
        missing: list[str] = []
        for name in dict.fromkeys(request["Names"]):
            (gone if self._table.delete(call.region, name) else missing).append(name)
        return {"DeletedParameters": gone, "InvalidParameters": missing}

    def _version(self, region: str, name: str, arn: str, request: Request, latest: Record | None) -> Record:
        """The record of the version that the request makes."""
        if latest is not None and not request.get("Overwrite"):
            raise errors.already_exists()
        if latest is None and names.twin(name) != name and self._table.find(region, names.twin(name)) is not None:
            raise errors.already_exists()  # policies could not tell the two apart
        kept = {member: latest[member] for member in _KEPT if member in latest} if latest else {}
        given = {member: request[member] for member in _KEPT if member in request}
        record: Record = {"DataType": "text", **kept, **given, "Name": name}
        _check_type(record, given, kept)
        value = request["Value"]
        if record["Type"] == SECURE:
            record.setdefault("KeyId", KEY_ID)
            value = self._cipher.encrypt(value, arn)
        return {
            **record,
            "Value": value,
            "Version": latest["Version"] + 1 if latest else 1,
            "Tier": self._tier(region, request, latest),
            "LastModifiedDate": self._clock.now(),
            "Tags": latest["Tags"] if latest else tags.checked(request.get("Tags", [])),
        }

    def _tier(self, region: str, request: Request, latest: Record | None) -> str:
        """The tier of the new version: the one that is asked for, or the least that does (Intelligent-Tiering)."""
        before: str = latest["Tier"] if latest else STANDARD
        tier: str = request.get("Tier", before)
        size = len(request["Value"])
        is_full = latest is None and self._table.count(region, STANDARD) >= _MOST[STANDARD]
        if tier == INTELLIGENT:
            tier = ADVANCED if before == ADVANCED or size > _LARGEST[STANDARD] or is_full else STANDARD
        if tier == STANDARD and before == ADVANCED:
            raise validation(
                "This parameter uses the advanced-parameter tier. You can't downgrade a parameter from the "
                "advanced-parameter tier to the standard-parameter tier. If necessary, you can delete the advanced "
                f"parameter and recreate it as a standard parameter. For more information, see {_TIERS_PAGE}"
            )
        if size > _LARGEST[tier]:
            upgrade = "To create a larger parameter value, upgrade the parameter to use the advanced-parameter tier. "
            raise validation(
                f"{tier} tier parameters support a maximum parameter value of {_LARGEST[tier]} characters. "
                f"{upgrade if tier == STANDARD else ''}For more information, see {_TIERS_PAGE}"
            )
        if latest is None and self._table.count(region, tier) >= _MOST[tier]:
            message = f"You have exceeded the number of parameters for this AWS account: {_MOST[tier]} {tier}."
            raise AwsError("ParameterLimitExceeded", message)
        return tier


def _check_request(request: Request) -> None:
    """What can be said without looking at what is there."""
    if ":" in request["Name"]:
        raise validation("Parameter name: no ARN, and no colon with a version, which PutParameter makes itself.")
    if not request["Value"]:
        raise errors.constraint("", "value", "Member must have length greater than or equal to 1.")
    if "{{" in request["Value"]:
        shown = request["Value"] if request.get("Type") != SECURE else "*"
        raise validation('Parameter value can\'t nest another parameter. Do not use "{{}}" in the value: ' + shown)
    if request.get("Overwrite") and request.get("Tags"):
        raise validation(
            "Invalid request: tags and overwrite can't be used together. To create a parameter with tags, please "
            "remove overwrite flag. To update tags for an existing parameter, please use AddTagsToResource or "
            "RemoveTagsFromResource."
        )
    data_type = request.get("DataType", "text")
    if data_type not in _DATA_TYPES:
        message = f"The following data type is not supported: {data_type} (Data type names are all lowercase.)"
        raise validation(message)
    if request.get("Policies"):
        raise AwsError("InvalidPolicyTypeException", "The local cloud has no policies of parameters: leave them out.")


def _check_type(record: Record, given: Record, kept: Record) -> None:
    if "Type" not in record:
        raise validation("A parameter type is required when you create a parameter.")
    if given.get("Type", record["Type"]) != kept.get("Type", record["Type"]):
        raise AwsError(
            "HierarchyTypeMismatchException",
            "Parameter Store doesn't support changing a parameter type in a hierarchy. For example, you can't change a "
            "parameter from a String type to a SecureString type. You must create a new, unique parameter.",
        )
    if "KeyId" in given and record["Type"] != SECURE:
        raise validation("A KeyId is for parameters of type SecureString only.")
    if given.get("KeyId", KEY_ID) != KEY_ID:
        raise AwsError("InvalidKeyId", f"The key {given['KeyId']} does not exist: the local cloud has {KEY_ID} only.")


def _items(request: Request, latest: Record | None) -> list[str]:
    """What the pattern is about: each item of a StringList."""
    kind = request.get("Type") or (latest or {}).get("Type")
    return str(request["Value"]).split(",") if kind == "StringList" else [request["Value"]]
