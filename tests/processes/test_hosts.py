"""What a program sees of its host: its own /opt/ml, its peers' names, its own name, and addresses of its own."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from sagehound.localcloud.processes.host_init import outside_paths
from sagehound.localcloud.processes.hosts import allocate_addresses, free_port, hosts_text
from sagehound.localcloud.processes.local import LocalSupervisor

from .conftest import Lines, MakeHost, MakeProgram

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="private mounts are Linux's")


@linux_only
async def test_two_hosts_write_the_same_path_at_once(
    supervisor: LocalSupervisor, make_host: MakeHost, python: MakeProgram
) -> None:
    source = """
        import os, time
        os.makedirs("/opt/ml/model", exist_ok=True)
        for turn in range(50):
            with open("/opt/ml/model/model.pth", "w") as file:
                file.write(os.environ["NAME"])
            assert open("/opt/ml/model/model.pth").read() == os.environ["NAME"]
    """
    hosts = [make_host("algo-1"), make_host("algo-2")]
    handles = [await supervisor.start(host, python(source, NAME=host.name)) for host in hosts]
    output = Lines()
    ends = await asyncio.gather(*(supervisor.follow(handle, output) for handle in handles))
    assert [end.code for end in ends] == [0, 0], output
    for host in hosts:
        assert (host.root / "opt/ml/model/model.pth").read_text() == host.name
    assert not Path("/opt/ml/model").exists()


@linux_only
async def test_names_resolve_inside(
    supervisor: LocalSupervisor, make_host: MakeHost, python: MakeProgram, lines: Lines
) -> None:
    peers = dict(zip(["algo-1", "algo-2"], allocate_addresses(2, set(), "names"), strict=True))
    host = make_host("algo-1", address=peers["algo-1"], peers=peers)
    source = """
        import socket
        print(socket.gethostbyname("algo-2"), socket.gethostbyname("localhost"), socket.gethostname())
        print(socket.gethostbyname(socket.gethostname()))
    """
    await supervisor.follow(await supervisor.start(host, python(source)), lines)
    assert lines == [f"{peers['algo-2']} 127.0.0.1 algo-1", peers["algo-1"]]
    with pytest.raises(socket.gaierror):
        socket.gethostbyname("algo-2")


@linux_only
async def test_shared_memory_goes_with_its_host(
    supervisor: LocalSupervisor, make_host: MakeHost, python: MakeProgram, lines: Lines
) -> None:
    source = """
        open("/dev/shm/sagehound-leak", "w").write("x")
        print("written")
    """
    await supervisor.follow(await supervisor.start(make_host(), python(source)), lines)
    assert lines == ["written"]
    assert not Path("/dev/shm/sagehound-leak").exists()


ORDINARY_USER = """
import asyncio, os, shutil, sys
from pathlib import Path
from sagehound.localcloud.processes import local
from sagehound.localcloud.processes.supervisor import Host, Program
root, sys.executable = Path(sys.argv[1]), sys.argv[2]
os.setgroups([]); os.setgid(65534); os.setuid(65534)

async def main():
    supervisor = local.LocalSupervisor()
    source = "import os, socket; open(os.environ['SM_MODEL_DIR'] + '/weights', 'w').write('w')\\n"
    source += "try: open('/opt/ml/input/data/picture', 'r+').write('x')\\nexcept OSError: pass\\n"
    source += "print(os.environ['SM_MODEL_DIR'], os.getuid(), socket.gethostname(), *sorted(os.listdir('/opt')))"
    program = Program([sys.executable, "-c", source], {"SM_MODEL_DIR": "/opt/ml/model"}, Path("/opt/ml"))
    (root / "opt/ml/model").mkdir(parents=True)
    (root / "opt/ml/input/data").mkdir(parents=True)
    (root / "opt/ml/input/data/picture").write_text("S3's own")
    handle = await supervisor.start(Host("algo-1", root, shared=("input/data",)), program)
    lines = []
    end = await supervisor.follow(handle, lambda time, line: lines.append(line))
    assert (root / "opt/ml/model/weights").read_text() == "w", lines
    kept = (root / "opt/ml/input/data/picture").read_text()
    assert kept == "S3's own" or "not private" in lines[0], (kept, lines)
    shutil.rmtree(root / "run")
    print(end.code, *lines, sep="|")
asyncio.run(main())
"""

BARE_OPT = 'mount -t tmpfs none /opt && mkdir /opt/tool && echo > /opt/file && ln -s tool /opt/link && exec "$@"'


def _python_of_nobody() -> str | None:
    """An interpreter that user nobody may run: the tests' own may lie in a home directory."""
    for path in (sys.executable, "/usr/bin/python3"):
        command = ["sh", "-c", 'exec "$0" -c "import ctypes, json"', path]
        ran = subprocess.run(command, user="nobody", check=False, capture_output=True)
        if ran.returncode == 0:
            return path
    return None


@linux_only
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("mode", ["mount point", "no mount point", "refused"])
def test_ordinary_user(tmp_path: Path, mode: str) -> None:
    """As nobody: private mounts by a user namespace; where the kernel refuses them the paths that the variables say."""
    python = _python_of_nobody()
    if python is None:
        pytest.skip("user nobody can run no Python here")
    if subprocess.run(["unshare", "--user", "--mount", "true"], user="nobody", check=False).returncode != 0:
        pytest.skip("this kernel gives ordinary users no user namespaces")
    root = tmp_path / "host"
    root.mkdir()
    os.chown(root, 65534, 65534)
    for parent in tmp_path, *tmp_path.parents:
        if "pytest" in str(parent):
            parent.chmod(0o755)
    source = (REFUSE_NAMESPACES if mode == "refused" else "") + ORDINARY_USER
    command = [sys.executable, "-c", source, str(root), python]
    if mode == "no mount point":
        command = ["unshare", "--mount", "sh", "-c", BARE_OPT, "sh", *command]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    fields = result.stdout.strip().split("|")
    assert fields[0] == "0"
    if mode == "refused":
        assert fields[1].startswith("/opt/ml is not private on this machine: use the SM_* variables (unshare: ")
        assert fields[2].startswith(f"{root}/opt/ml/model 65534 {socket.gethostname()} ")
    elif mode == "no mount point":
        assert fields[1:] == ["/opt/ml/model 65534 algo-1 file link ml tool"]
    else:
        assert fields[1].startswith("/opt/ml/model 65534 algo-1 ")


REFUSE_NAMESPACES = """
import ctypes, struct
libc = ctypes.CDLL(None, use_errno=True)
libc.prctl(38, 1, 0, 0, 0)  # no new privileges: lets this process filter its own system calls
code = b"".join(struct.pack("HBBI", *step) for step in [
    (0x20, 0, 0, 0), (0x15, 0, 1, __UNSHARE__), (0x06, 0, 0, 0x00050001), (0x06, 0, 0, 0x7FFF0000)])
text = ctypes.create_string_buffer(code)
program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", 4, ctypes.addressof(text)))
assert libc.prctl(22, 2, program, 0, 0) == 0
""".replace("__UNSHARE__", "272" if os.uname().machine == "x86_64" else "97")
"""Makes unshare(2) answer EPERM in this process and its children, as hardened machines and containers do."""


def test_addresses_of_running_hosts_are_never_given_again() -> None:
    in_use: set[str] = set()
    for job in range(50):
        block = allocate_addresses(5, in_use, f"job-{job % 3}")
        assert in_use.isdisjoint(block)
        assert len(set(block)) == (5 if sys.platform == "linux" else 1)
        in_use |= set(block) if sys.platform == "linux" else set()
    assert all(address.startswith("127.") for address in in_use)


@linux_only
def test_two_hosts_listen_on_one_port() -> None:
    first, second = allocate_addresses(2, set(), "ports")
    with socket.create_server((first, 0)) as one:
        port = one.getsockname()[1]
        with socket.create_server((second, port)) as two, socket.create_connection((second, port)) as client:
            assert (two.getsockname(), client.getpeername()) == ((second, port), (second, port))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/opt/ml", "/data/algo-1/opt/ml"),
        ('{"model_dir": "/opt/ml/model"}', '{"model_dir": "/data/algo-1/opt/ml/model"}'),
        ("/opt/ml/code:/opt/ml/lib", "/data/algo-1/opt/ml/code:/data/algo-1/opt/ml/lib"),
        ("file:///opt/ml/x", "file:///data/algo-1/opt/ml/x"),
        ("/data/algo-1/opt/ml/model", "/data/algo-1/opt/ml/model"),
        ("/opt/mlflow /opt/ml-tools", "/opt/mlflow /opt/ml-tools"),
    ],
)
def test_paths_where_mounts_are_refused(text: str, expected: str) -> None:
    assert outside_paths(text, "/data/algo-1/opt/ml") == expected


def test_hosts_text() -> None:
    assert hosts_text({"algo-1": "127.16.0.1"}) == (
        "127.0.0.1\tlocalhost\n127.16.0.1\talgo-1\n::ffff:127.0.0.1\tip6-localhost\n::ffff:127.16.0.1\tip6-algo-1\n"
    )
    alone = "127.0.0.1\tlocalhost\n127.0.0.1\talgo-1\n::ffff:127.0.0.1\tip6-localhost\n"
    assert hosts_text({"algo-1": "127.0.0.1"}) == alone


def test_the_port_where_hosts_meet_is_one_where_nobody_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        port = taken.getsockname()[1]
        found = free_port(port, {port + 1})
        assert found > port + 1
    assert free_port(port, ()) == port
