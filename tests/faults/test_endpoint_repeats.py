"""No request is handled twice: endpoints scale and are updated, instances are killed and hang, the server is killed."""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from tests.cloud.hosting import HOLD, NOTED, Hosting, Traffic
from tests.cloud.log_lines import messages_in
from tests.cloud_process import CloudProcess
from tests.waiting import wait_for


def test_no_request_is_handled_twice(own_cloud: CloudProcess, tmp_path: Path) -> None:
    hosting = Hosting(own_cloud)
    notes = tmp_path / "notes"
    endpoint = hosting.endpoint("e", NOTED.format(notes=str(notes), seconds=0.05), InitialInstanceCount=2)
    config = hosting.config("green", hosting.variant(hosting.name("e"), InitialInstanceCount=2))
    with Traffic(hosting, endpoint, threads=8) as traffic:

        def goes_on() -> None:
            seen = traffic.answers["x"]
            wait_for(lambda: traffic.answers["x"] > seen + 20, "twenty answers")

        def again(pid: int) -> None:
            wait_for(lambda: len(hosting.processes(endpoint)) == 2 and pid not in hosting.processes(endpoint))

        for count in (3, 1, 2):
            scale(hosting, endpoint, count)
            assert "FailureReason" not in hosting.settled(endpoint)
            goes_on()
        hosting.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=config)
        hosting.settled(endpoint)
        for _ in range(3):
            pid = hosting.processes(endpoint)[0]
            os.kill(pid, signal.SIGKILL)
            again(pid)
            goes_on()
        # One that hangs is killed by a scale-in while requests are queued there.
        hangs = hosting.processes(endpoint)[0]
        os.kill(hangs, signal.SIGSTOP)
        goes_on()
        os.kill(hangs, signal.SIGKILL)
        again(hangs)
        own_cloud.restart(kill=True)
        goes_on()
    handled = Counter(notes.read_text().split())
    assert handled.most_common(1)[0][1] == 1
    lost = {answer: count for answer, count in traffic.answers.items() if answer != "x"}
    killed = [answer for answer in lost if answer.startswith("no connection")]
    # Each instance works on one request at a time while it writes the answer of the one before: four were killed.
    assert sum(count for answer, count in lost.items() if answer not in killed) <= 4 * 2, lost
    assert len(handled) >= traffic.answers["x"]


def test_a_hanging_server_keeps_what_it_has_begun(own_cloud: CloudProcess, tmp_path: Path) -> None:
    """After thirty seconds without /ping it is ended, but it wakes up before it dies and answers what it holds."""
    hosting = Hosting(own_cloud)
    endpoint = hosting.endpoint("e", HOLD, InitialInstanceCount=2)
    bodies = [tmp_path / str(number) for number in range(4)]
    callers = [Caller(hosting, endpoint, str(body)) for body in bodies]
    wait_for(lambda: sum(started(body) for body in bodies) == 2, "each instance works on one")
    wait_for(lambda: sum(hosting.sent(endpoint).values()) >= 4, "the others wait there")
    hangs = hosting.processes(endpoint)[0]
    os.kill(hangs, signal.SIGSTOP)
    logs = own_cloud.client("logs")
    group = f"/aws/sagemaker/Endpoints/{endpoint}"
    wait_for(lambda: messages_in(logs, group, '"/ping has failed"'), "it is given up", limit=90)
    os.kill(hangs, signal.SIGCONT)
    for body in bodies:
        body.touch()
    answers = Counter(caller.result() for caller in callers)
    wait_for(lambda: len(hosting.processes(endpoint)) == 2 and hangs not in hosting.processes(endpoint))
    assert [started(body) for body in bodies] == [1] * 4
    # It has two seconds: on a busy machine they may pass while it works.
    assert answers["done"] >= 3
    assert answers.total() - answers["done"] == answers["ModelError"]


def test_an_instance_that_hangs_gets_no_more_requests(own_cloud: CloudProcess, tmp_path: Path) -> None:
    hosting = Hosting(own_cloud)
    endpoint = hosting.endpoint("e", HOLD, InitialInstanceCount=2)
    hangs, works = hosting.processes(endpoint)
    os.kill(hangs, signal.SIGSTOP)
    callers: list[Caller] = []

    def one_more() -> bool:
        """Requests go to the instance with the fewest of them, so that one gets more only when the other gets none."""
        callers.append(Caller(hosting, endpoint, f"{tmp_path}/go"))
        wait_for(lambda: sum(hosting.sent(endpoint).values()) >= len(callers), "it has been sent")
        sent = hosting.sent(endpoint)
        return sent[works] >= sent[hangs] + 5

    wait_for(one_more, "all requests go to the other one")
    described = hosting.sagemaker.describe_endpoint(EndpointName=endpoint)["ProductionVariants"][0]
    assert described["CurrentInstanceCount"] == 2  # it does not leave service for that
    os.kill(hangs, signal.SIGCONT)
    (tmp_path / "go").touch()
    assert Counter(caller.result() for caller in callers) == {"done": len(callers)}
    assert started(tmp_path / "go") == len(callers)
    assert set(hosting.processes(endpoint)) == {hangs, works}
    (tmp_path / "go").unlink()
    later = [Caller(hosting, endpoint, f"{tmp_path}/later") for _ in range(2)]
    wait_for(lambda: started(tmp_path / "later") == 2, "both work again")
    (tmp_path / "later").touch()
    assert [caller.result() for caller in later] == ["done"] * 2


class Caller:
    """One invocation in a thread of its own."""

    def __init__(self, hosting: Hosting, endpoint: str, body: str) -> None:
        self._answer: Any = None
        self._thread = threading.Thread(target=self._run, args=(hosting, endpoint, body))
        self._thread.start()

    def _run(self, hosting: Hosting, endpoint: str, body: str) -> None:
        try:
            self._answer = hosting.invoke(endpoint, body)
        except ClientError as error:
            self._answer = error.response["Error"]["Code"]

    def result(self) -> str:
        """The answer, or the code of the error."""
        self._thread.join(90)
        return str(self._answer)


def scale(hosting: Hosting, endpoint: str, count: int) -> None:
    hosting.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=endpoint,
        DesiredWeightsAndCapacities=[{"VariantName": "AllTraffic", "DesiredInstanceCount": count}],
    )


def started(body: Path) -> int:
    """How often a HOLD handler has begun with this body."""
    return len(list(body.parent.glob(f"{body.name}.*.begun")))
