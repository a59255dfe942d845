"""Attacks on the running server, each a real request that must be refused and must leave nothing behind.

- test_forged_requests.py: a forged scope, a swapped service, no signature, a replay, a presigned URL's other method
- test_ended_sessions.py: an expired session, the session of a deleted role, a role that was made anew
- test_privileges.py: more rights through PassRole, a confused deputy, bucket policies with NotPrincipal
- test_neighbours.py: a function that reaches for the credentials of others and for the cloud's own data
- test_fetched_urls.py: an endpoint that is sent to the metadata service, to loopback and to a name that changes

More of the same, one layer below: tests/wire/test_signatures.py, tests/cloud/test_authentication.py,
tests/cloud/test_hostile_requests.py, tests/cloud/test_authorisation.py, tests/classifier/test_url_guard.py.
"""
