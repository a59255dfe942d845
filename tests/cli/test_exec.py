"""exec: the program is itself, with its exit code, its signals, its terminal and its bytes; AWS is the local cloud."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.people import WHO, Person, exec_command, own_environment, sagehound, usual_signals
from tests.cloud_process import CloudProcess
from tests.waiting import wait_for


@pytest.fixture
def person(cloud: CloudProcess, tmp_path: Path) -> Person:
    return Person(cloud, tmp_path)


def started(person: Person, *words: str, **given: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        exec_command(person.cloud, *words),
        cwd=person.home,
        env=own_environment(person.home),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        preexec_fn=usual_signals,
        **given,  # type: ignore[call-overload]
    )


@pytest.mark.parametrize("code", [0, 1, 42, 255])
def test_the_exit_code_is_the_programs(person, code) -> None:
    assert person.run("sh", "-c", f"exit {code}").returncode == code


def test_options_of_the_program_are_the_programs(person) -> None:
    command = sagehound("exec", "--data-dir", str(person.cloud.data_dir), "echo", "-n", "--role", "x", "--help")
    done = subprocess.run(command, env=own_environment(person.home), capture_output=True, text=True, check=True)
    assert done.stdout == "--role x --help"


def test_a_program_that_is_not_there_is_said_as_a_shell_says_it(person) -> None:
    done = person.run("no-such-program", "x")
    assert done.returncode == 127
    assert done.stderr.splitlines()[1] == "  why:     no-such-program: no such program"
    assert "Traceback" not in done.stderr


def test_a_file_that_is_no_program_is_said_as_a_shell_says_it(person) -> None:
    (person.home / "data.txt").write_text("words")
    done = person.run("./data.txt")
    assert done.returncode == 126
    assert "./data.txt cannot be run: Permission denied" in done.stderr


def test_a_script_without_a_first_line_is_the_shells(person) -> None:
    (person.home / "script").write_text('echo "$0 $1"; exit 5\n')
    (person.home / "script").chmod(0o755)
    done = person.run("./script", "word")
    assert (done.returncode, done.stdout) == (5, "./script word\n")


def test_such_a_script_is_found_where_programs_are(person) -> None:
    """Not in the folder where one happens to be, in which another may lie."""
    for folder, word in (("bin", "right"), (".", "wrong")):
        (person.home / folder).mkdir(exist_ok=True)
        (person.home / folder / "my-script").write_text(f'echo {word} "$1"\n')
        (person.home / folder / "my-script").chmod(0o755)
    path = os.pathsep.join([str(person.home / "bin"), os.environ["PATH"]])
    assert person.says("my-script", "word", own={"PATH": path}) == "right word\n"


def test_a_script_whose_interpreter_is_missing_is_not_said_to_be_missing(person) -> None:
    (person.home / "script").write_text("#!/no/such/python\n")
    (person.home / "script").chmod(0o755)
    done = person.run("./script")
    assert done.returncode == 126
    assert "the interpreter that ./script names is not there" in done.stderr


def test_bytes_pass_as_they_are(person) -> None:
    content = os.urandom(3_000_000)
    done = person.run("cat", input=content, text=False)
    assert done.stdout == content
    assert done.stderr == b""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_signals_reach_the_program_which_is_this_very_process(person, number) -> None:
    name = number.name.removeprefix("SIG")
    process = started(person, "bash", "-c", f"trap 'echo got; exit 7' {name}; echo $$; while :; do read -r _; done")
    assert process.stdout is not None
    assert int(process.stdout.readline()) == process.pid
    process.send_signal(number)
    # A trap of bash waits for the builtin that runs: a line ends its `read`.
    said, _ = process.communicate(b"\n")
    assert (process.returncode, said) == (7, b"got\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_that_ends_the_program_is_how_it_ended(person, number) -> None:
    process = started(person, "sh", "-c", "echo up; exec cat")
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    process.send_signal(number)
    assert process.wait(60) == -number
    process.communicate()


def test_no_signal_is_ignored_that_was_not_before(person) -> None:
    status = Path("/proc/self/status")
    if not status.exists():
        pytest.skip("only Linux tells which signals a process ignores")
    said = person.says("grep", "SigIgn", str(status), restore_signals=True)
    # What a test runs below may ignore some already (SIGINT, of a job in the background).
    before = subprocess.run(["grep", "SigIgn", str(status)], capture_output=True, text=True, check=True).stdout
    assert int(said.split()[1], 16) & ~int(before.split()[1], 16) == 0


def test_a_pipe_that_nobody_reads_ends_the_program(person) -> None:
    command = " ".join(exec_command(person.cloud, "yes"))
    done = subprocess.run(
        ["bash", "-c", f"{command} | head -n 1; echo ${{PIPESTATUS[0]}}"],
        env=own_environment(person.home), capture_output=True, text=True, check=True, timeout=300,
    )  # fmt: skip
    assert done.stdout == f"y\n{128 + signal.SIGPIPE}\n"
    assert done.stderr == ""


def test_the_terminal_is_the_programs(person) -> None:
    ours, theirs = pty.openpty()
    try:
        with subprocess.Popen(
            exec_command(person.cloud, sys.executable, "-c", "import os; print(os.ttyname(0), os.isatty(1))"),
            env=own_environment(person.home), stdin=theirs, stdout=theirs, stderr=theirs,
        ) as process:  # fmt: skip
            name = os.ttyname(theirs)
            said = b""
            while b"\n" not in said:
                said += os.read(ours, 1024)
            assert process.wait(300) == 0
    finally:
        os.close(ours)
        os.close(theirs)
    assert said.decode().split() == [name, "True"]


def test_without_a_cloud_the_way_to_one_is_told(tmp_path) -> None:
    command = sagehound("exec", "--data-dir", str(tmp_path / "nothing"), "--", "true")
    done = subprocess.run(command, env=own_environment(tmp_path), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "sagehound: exec failed",
        f"  why:     no local cloud is running on {tmp_path / 'nothing'}",
        "  way out: Start it with `sagehound up --detach`.",
    ]


def test_our_own_command_finds_the_same_cloud(person) -> None:
    said = person.says(*sagehound("status", "--json"))
    assert f'"port": {person.cloud.port}' in said


def test_it_goes_on_over_a_restart_of_the_cloud(own_cloud, tmp_path) -> None:
    person = Person(own_cloud, tmp_path)
    code = f"{WHO}\ninput()\n{WHO.replace('import boto3; ', '')}"
    process = started(person, sys.executable, "-uc", code)
    assert process.stdout is not None
    first = process.stdout.readline()
    own_cloud.restart(kill=True)
    said, _ = process.communicate(b"\n", timeout=300)
    assert (process.returncode, said) == (0, first)
    assert b":assumed-role/sagehound-user/" in first


def test_keys_that_end_are_renewed(tmp_path_factory, tmp_path) -> None:
    """Where a session lasts five seconds: the first keys end, and the program does not notice."""
    cloud = CloudProcess(tmp_path_factory.mktemp("short"), "--session-seconds", "5").start()
    try:
        said = Person(cloud, tmp_path).python(
            """
import boto3, botocore.exceptions, time
session = boto3.Session()
first = session.get_credentials().get_frozen_credentials()
kept = boto3.client("sts", aws_access_key_id=first.access_key, aws_secret_access_key=first.secret_key,
                    aws_session_token=first.token)
sts, until = session.client("sts"), time.monotonic() + 120
while time.monotonic() < until:
    arn = sts.get_caller_identity()["Arn"]
    try:
        kept.get_caller_identity()
    except botocore.exceptions.ClientError as error:
        print(arn.split("/")[1], error.response["Error"]["Code"])
        break
    time.sleep(0.2)
print(session.get_credentials().get_frozen_credentials().access_key != first.access_key)
"""
        )
    finally:
        cloud.stop()
    assert said.split() == ["sagehound-user", "ExpiredToken", "True"]


def test_a_program_may_be_told_to_wait_for_nothing(person) -> None:
    """What it leaves running in the background is its own affair: exec waits for nobody."""
    mark = person.home / "mark"
    done = person.run("sh", "-c", f"(while [ ! -e {mark}.go ]; do sleep 0.05; done; touch {mark}) >/dev/null 2>&1 &")
    assert done.returncode == 0
    Path(f"{mark}.go").touch()
    assert wait_for(mark.exists, "the program in the background")
