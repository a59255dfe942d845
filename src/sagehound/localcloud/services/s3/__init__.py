"""S3: buckets and objects on this machine's disk, as one account has them.

Covered:
- buckets: create, head, list, location, delete; policy and its status, Block Public Access, versioning, default
  encryption, lifecycle expiry (carried out hourly), CORS (preflights are answered), tags, ownership controls;
  ACLs as buckets with BucketOwnerEnforced have them; logging, notifications, acceleration, payer, website, replication
  and object lock are told to be absent.
- objects: put, get, head, copy, delete, delete many, attributes, tags; ranges, parts, conditions on reads, writes,
  copies and deletes; all ten checksum algorithms, CRC64NVME where none is given; versions and delete markers;
  lists v1, v2 and of versions; multipart uploads with every operation; presigned URLs; browsers' forms (PostObject).
- bucket policies decide, with IAM's policies, about every call; callers without a signature are let in where one says
  so and Block Public Access does not keep them out.
- keys of any spelling: `a`, `a/` and `a/b` are three objects.

Not covered, and refused by name:
- encryption of what is on the disk: ServerSideEncryption is told as asked and does nothing; customer keys (SSE-C) are
  refused.
- storage classes that archive, lifecycle transitions, restore; object lock, legal holds, MFA delete.
- ACLs that grant anybody anything; access points; directory buckets; Select; Inventory, Analytics, Metrics,
  Replication, Website, Logging and Notification configurations.
"""
