"""Why a caller is not let in, in the words and with the status of the service that was called."""

from __future__ import annotations

from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.wire.route import EC2, QUERY, Route


def _is_s3(route: Route) -> bool:
    return route.service == "s3"


def _is_query(route: Route) -> bool:
    return route.protocol in (QUERY, EC2)


def missing_token(route: Route) -> AwsError:
    """Nobody signed the request."""
    if _is_s3(route):
        return AwsError("AccessDenied", "Access Denied", 403)
    if _is_query(route):
        return AwsError("MissingAuthenticationToken", "Request is missing Authentication Token", 403)
    return AwsError("MissingAuthenticationTokenException", "Missing Authentication Token", 403)


def unknown_key(route: Route, access_key_id: str) -> AwsError:
    """The access key id does not exist, or is inactive."""
    if _is_s3(route):
        message = "The AWS Access Key Id you provided does not exist in our records."
        return AwsError("InvalidAccessKeyId", message, 403, members={"AWSAccessKeyId": access_key_id})
    return _invalid_token(route)


def _invalid_token(route: Route) -> AwsError:
    message = "The security token included in the request is invalid."
    if _is_query(route):
        return AwsError("InvalidClientTokenId", message, 403)
    return AwsError("UnrecognizedClientException", message, 403 if _is_rest(route) else 400)


def wrong_session_token(route: Route) -> AwsError:
    """Temporary keys whose session token is missing or not theirs."""
    if _is_s3(route):
        return AwsError("InvalidToken", "The provided token is malformed or otherwise invalid.")
    return _invalid_token(route)


def expired_session(route: Route) -> AwsError:
    """Temporary keys after their expiration."""
    if _is_s3(route):
        return AwsError("ExpiredToken", "The provided token has expired.")
    message = "The security token included in the request is expired"
    if _is_query(route):
        return AwsError("ExpiredToken", message, 403)
    return AwsError("ExpiredTokenException", message, 403 if _is_rest(route) else 400)


def wrong_signature(route: Route, string_to_sign: str = "", access_key_id: str = "") -> AwsError:
    """The signature was made with another secret, or over another request."""
    if _is_s3(route):
        message = (
            "The request signature we calculated does not match the signature you provided. "
            "Check your key and signing method."
        )
        members = {"AWSAccessKeyId": access_key_id, "StringToSign": string_to_sign} if access_key_id else {}
        return AwsError("SignatureDoesNotMatch", message, 403, members=members)
    message = (
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access "
        "Key and signing method. Consult the service documentation for details."
    )
    if _is_query(route):
        return AwsError("SignatureDoesNotMatch", message, 403)
    return AwsError("InvalidSignatureException", message, 403 if _is_rest(route) else 400)


def skewed(route: Route, signed: str, server: str) -> AwsError:
    """The request was signed more than 15 minutes away from now."""
    if _is_s3(route):
        message = "The difference between the request time and the current time is too large."
        members = {"RequestTime": signed, "ServerTime": server, "MaxAllowedSkewMilliseconds": "900000"}
        return AwsError("RequestTimeTooSkewed", message, 403, members=members)
    relation = f"{signed} is now earlier than" if signed < server else f"{signed} is still later than"
    word = "expired" if signed < server else "not yet current"
    message = f"Signature {word}: {relation} {server} ({'-' if signed < server else '+'} 15 min.)"
    if _is_query(route):
        return AwsError("SignatureDoesNotMatch", message, 403)
    return AwsError("InvalidSignatureException", message, 403 if _is_rest(route) else 400)


def url_expired(route: Route, expires: str, server: str) -> AwsError:
    """A presigned URL after its time."""
    if _is_s3(route):
        return AwsError("AccessDenied", "Request has expired", 403, members={"Expires": expires, "ServerTime": server})
    return skewed(route, expires, server)


def two_signatures(authorization: str) -> AwsError:
    """S3 does not choose between a header and a query that both are signatures."""
    message = (
        "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter "
        "or the Authorization header should be specified"
    )
    members = {"ArgumentName": "Authorization", "ArgumentValue": authorization}
    return AwsError("InvalidArgument", message, members=members)


def malformed_authorization(route: Route, message: str) -> AwsError:
    """An Authorization header or query that is no SigV4, or names another service or region than it may."""
    if _is_s3(route):
        return AwsError("AuthorizationHeaderMalformed", f"The authorization header is malformed; {message}")
    if _is_query(route):
        return AwsError("IncompleteSignature", message)
    return AwsError("IncompleteSignatureException", message, 403 if _is_rest(route) else 400)


def wrong_scope(route: Route, message: str) -> AwsError:
    """A credential scope that names another service: signed for somebody else."""
    if _is_s3(route):
        return malformed_authorization(route, message)
    if _is_query(route):
        return AwsError("SignatureDoesNotMatch", message, 403)
    return AwsError("InvalidSignatureException", message, 403 if _is_rest(route) else 400)


def malformed_query(route: Route, message: str) -> AwsError:
    """Query parameters of a presigned URL that do not hang together."""
    if _is_s3(route):
        return AwsError("AuthorizationQueryParametersError", message)
    return malformed_authorization(route, message)


def _is_rest(route: Route) -> bool:
    return route.protocol == "rest-json"
