"""Wires the services: makes each one and passes it the providers that its needs.py asks for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sagehound.localcloud import credentials
from sagehound.localcloud.authorization.application_autoscaling import AutoScalingChecks
from sagehound.localcloud.authorization.authoriser import Authoriser
from sagehound.localcloud.authorization.ec2 import Ec2Checks
from sagehound.localcloud.call import Service
from sagehound.localcloud.gateway import Gateway
from sagehound.localcloud.instances.engine import Instances
from sagehound.localcloud.interception.absent_services import AbsentServices
from sagehound.localcloud.interception.credentials_front import CredentialsFront
from sagehound.localcloud.interception.real_host import RealHost
from sagehound.localcloud.interception.weights import WeightsFront
from sagehound.localcloud.listeners import Listeners
from sagehound.localcloud.processes.local import LocalSupervisor
from sagehound.localcloud.processes.networks import Networks
from sagehound.localcloud.recorder import Recorder
from sagehound.localcloud.services.application_autoscaling.service import ApplicationAutoScaling
from sagehound.localcloud.services.cloudtrail.service import CloudTrail
from sagehound.localcloud.services.cloudwatch.service import CloudWatch
from sagehound.localcloud.services.ec2.service import EC2
from sagehound.localcloud.services.iam.service import IAM
from sagehound.localcloud.services.lambda_.invocations import Surroundings
from sagehound.localcloud.services.lambda_.service import Lambda
from sagehound.localcloud.services.logs.service import Logs
from sagehound.localcloud.services.s3.service import S3
from sagehound.localcloud.services.sagemaker.service import SageMaker
from sagehound.localcloud.services.sagemaker_runtime.service import SageMakerRuntime
from sagehound.localcloud.services.ssm.service import SSM
from sagehound.localcloud.services.sts.service import STS
from sagehound.localcloud.state.clock import Clock
from sagehound.localcloud.state.store import Store
from sagehound.settings import LocalCloudSettings


class Cloud:
    """All services over one data directory. `start` recovers what was running, `stop` leaves training jobs to it."""

    def __init__(self, settings: LocalCloudSettings, data_dir: Path, endpoint_url: Callable[[], str]) -> None:
        account_id, region = settings.account_id, settings.region
        self.root = credentials.load_or_make(data_dir / "credentials", account_id, region)
        self.store = Store(data_dir / "cloud.sqlite", durable=settings.durable)
        self.clock = Clock(settings.speed)
        self.recorder = Recorder(data_dir / "calls.jsonl")
        self.listeners = Listeners()
        self._networks = Networks(endpoint_url, self.listeners)
        supervisor = LocalSupervisor(networks=self._networks)
        iam = IAM(self.store, self.clock, account_id, self.root)
        sts = STS(self.store, self.clock, account_id, iam, region)
        self.authoriser = Authoriser(iam.effective, self.clock, account_id, self.recorder)
        s3 = S3(self.store, self.clock, account_id, data_dir, credentials=sts.credentials, authority=self.authoriser)
        logs = Logs(self.store, self.clock, account_id)
        cloudwatch = CloudWatch(self.store, self.clock, account_id)
        sagemaker = SageMaker(
            self.store,
            self.clock,
            account_id,
            data_dir,
            settings,
            endpoint_url=endpoint_url,
            supervisor=supervisor,
            objects=s3,
            logs=logs,
            metrics=cloudwatch,
            counter=cloudwatch.aggregator,
            roles=iam,
            sessions=sts,
            access=self.authoriser,
            is_target=lambda region, resource_id: autoscaling.is_target(region, resource_id),
        )
        runtime = SageMakerRuntime(sagemaker.router, settings.max_invocation_bytes)
        functions = Lambda(
            self.store,
            self.clock,
            account_id,
            data_dir,
            settings,
            endpoint_url=endpoint_url,
            objects=s3,
            roles=iam,
            around=Surroundings(
                counter=cloudwatch.aggregator,
                logs=logs,
                objects=s3,
                sessions=sts,
                authoriser=self.authoriser,
                credentials=sts.credentials,
            ),
        )
        ec2 = EC2(
            self.store,
            self.clock,
            account_id,
            data_dir,
            settings,
            endpoint_url=endpoint_url,
            engine=Instances(data_dir, supervisor),
            entities=iam.effective,
            roles=iam,
            sessions=sts,
            parameters=lambda region, name: ssm.value(region, name),
        )
        ssm = SSM(
            self.store,
            self.clock,
            account_id,
            data_dir,
            endpoint_url=endpoint_url,
            machines=ec2.commands,
            public_parameters=ec2.public_parameters,
            roles=iam,
            access=self.authoriser,
            objects=s3,
        )
        cloudtrail = CloudTrail(self.recorder.path, account_id)
        autoscaling = ApplicationAutoScaling(
            self.store,
            self.clock,
            account_id,
            scalables={
                "sagemaker:variant:DesiredInstanceCount": sagemaker.scaling,
                "lambda:function:ProvisionedConcurrency": functions.scaling,
            },
            alarms=cloudwatch.alarms,
        )
        self.services: dict[str, Service] = {
            service.name: service
            for service in (
                iam,
                sts,
                s3,
                logs,
                cloudwatch,
                cloudtrail,
                sagemaker,
                runtime,
                functions,
                autoscaling,
                ec2,
                ssm,
            )
        }
        self._alarms = cloudwatch.alarms
        container_credentials = CredentialsFront(
            self.root.secret_access_key, iam, sts, self.clock, settings.session_seconds
        )
        weights = WeightsFront(data_dir, RealHost() if settings.other_hosts == "pass" else None)
        self.authoriser.add_rule("application-autoscaling", AutoScalingChecks(autoscaling.tags))
        self.authoriser.add_rule("ec2", Ec2Checks(iam.effective, account_id, ec2.named))
        self.authoriser.add_resource_policies("s3", s3, restricts_public=s3.restricts_public)
        self.authoriser.add_resource_policies("sts", iam.effective)
        self.authoriser.add_resource_policies("lambda", functions)
        self.authoriser.add_resource_tags("lambda", functions)
        self.authoriser.add_resource_tags("application-autoscaling", autoscaling.tags)
        self.authoriser.add_resource_tags("ec2", ec2)
        self.authoriser.add_resource_tags("ssm", ssm)
        self.authoriser.add_resource_tags("s3", s3)
        self.authoriser.add_resource_tags("sagemaker", sagemaker.tags)
        self.authoriser.add_resource_tags("logs", logs)
        self.authoriser.add_resource_tags("cloudwatch", cloudwatch.alarms)
        self.gateway = Gateway(
            self.services,
            sts.credentials,
            self.clock,
            account_id,
            self.recorder,
            self.authoriser,
            fronts=(
                functions.locations,
                functions.invocations.url_front,
                container_credentials,
                weights,
                AbsentServices(),
            ),
        )

    async def start(self) -> None:
        """Bring every service to where it was; in the order of the list, since later ones use earlier ones. Alarms act
        on services of every kind, so they come last."""
        self._networks.prepare()
        for service in self.services.values():
            if hasattr(service, "start"):
                await service.start()
        await self._alarms.start()

    async def stop(self) -> None:
        """End loops and model servers and close the store; training jobs go on and are adopted next time."""
        await self._alarms.stop()
        for service in reversed(self.services.values()):
            if hasattr(service, "stop"):
                await service.stop()
        await self._networks.close()
        self.recorder.close()
        self.store.close()
