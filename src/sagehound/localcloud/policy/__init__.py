"""The IAM policy engine: documents compiled once, decisions without I/O.

Covered
- Identity and resource policies, permissions boundaries, session policies, one account or two; denies anywhere.
- Every condition operator, IfExists, ForAllValues and ForAnyValue, Null; policy variables with defaults.
- Action, Resource, Principal and their Not forms; ARNs matched field by field.

Not covered
- Policies of an organization (SCPs and RCPs) and of VPC endpoints, which the local cloud does not have.
"""
