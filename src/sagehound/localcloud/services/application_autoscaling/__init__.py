"""Application Auto Scaling: instances of endpoint variants and provisioned concurrency that follow their load.

Covered
- scalable targets sagemaker:variant:DesiredInstanceCount and lambda:function:ProvisionedConcurrency: register, update,
  deregister, describe, suspended states, tags; a capacity outside of the bounds is changed at once
- scaling policies: TargetTrackingScaling with predefined metrics (SageMakerVariantInvocationsPerInstance,
  SageMakerVariantConcurrentRequestsPerModelHighResolution, LambdaProvisionedConcurrencyUtilization) or a customized
  metric (metric math included), StepScaling of endpoint variants; target tracking makes and deletes its alarms
- scaling activities of the last six weeks, with those that did not scale and why
- scheduled actions: at(), rate(), cron() with time zones, on the clock of the cloud

Not covered (refused by name)
- other namespaces and dimensions (serverless and inference components of SageMaker among them)
- PredictiveScaling and GetPredictiveScalingForecast
- the service-linked roles are named in RoleARN; IAM does not list them
"""
