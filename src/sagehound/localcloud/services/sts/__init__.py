"""AWS Security Token Service: who am I, and temporary keys.

Covered
- GetCallerIdentity, AssumeRole, GetSessionToken, GetAccessKeyInfo.
- The trust policy decides who may assume a role, and the caller's own policies where it names the account; every
  condition (sts:ExternalId, sts:RoleSessionName, aws:PrincipalTag, aws:SourceIp, sts:SourceIdentity and the rest).
- Durations against the role's maximum and against chaining; session tags, source identity and session
  policies count in every decision about the session.
- Sessions survive a restart of the server, and end when AWS's would: at their time, or with their user or role.

Not covered
- The root user may assume a role whose trust policy names the account; AWS refuses root. A fresh local cloud has no
  other caller.
- Federation (SAML, web identity, GetFederationToken), MFA, DecodeAuthorizationMessage.
"""
