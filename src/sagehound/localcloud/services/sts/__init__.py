"""AWS Security Token Service: who am I, and temporary keys.

Covered
- GetCallerIdentity, AssumeRole, GetSessionToken, GetAccessKeyInfo.
- The trust policy decides who may assume a role: account, user, role or session, with conditions on strings, ARNs and
  booleans (sts:ExternalId, sts:RoleSessionName, aws:PrincipalArn, aws:PrincipalAccount, sts:SourceIdentity).
- Durations against the role's maximum and against chaining; session tags, source identity and session
  policies are kept.
- Sessions survive a restart of the server, and end when AWS's would.

Not covered
- The caller's own permission to call sts:AssumeRole is not evaluated, nor are session policies.
- The root user may assume a role whose trust policy names the account; AWS refuses root. A fresh local cloud has no
  other caller.
- Federation (SAML, web identity, GetFederationToken), MFA, DecodeAuthorizationMessage.
"""
