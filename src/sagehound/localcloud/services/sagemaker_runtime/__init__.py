"""Amazon SageMaker Runtime: the invocations of endpoints.

Covered
- InvokeEndpoint: variants by weight or by TargetVariant, CustomAttributes both ways, InferenceId, Accept; ModelError
  with the container's own status and message; the body limit of the settings.
- InvokeEndpointAsync: InputLocation or Body, CustomAttributes, InferenceId, Accept, S3OutputPathExtension, Filename,
  RequestTTLSeconds, InvocationTimeoutSeconds.

Not covered, and refused by name
- InvokeEndpointWithResponseStream; TargetModel, TargetContainerHostname, InferenceComponentName,
  EnableExplanations, SessionId, PrefixAwareId.
"""
