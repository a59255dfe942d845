"""The boto3 clients of a run: the only place that knows an endpoint address or reads keys.

The same steps run against AWS (the usual credential chain and the profile of the settings) and against the
local cloud, whose data directory holds its address (server.json) and its root keys (credentials).
"""

from __future__ import annotations

import configparser
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sagehound.errors import StepFailed
from sagehound.loopback import is_loopback
from sagehound.pipeline.aws_errors import aws_step
from sagehound.pipeline.place import LOCAL_CLOUD, Place, aws_in
from sagehound.settings import PipelineSettings

_UP = "Start it with `sagehound up --detach`, or use --target aws."


@dataclass(frozen=True)
class CloudClock:
    """How the clock of alarms, cooldowns and metrics runs: a local cloud's may be faster than the real one."""

    speed: float = 1.0
    epoch: float = 0.0
    """When it and the real clock said the same, in seconds since 1970."""

    @property
    def fast(self) -> bool:
        """Whether a second on this clock is not a second."""
        return self.speed != 1.0

    def __str__(self) -> str:
        return f"clock x{self.speed:g}"

    def sentence(self) -> str:
        """For screens that show a time: what the speed means there; empty where the clock is the real one."""
        if not self.fast:
            return ""
        return f"{self}: a minute of its alarms, metrics, limits and jobs' times is {60 / self.speed:.3g} s here"

    def sentence_for(self, moments: Iterable[datetime | None]) -> str:
        """As `sentence`, for times that the cloud has told; empty where all are from before this clock ran."""
        return self.sentence() if any(one and one.timestamp() >= self.epoch for one in moments) else ""

    def cloud_time(self, real: float) -> float:
        """What the cloud's clock says at a real time."""
        return real if self.speed == 1.0 else self.epoch + (real - self.epoch) * self.speed

    def real_time(self, cloud: float) -> float:
        """When the cloud's clock said so."""
        return cloud if self.speed == 1.0 else self.epoch + (cloud - self.epoch) / self.speed


class Clients:
    """One client per service, made when first asked for; each may be used from several threads.

    ``place`` says what is true where they lead; ``endpoint_url`` is None where botocore knows the addresses itself.
    """

    def __init__(
        self,
        session: Any,
        region: str,
        *,
        endpoint_url: str | None,
        place: Place,
        connections: int = 32,
        clock: CloudClock = CloudClock(),
    ) -> None:
        from botocore.config import Config

        self.region = region
        self.place = place
        self.clock = clock
        self.endpoint_url = endpoint_url
        self._session = session
        options: dict[str, Any] = {"retries": {"mode": "standard", "max_attempts": 5}}
        if endpoint_url is not None:
            # Loopback needs no proxy, and a bucket is part of the path where there is no wildcard DNS.
            options |= {"proxies": {}, "s3": {"addressing_style": "path"}}
        # An answer of the endpoint may take the 60 seconds that the container has, so wait a little longer.
        self._config = Config(max_pool_connections=connections, read_timeout=70, tcp_keepalive=True, **options)

    def client(self, service: str, **options: Any) -> Any:
        """A boto3 client of ``service``; ``options`` go to botocore's Config, over those that all clients have."""
        from botocore.config import Config

        config = self._config.merge(Config(**options)) if options else self._config
        return self._session.client(service, region_name=self.region, endpoint_url=self.endpoint_url, config=config)

    @property
    def credentials(self) -> Any:
        """The caller's keys as botocore keeps them fresh, for requests that are signed apart from its clients."""
        return self._session.get_credentials()

    def listen(self, handlers: Any) -> None:
        """Let `handlers.listen(events)` register with botocore: it hears what clients do that are made from now on."""
        handlers.listen(self._session.events)

    @cached_property
    def partition(self) -> str:
        """What ARNs of the region begin with after `arn:`: aws, aws-cn or aws-us-gov."""
        return str(self._session.get_partition_for_region(self.region))

    @property
    def own_host(self) -> str:
        """host:port where every service answers, an address that is not public; empty: each has a public one."""
        return urlsplit(self.endpoint_url).netloc if self.endpoint_url else ""

    def presigned(self, bucket: str, key: str, seconds: int) -> str:
        """An address that gives an object to whoever has it, for so long."""
        # Only the bucket's own host name answers in every region without leading elsewhere first.
        style = {} if self.own_host else {"s3": {"addressing_style": "virtual"}}
        signer = self.client("s3", signature_version="s3v4", **style)
        return str(signer.generate_presigned_url("get_object", {"Bucket": bucket, "Key": key}, ExpiresIn=seconds))

    @cached_property
    def s3(self) -> Any:
        """Amazon S3."""
        return self.client("s3")

    @cached_property
    def iam(self) -> Any:
        """IAM."""
        return self.client("iam")

    @cached_property
    def sagemaker(self) -> Any:
        """SageMaker's control plane."""
        return self.client("sagemaker")

    @cached_property
    def runtime(self) -> Any:
        """SageMaker Runtime, which answers for endpoints."""
        return self.client("sagemaker-runtime")

    @cached_property
    def lambda_(self) -> Any:
        """Lambda."""
        return self.client("lambda")

    @cached_property
    def autoscaling(self) -> Any:
        """Application Auto Scaling."""
        return self.client("application-autoscaling")

    @cached_property
    def cloudwatch(self) -> Any:
        """CloudWatch: metrics and alarms."""
        return self.client("cloudwatch")

    @cached_property
    def logs(self) -> Any:
        """CloudWatch Logs."""
        return self.client("logs")

    @cached_property
    def ec2(self) -> Any:
        """EC2: instances, images, security groups."""
        return self.client("ec2")

    @cached_property
    def ssm(self) -> Any:
        """Systems Manager, whose public parameters name the latest images."""
        return self.client("ssm")

    @cached_property
    def quotas(self) -> Any:
        """Service Quotas."""
        return self.client("service-quotas")

    @cached_property
    def cloudtrails(self) -> list[Any]:
        """CloudTrail, whose event history says what was called: here, and where AWS keeps the calls of IAM."""
        regions = dict.fromkeys((self.region, "us-east-1"))
        return [
            self._session.client("cloudtrail", region_name=one, endpoint_url=self.endpoint_url, config=self._config)
            for one in regions
        ]

    @cached_property
    def account_id(self) -> str:
        """The caller's account, from GetCallerIdentity; raises StepFailed where the keys are not accepted."""
        with aws_step("connect"):
            return str(self.client("sts").get_caller_identity()["Account"])


def connect_aws(settings: PipelineSettings, endpoint_url: str | None = None) -> Clients:
    """Clients for AWS itself, or the local cloud at ``endpoint_url``, with the keys of the usual chain.

    Raises StepFailed where the profile or the credentials are missing.
    """
    import boto3
    import botocore.exceptions

    try:
        session = boto3.Session(profile_name=settings.profile or None, region_name=settings.region)
    except botocore.exceptions.ProfileNotFound as error:
        raise StepFailed("connect", str(error), "Set `profile` in pipeline.toml, or run `aws configure`.") from error
    if session.get_credentials() is None:
        raise StepFailed("connect", "no AWS credentials were found", "Run `aws configure`, or use --target local.")
    if endpoint_url is None:
        _refuse_loopback(session.client("sts").meta.endpoint_url)
    place = aws_in(settings.region) if endpoint_url is None else LOCAL_CLOUD
    return Clients(
        session, settings.region, endpoint_url=endpoint_url, place=place, connections=settings.upload_workers + 4
    )


def _refuse_loopback(address: str) -> None:
    """AWS is not on this machine: an environment that leads there was made for a local cloud."""
    if is_loopback(urlsplit(address).hostname or ""):
        raise StepFailed(
            "connect",
            f"AWS_ENDPOINT_URL (or the profile's endpoint_url) leads to {address}, which is not AWS",
            "Say `unset AWS_ENDPOINT_URL` for AWS, or use --target local.",
        )


def connect_local(data_dir: Path, region: str, workers: int = 16) -> Clients:
    """Clients for the local cloud that serves ``data_dir``; raises StepFailed where none has ever started."""
    server, credentials = data_dir / "server.json", data_dir / "credentials"
    try:
        facts = json.loads(server.read_text())
    except FileNotFoundError as error:
        raise StepFailed("connect", f"no local cloud is running on {data_dir}", _UP) from error
    access_key, secret_key = read_credentials(credentials)
    clock = CloudClock(float(facts.get("speed", 1.0)), float(facts.get("clock_epoch", 0.0)))
    return connect_endpoint(str(facts["endpoint_url"]), access_key, secret_key, region, workers, clock)


def connect_endpoint(
    endpoint_url: str,
    access_key: str,
    secret_key: str,
    region: str,
    workers: int = 16,
    clock: CloudClock = CloudClock(),
) -> Clients:
    """Clients for a local cloud at an address, with these keys."""
    import boto3

    session = boto3.Session(aws_access_key_id=access_key, aws_secret_access_key=secret_key, region_name=region)
    return Clients(session, region, endpoint_url=endpoint_url, place=LOCAL_CLOUD, connections=workers + 4, clock=clock)


def read_credentials(path: Path) -> tuple[str, str]:
    """Access key and secret key of the [default] profile of a shared-credentials file."""
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(path.read_text())
        return parser["default"]["aws_access_key_id"], parser["default"]["aws_secret_access_key"]
    except (OSError, configparser.Error, KeyError) as error:
        raise StepFailed("connect", f"the root keys cannot be read from {path}: {error}", _UP) from error
