"""AWS Lambda: functions in Python that really run, under AWS's own runtime interface client.

Covered
- CreateFunction (a zip in the call or in S3; layers; Publish), GetFunction (Code.Location is an address that really
  downloads the package, for ten minutes), GetFunctionConfiguration, ListFunctions, UpdateFunctionCode (DryRun, Publish,
  RevisionId), UpdateFunctionConfiguration, DeleteFunction: names, partial ARNs and ARNs, qualifiers in them or beside.
- State and LastUpdateStatus: Pending and InProgress while a package is unpacked, then Active and Successful, or Failed
  with the reason; an update that fails leaves what was there serving.
- PublishVersion, ListVersionsByFunction; CreateAlias, GetAlias, ListAliases, UpdateAlias, DeleteAlias, with
  RoutingConfig; PublishLayerVersion, GetLayerVersion, GetLayerVersionByArn, ListLayers, ListLayerVersions,
  DeleteLayerVersion.
- AddPermission, RemovePermission, GetPolicy of functions, versions and aliases; TagResource, UntagResource, ListTags.
- PutFunctionConcurrency, GetFunctionConcurrency, DeleteFunctionConcurrency; GetAccountSettings.
- Invoke: RequestResponse, Event (202 once the event is stored), DryRun, LogType Tail, ClientContext, Qualifier;
  concurrency of the account, reserved and provisioned, with TooManyRequestsException and its Reason.
- PutProvisionedConcurrencyConfig, GetProvisionedConcurrencyConfig, ListProvisionedConcurrencyConfigs,
  DeleteProvisionedConcurrencyConfig: of versions, and of aliases, which the environments follow.
- PutFunctionEventInvokeConfig, UpdateFunctionEventInvokeConfig, GetFunctionEventInvokeConfig,
  ListFunctionEventInvokeConfigs, DeleteFunctionEventInvokeConfig: retries, age, functions and (for failures) buckets
  as destinations.
- CreateFunctionUrlConfig, GetFunctionUrlConfig, UpdateFunctionUrlConfig, ListFunctionUrlConfigs,
  DeleteFunctionUrlConfig: AuthType NONE and AWS_IAM, Cors, payload format 2.0.
- GetFunctionCodeSigningConfig, GetRuntimeManagementConfig, GetFunctionRecursionConfig, ListEventSourceMappings: as a
  function answers that has none of it.

Not covered, and refused by name
- Runtimes other than python3.x; PackageType Image, VpcConfig, DeadLetterConfig, FileSystemConfigs, SnapStart,
  KMSKeyArn, LogFormat JSON, code signing, capacity providers, durable executions; layers of other accounts and
  permissions of layers; event source mappings; S3ObjectStorageMode REFERENCE; InvokeAsync,
  InvokeWithResponseStream, InvokeMode RESPONSE_STREAM, TenantId; SQS, SNS, EventBridge and Kafka as destinations.

Accepted without effect
- TracingConfig and Architectures are kept: nothing is traced, and code runs on this machine's own architecture.

To know
- Runtime is kept as it is said; the Python that runs is the cloud's own.
- RecursiveLoop is Terminate for functions that are each other's destinations; calls that a handler makes itself are
  not followed.
- Packages are kept once by their digest and unpacked once; those that nothing names go at the next start.
- TotalCodeSize is counted and not limited.
"""
