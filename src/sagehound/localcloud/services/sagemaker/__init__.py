"""Amazon SageMaker: training, tuning, models, endpoint configurations and endpoints that really run on this machine.

Covered
- CreateTrainingJob, DescribeTrainingJob, ListTrainingJobs, StopTrainingJob, UpdateTrainingJob, DeleteTrainingJob: one
  and many hosts, instance groups, script mode and ContainerEntrypoint, `distribution` through torchrun; channels in
  File and FastFile mode from S3Prefix and ManifestFile, FullyReplicated and ShardedByS3Key; metrics, logs, artefacts
  (GZIP and NONE), checkpoints, MaxRuntimeInSeconds, requirements.txt, instance quotas.
- CreateHyperParameterTuningJob, DescribeHyperParameterTuningJob, ListHyperParameterTuningJobs,
  StopHyperParameterTuningJob, DeleteHyperParameterTuningJob, ListTrainingJobsForHyperParameterTuningJob: strategies
  Bayesian, Random, Grid and Hyperband, one definition and several, early stopping, completion criteria, warm starts,
  RandomSeed, RetryStrategy; a restart of the server goes on with the history that there is.
- CreateModel, DescribeModel, ListModels, DeleteModel: one container with a model.tar.gz.
- CreateEndpointConfig, DescribeEndpointConfig, ListEndpointConfigs, DeleteEndpointConfig; CreateEndpoint,
  DescribeEndpoint, ListEndpoints, UpdateEndpoint (blue-green), UpdateEndpointWeightsAndCapacities, DeleteEndpoint;
  variants as scalable targets (sagemaker:variant:DesiredInstanceCount); MetricsConfig with EnableEnhancedMetrics and
  MetricPublishFrequencyInSeconds; DataCaptureConfig; ServerlessConfig; AsyncInferenceConfig.
- CreateNotebookInstance, DescribeNotebookInstance, ListNotebookInstances, StartNotebookInstance, StopNotebookInstance,
  UpdateNotebookInstance, DeleteNotebookInstance, CreatePresignedNotebookInstanceUrl: JupyterLab as a process, its
  folder kept over stop and start. CreateNotebookInstanceLifecycleConfig, DescribeNotebookInstanceLifecycleConfig,
  ListNotebookInstanceLifecycleConfigs, UpdateNotebookInstanceLifecycleConfig, DeleteNotebookInstanceLifecycleConfig:
  scripts that really run.
- AddTags, ListTags, DeleteTags for every resource.
- The execution role decides what is done with it: s3:ListBucket and s3:GetObject for channels, code, checkpoints and
  model data, s3:PutObject for artefacts and checkpoints, logs:CreateLogGroup, logs:CreateLogStream and
  logs:PutLogEvents, cloudwatch:PutMetricData for the metrics of training. Every use is recorded, one for each kind of
  access. Its trust policy is asked with aws:SourceAccount and aws:SourceArn.

Not covered, and refused by name
- Of training jobs: Pipe mode, ShuffleConfig, RecordIO wrapping, EFS and FSx sources, algorithm resources,
  ServerlessJobConfig, MlflowConfig, ModelPackageConfig, checkpoints outside /opt/ml. AugmentedManifestFile needs Pipe
  mode, on AWS too.
- Of tuning jobs: Autotune and AutoParameters.
- Of hosting: inference pipelines, multi-model containers, uncompressed model data, inference components,
  ProvisionedConcurrency of serverless endpoints, notifications of asynchronous ones (Amazon SNS), RoutingStrategy
  RANDOM, canary and linear traffic shifting, detailed observability, instance counts of 0.
- Of notebook instances: subnets and security groups, KMS keys, accelerators, code repositories, RootAccess Disabled,
  DirectInternetAccess Disabled, dualstack addresses.

Accepted without effect, which a job's log or its description says
- VpcConfig, network isolation, traffic encryption; Debugger and profiler rules (stored, never evaluated); volume sizes;
  warm pools; spot interruptions (a spot job runs like any other); RetryStrategy of a training job that no tuning job
  has started; AllocationStrategy (of several InstanceConfigs the first is taken).

To know
- MemoryUtilization and DiskUtilization of endpoints are percentages of this machine, not of the instance type.
- A link into a notebook instance works once, where AWS's works for five minutes; the instance's programs are this
  machine's, its vCPUs, memory and volume size limit nothing, and it has no metadata service.
- Data capture keeps KmsKeyId and encrypts nothing. A file is delivered a minute after its first line, at 8 MB, when the
  configuration is replaced, and when the endpoint or the server ends; of a server that is killed at most the last
  second is lost. Only answers with 2xx are captured. More than 64 MB that wait to be written are not captured, and
  counted in the log.
- A container of a serverless endpoint ends after five minutes without a request: AWS does not publish its time. One
  that has more than MemorySizeInMB in memory is ended; its vCPUs are MemorySizeInMB / 1024.
  A container that ends is replaced; there are never more than MaxConcurrency.
- A request of an asynchronous endpoint that was being handled when the server ended is handled again. Without
  MaxConcurrentInvocationsPerInstance an instance gets four at a time. Ten thousand may wait, more are refused with
  ServiceUnavailable. It has one variant, and an input has at most 1 GiB.
- Permissions for the container image (ecr) are not asked for. A role that may not write its model is told before the
  training, where AWS tells it after. Logs and metrics are asked for when a stream or the first metric begins.
- CheckpointConfig of a tuning job is a folder for each training job: S3Uri/TRAINING-JOB-NAME.
- ConvergenceDetected follows a rule of our own, since AWS's is not published: twenty values, and the later half of them
  has not improved the best by more than 1 %. With definitions that minimize and such that maximize, the best training
  job, the criteria and their details go by the kind of the first definition.
- Inputs are read-only links to the objects' own bytes. A program that runs as root and writes over an input file in
  place changes the object; replacing the file (write another, rename it) is harmless, and so is every ordinary user.
"""
