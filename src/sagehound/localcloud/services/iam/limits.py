"""IAM's default quotas.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
"""

ACCESS_KEYS_PER_USER = 2
POLICIES_PER_PRINCIPAL = 10
VERSIONS_PER_POLICY = 5
TAGS_PER_RESOURCE = 50
MANAGED_POLICY_SIZE = 6144
TRUST_POLICY_SIZE = 2048
INLINE_SIZE = {"user": 2048, "role": 10240}
"""Characters of all inline policies of one principal together, without white space."""
USERS = 5000
ROLES = 1000
INSTANCE_PROFILES = 1000
POLICIES = 1500
