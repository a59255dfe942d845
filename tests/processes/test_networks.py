"""Networks of jobs: ports of one do not meet another's, and in each the cloud answers at its usual address."""

from __future__ import annotations

import asyncio
import copy
import os
import socket
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from sagehound.localcloud.listeners import Listeners
from sagehound.localcloud.processes.hosts import allocate_addresses
from sagehound.localcloud.processes.local import LocalSupervisor
from sagehound.localcloud.processes.networks import Networks
from sagehound.localcloud.processes.supervisor import Exit, NoNetwork
from tests.waiting import is_alive, until

from .conftest import Lines, MakeHost, MakeProgram
from .test_hosts import REFUSE_NAMESPACES, _python_of_nobody

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has network namespaces")

CLOUD = "http://127.0.0.1:4566"


class Cloud(asyncio.Protocol):
    """Says who has connected and what it was sent."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(f"hello {transport.get_extra_info('peername')[0]}\n".encode())

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


@pytest.fixture
async def listeners() -> AsyncIterator[Listeners]:
    listeners = Listeners()
    await listeners.begin(Cloud)
    yield listeners
    listeners.end()


@pytest.fixture
async def networks(listeners: Listeners) -> AsyncIterator[Networks]:
    networks = Networks(lambda: CLOUD, listeners)
    yield networks
    await networks.close()


@pytest.fixture
def supervisor(networks: Networks) -> LocalSupervisor:
    return LocalSupervisor(networks=networks)


@pytest.fixture
def machine_server() -> Iterator[int]:
    """A port where a program of the machine listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


HELLO = """
import socket
def hello(host="127.0.0.1", port=4566):
    with socket.create_connection((host, port)) as cloud:
        return cloud.makefile().readline().strip()
"""


async def test_two_jobs_open_the_same_ports_on_every_address_at_once(
    supervisor: LocalSupervisor, make_host: MakeHost, python: MakeProgram
) -> None:
    first = """
        import socket, sys
        servers = [socket.create_server(("", port)) for port in (7777, 29500, 55555)]
        print("open", flush=True)
        print(servers[1].accept()[0].recv(16).decode(), flush=True)
        sys.stdin = open("/opt/ml/go")
        sys.stdin.read()
    """
    second = """
        import os, socket
        with socket.create_connection(("algo-1", 29500)) as peer:
            peer.sendall(os.environ["JOB"].encode())
    """
    peers = dict(zip(["algo-1", "algo-2"], allocate_addresses(2, (), "networks"), strict=True))
    followers, words = [], {}
    for job in ("one", "two"):
        network = await supervisor.make_network()
        members = {"peers": peers, "network": network}
        root = make_host(f"{job}-1").root
        (root / "opt/ml").mkdir(parents=True)
        os.mkfifo(root / "opt/ml/go")
        words[job] = Lines()
        for name, source in ((f"{job}-1", first), (f"{job}-2", second)):
            if source == second:
                await until(lambda job=job: "open" in words[job])  # type: ignore[misc]
            handle = await supervisor.start(make_host(name, **members), python(source, JOB=job))
            followers.append(asyncio.create_task(supervisor.follow(handle, words[job])))
    # Until here no host has closed a port: they are open twice on one machine.
    for job in words:
        await until(lambda job=job: len(words[job]) == 2)  # type: ignore[misc]
        (make_host(f"{job}-1").root / "opt/ml/go").write_text("")
    assert [(await follower).code for follower in followers] == [0] * 4
    assert words["one"] == ["open", "one"]
    assert words["two"] == ["open", "two"]


async def test_inside_is_the_cloud_at_its_address_and_nothing_else(
    supervisor: LocalSupervisor, make_host: MakeHost, python: MakeProgram, lines: Lines, machine_server: int
) -> None:
    network = await supervisor.make_network()
    source = f"""
        import os
        print(hello())
        for address in ("127.0.0.1", {machine_server}), ("192.0.2.1", 80):
            try: socket.create_connection(address)
            except OSError as error: print(type(error).__name__, error.errno)
        print(sorted(os.listdir("/proc/self/fd"))[:-1])
    """
    await supervisor.follow(
        await supervisor.start(make_host(network=network), python(HELLO + textwrap.dedent(source))),
        lines,
    )
    assert lines == ["hello 127.0.0.1", "ConnectionRefusedError 111", "OSError 101", "['0', '1', '2']"]


async def test_a_network_and_its_descriptors_are_gone_with_its_end(
    supervisor: LocalSupervisor, networks: Networks, make_host: MakeHost, python: MakeProgram, lines: Lines
) -> None:
    await networks.close()
    descriptors = set(os.listdir("/proc/self/fd"))
    network = await supervisor.make_network()
    await supervisor.follow(await supervisor.start(make_host(network=network), python(HELLO + "print(hello())")), lines)
    assert lines == ["hello 127.0.0.1"]
    # All its processes have ended: what they did can still be seen, because it is held open.
    table = network.connections()[0].splitlines()[1:]
    assert any(line.split()[1].endswith(f":{urlsplit(CLOUD).port:04X}") for line in table)
    network.close()
    network.close()
    await networks.close()
    await until(lambda: not set(os.listdir("/proc/self/fd")) - descriptors)


async def test_the_next_server_answers_in_the_network_of_a_running_program(
    supervisor: LocalSupervisor, networks: Networks, make_host: MakeHost, python: MakeProgram, lines: Lines
) -> None:
    source = """
        import time
        print(hello(), flush=True)
        while True:
            try: hello()
            except ConnectionResetError: pass  # nobody had taken it yet
            except ConnectionRefusedError: break
        print("refused", flush=True)
        while True:
            try: print(hello()); break
            except ConnectionRefusedError: time.sleep(0.01)
    """
    network = await supervisor.make_network()
    handle = await supervisor.start(make_host(network=network), python(HELLO + textwrap.dedent(source)))
    follower = asyncio.create_task(supervisor.follow(handle, lines))
    await until(lambda: len(lines) == 1)
    network.close()  # as when its server has died
    await until(lambda: "refused" in lines)
    successor = LocalSupervisor(networks=networks)
    with closing(await successor.enter_network(handle, network.entrance)) as again:
        assert (await follower).code == 0
        assert lines == ["hello 127.0.0.1", "refused", "hello 127.0.0.1"]
        assert again.connections()
    with pytest.raises(NoNetwork, match="its program has ended"):
        await successor.enter_network(handle, network.entrance)


async def test_a_server_that_died_at_a_start_is_followed_by_one_that_enters(
    supervisor: LocalSupervisor, make_host: MakeHost, python: MakeProgram, lines: Lines
) -> None:
    """The first thing that its successor asks for, when the init has not yet entered the network itself."""
    source = """
        import sys
        sys.stdin = open("/opt/ml/go")
        sys.stdin.read()
        print(hello())
    """
    go = make_host().root / "opt/ml/go"
    go.parent.mkdir(parents=True)
    os.mkfifo(go)
    network = await supervisor.make_network()
    handle = await supervisor.start(make_host(network=network), python(HELLO + textwrap.dedent(source)))
    network.close()
    with closing(await supervisor.enter_network(handle, network.entrance)):
        go.write_text("")
        assert (await supervisor.follow(handle, lines)).code == 0
    assert lines == ["hello 127.0.0.1"]


async def test_a_cloud_on_an_address_of_the_machine_has_it_inside_too(
    listeners: Listeners, make_host: MakeHost, python: MakeProgram, lines: Lines
) -> None:
    networks = Networks(lambda: "http://192.0.2.77:4566", listeners)
    supervisor = LocalSupervisor(networks=networks)
    source = "print(hello('192.0.2.77'))"
    network = await supervisor.make_network()
    await supervisor.follow(
        await supervisor.start(make_host(network=network), python(HELLO + textwrap.dedent(source))), lines
    )
    assert lines == ["hello 192.0.2.77"]
    network.close()
    await networks.close()


async def test_what_was_opened_before_the_server_accepts_waits_for_it(
    make_host: MakeHost, python: MakeProgram, lines: Lines
) -> None:
    listeners = Listeners()
    networks = Networks(lambda: CLOUD, listeners)
    supervisor = LocalSupervisor(networks=networks)
    network = await supervisor.make_network()
    source = "print('there', flush=True); print(hello())"
    handle = await supervisor.start(make_host(network=network), python(HELLO + textwrap.dedent(source)))
    follower = asyncio.create_task(supervisor.follow(handle, lines))
    await until(lambda: "there" in lines)
    await listeners.begin(Cloud)
    assert (await follower).code == 0
    assert lines == ["there", "hello 127.0.0.1"]
    network.close()
    await networks.close()


async def test_a_host_that_cannot_enter_its_network_runs_nothing(
    supervisor: LocalSupervisor, make_host: MakeHost, python: MakeProgram, lines: Lines, tmp_path: Path
) -> None:
    """Rather than in the machine's, where it would wait for peers that are elsewhere."""
    made = await supervisor.make_network()
    with closing(made), (tmp_path / "no-namespace").open("w") as file:
        network = copy.copy(made)
        network.namespaces = (file.fileno(),)
        handle = await supervisor.start(make_host(network=network), python("print('here')"))
        assert await supervisor.follow(handle, lines) == Exit(127)
    assert lines == ["cannot enter the network of the job: [Errno 22] setns: Invalid argument"]


def makers() -> list[psutil.Process]:
    """The processes that make networks for this one."""
    return [child for child in psutil.Process().children() if any("network_maker" in part for part in child.cmdline())]


async def test_another_process_makes_networks_when_that_has_died(networks: Networks) -> None:
    for _ in range(2):
        (await networks.take()).close()
        [maker] = makers()
        maker.kill()
        await until(lambda maker=maker: not is_alive(maker))  # type: ignore[misc]
        (await networks.take()).close()  # made before
    (await networks.take()).close()
    [maker] = makers()
    await networks.close()
    assert not is_alive(maker)


async def test_a_failure_is_not_kept_for_who_asks_later(listeners: Listeners) -> None:
    entrances = ["http://192.0.2.256:4566"]
    networks = Networks(lambda: entrances[-1], listeners)
    with pytest.raises(NoNetwork, match=r"192\.0\.2\.256"):
        await networks.take()
    with pytest.raises(
        NoNetwork, match=r"192\.0\.2\.256"
    ):  # so the next one, that was begun meanwhile, has failed as well
        await networks.take()
    entrances.append(CLOUD)
    assert networks._spare is not None
    await asyncio.wait([networks._spare])
    (await networks.take()).close()
    await networks.close()


async def test_a_taker_that_is_cancelled_leaves_nothing(networks: Networks) -> None:
    descriptors = set(os.listdir("/proc/self/fd"))
    for turns in (0, 1, 5, 200):
        taking = asyncio.create_task(networks.take())
        for _ in range(turns):
            await asyncio.sleep(0.0005)
        taking.cancel()
        await asyncio.wait([taking])
        if not taking.cancelled():
            taking.result().close()
    (await networks.take()).close()
    await networks.close()
    await until(lambda: not set(os.listdir("/proc/self/fd")) - descriptors)


ORDINARY_USER = """
import asyncio, os, sys
from pathlib import Path
from sagehound.localcloud.listeners import Listeners
from sagehound.localcloud.processes.local import LocalSupervisor
from sagehound.localcloud.processes.networks import Networks
from sagehound.localcloud.processes.supervisor import Host, NoNetwork, Program
root, sys.executable = Path(sys.argv[1]), sys.argv[2]
os.setgroups([]); os.setgid(65534); os.setuid(65534)

class Cloud(asyncio.Protocol):
    def connection_made(self, transport):
        transport.write(b"hello\\n")

async def main():
    listeners = Listeners()
    await listeners.begin(Cloud)
    networks = Networks(lambda: "http://127.0.0.1:4566", listeners)
    supervisor = LocalSupervisor(networks=networks)
    try:
        made = [await supervisor.make_network() for _ in range(2)]
    except NoNetwork as refused:
        print("refused", refused, sep="|")
        await networks.close()
        return
    source = "import os, socket, time\\n"
    source += "def hello(): return socket.create_connection(('127.0.0.1', 4566)).makefile().readline().strip()\\n"
    source += "server = socket.create_server(('', 29500))\\n"
    source += "print(hello(), os.getuid(), os.path.isdir('/opt/ml/model'), flush=True)\\n"
    source += "while True:\\n"
    source += "    try: hello()\\n    except ConnectionResetError: pass\\n"
    source += "    except ConnectionRefusedError: break\\n"
    source += "print('refused', flush=True)\\n"
    source += "while True:\\n"
    source += "    try: print(hello()); break\\n"
    source += "    except ConnectionRefusedError: time.sleep(.01)\\n"
    lines, handles = [], []
    for number, network in enumerate(made):
        (root / str(number) / "opt/ml/model").mkdir(parents=True)
        host = Host("algo-1", root / str(number), network=network)
        handles.append(await supervisor.start(host, Program([sys.executable, "-c", source], {}, Path("/"))))
    follow = [asyncio.create_task(supervisor.follow(one, lambda _, line: lines.append(line))) for one in handles]
    while len(lines) < 2:
        await asyncio.sleep(0.01)
    for network in made:
        network.close()
    while len(lines) < 4:
        await asyncio.sleep(0.01)
    again = [await supervisor.enter_network(handle, network.entrance) for handle, network in zip(handles, made)]
    print(*[(await one).code for one in follow], *lines, sep="|")
    await networks.close()
asyncio.run(main())
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("mode", ["given", "refused"])
def test_ordinary_user(mode: str) -> None:
    """As nobody, below a user namespace that the hosts of one job share."""
    python = _python_of_nobody()
    if python is None:
        pytest.skip("user nobody can run no Python here")
    if subprocess.run(["unshare", "--user", "--net", "true"], user="nobody", check=False).returncode != 0:
        pytest.skip("this kernel gives ordinary users no networks")
    source = (REFUSE_NAMESPACES if mode == "refused" else "") + ORDINARY_USER
    with tempfile.TemporaryDirectory(prefix="sagehound-test-") as root:
        os.chown(root, 65534, 65534)
        command = [sys.executable, "-c", source, root, python]
        ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert ran.returncode == 0, ran.stderr
    if mode == "refused":
        assert ran.stdout.strip() == "refused|unshare: Operation not permitted"
    else:
        assert ran.stdout.strip() == "0|0|hello 65534 True|hello 65534 True|refused|refused|hello|hello"
