"""Microseconds a decision of the policy engine, beside those of the npm package @cloud-copilot/iam-simulate.

Two loads: a training job's role with AmazonSageMakerFullAccess and the least policy that works, asked what such a job
asks; and the generated cases of tests/policy, of which every one brings policies of its own. Both engines answer the
same questions in blocks in turn. Documents are compiled before, and validated before for the package, which has no
more to do beforehand. Times are CPU time: on a busy machine they differ less than the clock's.

Run from the project's folder: `python -m benchmarks.iam_decision [--blocks 15] [--cases 500]`. The peer needs node and
`make oracle`; without them our own figures are printed alone.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sagehound.localcloud.policy.decision import Decision, Policies, Query, decide
from sagehound.localcloud.policy.document import compile_policy
from sagehound.localcloud.policy.principals import from_arn
from sagehound.localcloud.services.iam import aws_policies
from tests.policy.cases import ACCOUNT, ROLE, SESSION, Case, make
from tests.policy.test_oracle import FOLDER, PACKAGE, excluded, simulation

FULL_ACCESS = "arn:aws:iam::aws:policy/AmazonSageMakerFullAccess"
LEAST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": "sagemaker:InvokeEndpoint",
            "Resource": f"arn:aws:sagemaker:*:{ACCOUNT}:endpoint/d*",
        },
        {
            "Effect": "Allow",
            "Action": ["s3:GetObject", "s3:PutObject"],
            "Resource": "arn:aws:s3:::dogs/${aws:PrincipalTag/team}/*",
            "Condition": {"StringEquals": {"aws:PrincipalAccount": ACCOUNT}},
        },
        {
            "Effect": "Deny",
            "Action": "*",
            "Resource": "*",
            "Condition": {"NotIpAddress": {"aws:SourceIp": "127.0.0.0/8"}},
        },
    ],
}
CONTEXT: dict[str, Any] = {
    "aws:PrincipalArn": ROLE,
    "aws:PrincipalAccount": ACCOUNT,
    "aws:PrincipalTag/team": "ml",
    "aws:SourceIp": "127.0.0.1",
    "aws:SecureTransport": "false",
    "aws:CurrentTime": "2026-11-22T12:00:00Z",
    "aws:EpochTime": "1795348800",
    "aws:UserAgent": "Boto3/1.44",
}
ASKED = [
    ("sagemaker:InvokeEndpoint", f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:endpoint/dogs"),
    ("s3:GetObject", "arn:aws:s3:::dogs/ml/train/a.jpg"),
    ("s3:GetObject", "arn:aws:s3:::sagemaker-us-east-1/a.jpg"),
    ("s3:PutObject", "arn:aws:s3:::others/a.jpg"),
    ("logs:PutLogEvents", f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:/aws/x:log-stream:y"),
    ("iam:PassRole", ROLE),
]
VERDICTS = {"allowed": "Allowed", "explicitDeny": "ExplicitlyDenied", "implicitDeny": "ImplicitlyDenied"}


def role_cases() -> list[Case]:
    """What the role of a training job is asked."""
    found = aws_policies.find(FULL_ACCESS)
    assert found is not None
    identity = [found["Document"], LEAST]
    return [Case(SESSION, action, arn, ACCOUNT, CONTEXT, identity, None, None, None) for action, arn in ASKED]


class Engine:
    """Ours: the context of a request is taken in as the server does it, in every decision."""

    def __init__(self, cases: list[Case]) -> None:
        self._ready = [self._prepared(case) for case in cases]

    @staticmethod
    def _prepared(case: Case) -> Callable[[], Decision]:
        policies, who, same = case.policies, case.who, case.same_account
        attached = None if case.resource_policy is None else compile_policy(json.dumps(case.resource_policy))

        def answer() -> Decision:
            return decide(Query(case.action, case.resource, case.context, who), policies, attached, same_account=same)

        return answer

    def verdicts(self) -> list[str]:
        """In the package's words."""
        return [VERDICTS[answer().verdict] for answer in self._ready]

    def microseconds(self, times: int) -> float:
        """A decision, over so many passes of all cases."""
        ready = self._ready * times
        began = time.process_time()
        for answer in ready:
            answer()
        return (time.process_time() - began) / len(ready) * 1e6


class Peer:
    """The package, in one node process that keeps the cases and is told when to answer them."""

    def __init__(self, cases: list[Case]) -> None:
        command = ["node", str(Path(__file__).with_name("iam_decision_peer.mjs")), str(FOLDER)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._send([simulation(case) for case in cases])

    def verdicts(self) -> list[str]:
        """Of all cases."""
        found: list[str] = self._send("verdicts")
        return found

    def microseconds(self, times: int) -> float:
        """A decision, as the process measures itself."""
        return float(self._send(times))

    def stop(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _send(self, message: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(message) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


def figures(values: list[float]) -> dict[str, Any]:
    """Median and spread of blocks."""
    return {
        "median_us": round(statistics.median(values), 2),
        "min_max_us": [round(min(values), 2), round(max(values), 2)],
    }


def measure(name: str, cases: list[Case], blocks: int, passes: int) -> None:
    """Blocks of both engines in turn, printed as one line."""
    ours, peer = Engine(cases), Peer(cases) if PACKAGE.is_dir() and shutil.which("node") else None
    ours.verdicts()
    if peer is not None and peer.verdicts() != ours.verdicts():
        raise SystemExit(f"{name}: the engines differ")
    mine: list[float] = []
    theirs: list[float] = []
    for _ in range(blocks):
        mine.append(ours.microseconds(passes))
        if peer is not None:
            theirs.append(peer.microseconds(1))
    found: dict[str, Any] = {"load": name, "cases": len(cases), "blocks": blocks, "sagehound": figures(mine)}
    if peer is not None:
        found["iam_simulate"] = figures(theirs)
        peer.stop()
    print(json.dumps(found), flush=True)


def compiling(blocks: int) -> None:
    """What the first use of AmazonSageMakerFullAccess costs."""
    found = aws_policies.find(FULL_ACCESS)
    assert found is not None
    document, who = json.dumps(found["Document"]), from_arn(SESSION, role_arn=ROLE)
    times = []
    for block in range(blocks):
        began = time.process_time()
        policy = compile_policy(document, f"block {block}")
        decide(Query(*ASKED[0], CONTEXT, who), Policies((policy,)))
        times.append((time.process_time() - began) * 1e3)
    spread = [round(min(times), 1), round(max(times), 1)]
    line = {"load": "compiling AmazonSageMakerFullAccess", "bytes": len(document), "statements": len(policy.statements)}
    print(json.dumps({**line, "median_ms": round(statistics.median(times), 1), "min_max_ms": spread}), flush=True)


def main() -> None:
    """Print the three lines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--blocks", type=int, default=15)
    parser.add_argument("--cases", type=int, default=500)
    given = parser.parse_args()
    print(json.dumps({"cores": os.cpu_count(), "load_of_the_machine": round(os.getloadavg()[0], 1)}))
    compiling(given.blocks)
    measure("a training job's role", role_cases(), given.blocks, 500)
    generated = [case for case in make(11, given.cases * 2) if excluded(case) is None][: given.cases]
    measure("generated cases", generated, given.blocks, 10)


if __name__ == "__main__":
    main()
