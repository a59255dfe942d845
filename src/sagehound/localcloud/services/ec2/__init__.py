"""Amazon EC2: instances that really run, as processes of this machine in a root of their own.

Covered
- RunInstances (ImageId as an id or as `resolve:ssm:PARAMETER`, MinCount and MaxCount, ClientToken, DryRun,
  TagSpecifications, UserData, IamInstanceProfile, KeyName, security groups by id or name, SubnetId or one network
  interface, the root volume's size and type, InstanceInitiatedShutdownBehavior, MetadataOptions, CreditSpecification,
  DisableApiTermination, DisableApiStop).
- DescribeInstances, DescribeInstanceStatus, StartInstances, StopInstances (Force), RebootInstances, TerminateInstances,
  GetConsoleOutput; terminated instances are told of for an hour.
- DescribeInstanceAttribute, ModifyInstanceAttribute, ModifyInstanceMetadataOptions,
  DescribeInstanceCreditSpecifications.
- AssociateIamInstanceProfile, DisassociateIamInstanceProfile, ReplaceIamInstanceProfileAssociation,
  DescribeIamInstanceProfileAssociations.
- CreateKeyPair (RSA, ED25519), ImportKeyPair, DescribeKeyPairs, DeleteKeyPair.
- CreateSecurityGroup, DescribeSecurityGroups, DeleteSecurityGroup, AuthorizeSecurityGroupIngress and -Egress,
  RevokeSecurityGroupIngress and -Egress, DescribeSecurityGroupRules.
- DescribeVpcs, DescribeSubnets, DescribeInternetGateways, DescribeRouteTables, DescribeDhcpOptions: of the default
  network.
- DescribeImages, DescribeInstanceTypes, DescribeInstanceTypeOfferings, DescribeRegions, DescribeAvailabilityZones.
- DescribeVolumes (root volumes), DescribeNetworkInterfaces; CreateTags, DeleteTags, DescribeTags.
- Quotas of settings under the names that Service Quotas has: "Running On-Demand P instances" counts vCPUs.

Not covered, and refused by name
- Spot instances, launch templates, placement groups, dedicated hosts, capacity reservations, hibernation, enclaves,
  detailed monitoring, CpuOptions, IPv6, public and secondary addresses, more than one network interface; networks
  beside the default one; volumes beside the root volume, snapshots, encrypted volumes, volumes that outlive their
  instance; images of one's own; keys in PuTTY's format.

Accepted without effect
- Security groups are kept, checked and told of; no packet is filtered. CreditSpecification, EbsOptimized,
  SourceDestCheck, MaintenanceOptions, CapacityReservationPreference and the kind, size and performance of the root
  volume are kept.

To know
- Every image has this machine's programs, whatever its name; image ids are this cloud's own, the same on every
  machine, and not AWS's.
- The addresses of instances are those of the default subnets on paper: programs of all instances share this machine's
  network, and PublicIpAddress is never there.
- GetConsoleOutput always gives what the console has now, and as its Timestamp when that was written last; Latest is
  refused for types that are not on Nitro, as on AWS.
"""
