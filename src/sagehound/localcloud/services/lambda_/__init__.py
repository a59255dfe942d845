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
- Invoke, provisioned concurrency, event invoke configs and function URLs: invocations.py puts them together.
- GetFunctionCodeSigningConfig, GetRuntimeManagementConfig, GetFunctionRecursionConfig, ListEventSourceMappings: as a
  function answers that has none of it.

Not covered, and refused by name
- Runtimes other than python3.x; PackageType Image, VpcConfig, DeadLetterConfig, FileSystemConfigs, SnapStart,
  KMSKeyArn, LogFormat JSON, code signing, capacity providers, durable executions; layers of other accounts and
  permissions of layers; event source mappings; S3ObjectStorageMode REFERENCE.

Accepted without effect
- TracingConfig and Architectures are kept: nothing is traced, and code runs on this machine's own architecture.

To know
- Runtime is kept as it is said; the Python that runs is the cloud's own.
- RecursiveLoop is Allow: loops of functions are not looked for.
- Packages are kept once by their digest and unpacked once; those that nothing names go at the next start.
- TotalCodeSize is counted and not limited.
"""
