"""Who the caller is, and whose key is whose."""

from __future__ import annotations

from sagehound.localcloud.call import Call, CredentialSource, Request, Response
from sagehound.localcloud.errors import AwsError


class Identity:
    """GetCallerIdentity and GetAccessKeyInfo."""

    def __init__(self, credentials: CredentialSource) -> None:
        self._credentials = credentials

    def GetCallerIdentity(self, call: Call, request: Request) -> Response:
        """ARN, unique id and account of whoever signed; needs no permission."""
        return {"UserId": call.caller.user_id, "Account": call.caller.account_id, "Arn": call.caller.arn}

    def GetAccessKeyInfo(self, call: Call, request: Request) -> Response:
        """The account of an access key."""
        found = self._credentials.find(request["AccessKeyId"])
        if found is None:
            raise AwsError("InvalidClientTokenId", "The security token included in the request is invalid.", 403)
        return {"Account": found.caller.account_id}
