"""AWS CloudTrail: the event history of the account, answered from the record that the gateway keeps of every call.

Covered
- LookupEvents with every LookupAttribute, StartTime and EndTime, pages, newest first; what an AWS service did with a
  role is there too, with its `invokedBy`
- what decided a call is in each CloudTrailEvent, as `additionalEventData.authorizations`

Different from AWS
- data events (S3 objects, InvokeEndpoint, Invoke) are in the history too; on AWS they need a trail
- an event is there as soon as its call was answered, and for as long as the record is kept: 64 to 128 MB, not 90 days
- `requestParameters` and `responseElements` are null: the record does not keep them

Not covered (answered by name as not implemented)
- trails, event data stores, channels, Insights
"""
