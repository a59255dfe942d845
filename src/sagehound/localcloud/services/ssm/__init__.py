"""Systems Manager: Parameter Store with AWS's public parameters of images, and Run Command on instances.

Covered
- parameters: PutParameter (String, StringList, SecureString; versions, tiers, patterns, hierarchies), GetParameter,
  GetParameters, GetParametersByPath, GetParameterHistory, DescribeParameters, DeleteParameter, DeleteParameters;
  `name:version` and ARNs as names; a SecureString is encrypted with a key of the data directory
- public parameters of images: /aws/service/deeplearning/ami, ami-amazon-linux-latest, canonical/ubuntu
- tags of parameters: AddTagsToResource, RemoveTagsFromResource, ListTagsForResource
- commands: SendCommand of AWS-RunShellScript (by instance, by tag; concurrency, error limit, timeouts, output in S3),
  GetCommandInvocation, ListCommands, ListCommandInvocations, CancelCommand
- instances: DescribeInstanceInformation (running ones whose role lets them be managed)

Not covered (answered by name as not implemented, or refused by name)
- labels and policies of parameters, keys of KMS other than alias/aws/ssm, sharing; {{ssm:...}} in commands
- other documents than AWS-RunShellScript, documents of one's own, associations, automation, sessions, patching
- notifications, alarms and CloudWatch Logs output of commands, resource groups as targets, managed nodes that are no
  EC2 instances
"""
