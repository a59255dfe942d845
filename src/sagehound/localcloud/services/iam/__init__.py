"""AWS Identity and Access Management: who exists, with which keys, and which policies are attached to whom.

Covered
- Users: create, get (the caller too), list, update, delete, tags, permissions boundary.
- Access keys: create (two a user), list, update (an inactive one is refused), last used, delete.
- Roles: create, get, list, update, trust policy, delete, tags, permissions boundary, last used.
- Inline policies of users and roles; customer managed policies with up to five versions; AWS's own managed policies.
- SimulatePrincipalPolicy, SimulateCustomPolicy and the context keys that policies use. Deciding itself: `policy/`.
- Instance profiles. Account summary and aliases. The grammar of policy documents, paging, quotas.

Not covered
- In simulations: service control policies, EvalDecisionDetails, the EC2 scenarios of ResourceHandlingOption.
- Groups, passwords, MFA devices, identity providers, certificates, service-linked roles.
- Quotas other than those named in `limits.py` can be exceeded.
"""
