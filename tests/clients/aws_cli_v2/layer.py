"""The program of the aws CLI's version 2: no package of its own, but AWS's bundle lies in a package for its CDK."""

from __future__ import annotations

import io
import tarfile
import tempfile
import zipfile
from pathlib import Path


def put_on_path(python: Path) -> None:
    """Make `aws` a program beside the environment's python, from the bundle among its packages; once."""
    program = python.with_name("aws")
    if program.exists():
        return
    (package,) = python.parents[1].glob("lib/python*/site-packages/aws_cdk/asset_awscli_v2/_jsii/*.tgz")
    folder = Path(tempfile.mkdtemp(prefix="aws-cli-", dir=python.parents[1]))
    with tarfile.open(package) as packed:
        member = packed.extractfile("package/lib/layer.zip")
        assert member is not None
        with zipfile.ZipFile(io.BytesIO(member.read())) as layer:
            wanted = [name for name in layer.namelist() if "/dist/" in name and "/examples/" not in name]
            layer.extractall(folder, wanted)
    (aws,) = folder.glob("awscli/v2/*/dist/aws")
    aws.chmod(0o755)
    program.symlink_to(aws)
