"""CloudWatch Logs: log groups, streams and events, kept in one SQLite table.

Covered
- groups: CreateLogGroup, DeleteLogGroup, DescribeLogGroups, PutLogGroupDeletionProtection,
  PutRetentionPolicy, DeleteRetentionPolicy (expired events go)
- streams: CreateLogStream, DeleteLogStream, DescribeLogStreams (by name or last event, prefix, paging)
- events: PutLogEvents (order, span, size, age), GetLogEvents (both directions, tokens that stay the same at the end),
  FilterLogEvents (terms, phrases, exclusion, ?alternatives, %regular expressions%, JSON conditions)
- tags: TagResource, UntagResource, ListTagsForResource, TagLogGroup, UntagLogGroup, ListTagsLogGroup

Not covered (answered by name as not implemented)
- space-delimited filter patterns `[a, b, ...]`
- metric filters, subscription filters, Insights queries, live tail, exports, data protection, deliveries
- encryption: a kmsKeyId is kept and shown, nothing is encrypted with it
"""
