"""shell: the person's own shell on a real terminal, with its own start-up files, a prompt, and AWS being the cloud."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.people import WHO, own_environment, sagehound
from tests.cli.terminal import Terminal
from tests.cloud_process import CloudProcess

Open = Callable[..., Terminal]
START_UP = """\
PS1='mine> '
export AWS_PROFILE=mine AWS_ENDPOINT_URL=http://127.0.0.1:9 HTTPS_PROXY=http://127.0.0.1:9 NO_PROXY='*'
export AWS_PAGER=cat OWN='of mine'
alias hello='echo hello, $OWN'
"""


@pytest.fixture
def open_shell(cloud: CloudProcess, tmp_path: Path) -> Iterator[Open]:
    """Opens a shell of a person whose start-up files lead elsewhere."""
    opened = []

    def do(program: str, *options: str, **own: str) -> Terminal:
        command = sagehound("shell", "--data-dir", str(cloud.data_dir), *options)
        opened.append(Terminal(command, own_environment(tmp_path, SHELL=program, **own), tmp_path))
        return opened[-1]

    yield do
    for terminal in opened:
        terminal.close()


def who(terminal: Terminal, prompt: str) -> str:
    """What a program says that is started at the prompt."""
    terminal.type(f'{sys.executable} -c "{WHO}"; echo "ended with $?"')
    terminal.until('$?"')
    said = terminal.until("ended with 0").splitlines()[-2].strip()
    terminal.until(prompt)
    return said


FISH = """\
function fish_prompt; echo -n 'mine> '; end
function hello; echo "hello, $OWN"; end
set -gx AWS_PROFILE mine
set -gx AWS_ENDPOINT_URL http://127.0.0.1:9
set -gx HTTPS_PROXY http://127.0.0.1:9
set -gx AWS_PAGER cat
set -gx OWN 'of mine'
"""
STARTED_BY = {".bashrc": START_UP, ".zshrc": START_UP, ".config/fish/config.fish": FISH}
SHELLS = [name for name in ("bash", "zsh", "fish") if shutil.which(name)]
"""Those of this machine."""


@pytest.mark.parametrize("shell", SHELLS)
def test_the_persons_shell_with_its_own_start_up_files(cloud, open_shell, tmp_path, shell) -> None:
    for name, text in STARTED_BY.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    prompt = f"(sagehound 127.0.0.1:{cloud.port}) mine> "
    terminal = open_shell(shutil.which(shell))
    terminal.until(prompt)
    terminal.type(f'{sys.executable} -c "{WHO}"')
    terminal.until(f"arn:aws:sts::{cloud.account_id}:assumed-role/sagehound-user/sagehound")
    terminal.until(prompt)
    terminal.type('hello; echo "-$AWS_PROFILE$AWS_ENDPOINT_URL- -$AWS_PAGER- $HTTPS_PROXY"')
    terminal.until("hello, of mine")
    terminal.until(f"-- -cat- {cloud.endpoint_url}")
    terminal.until(prompt)
    terminal.type("exit 3")
    assert terminal.ended() == 3


def test_a_prompt_that_is_made_anew_each_time_says_it_too(cloud, open_shell, tmp_path) -> None:
    text = "made() { PS1='made> '; }\nPROMPT_COMMAND='made;'\n"
    for number, start_up in enumerate((text, "made() { PS1='made> '; }\nPROMPT_COMMAND=(made made)\n")):
        (tmp_path / ".bashrc").write_text(start_up)
        terminal = open_shell(shutil.which("bash"))
        terminal.until(") made> ")
        terminal.type(f"echo {number}")
        assert f"(sagehound 127.0.0.1:{cloud.port}) made> " in terminal.until(") made> ")


def test_whom_the_prompt_names(cloud, open_shell) -> None:
    terminal = open_shell(shutil.which("bash"), "--root")
    prompt = f"(sagehound 127.0.0.1:{cloud.port} as root) "
    terminal.until(prompt)
    assert who(terminal, prompt) == f"arn:aws:iam::{cloud.account_id}:root"


def test_ctrl_c_is_for_what_runs_in_it(open_shell) -> None:
    terminal = open_shell(shutil.which("bash"))
    terminal.until("(sagehound ")
    terminal.type("echo go''ing; cat; echo cat ended with $?")
    terminal.until("going\r\n")  # from here on the terminal is the program's, no longer the prompt's
    terminal.type("line")
    terminal.until("line\r\nline")
    terminal.press("\x03")
    terminal.until("(sagehound ")
    terminal.type("echo back")
    terminal.until("\r\nback")


def test_a_plain_shell(cloud, open_shell, tmp_path) -> None:
    own = tmp_path / "env.sh"
    own.write_text(START_UP)
    prompt = f"(sagehound 127.0.0.1:{cloud.port}) mine> "
    terminal = open_shell("/bin/sh", ENV=str(own))
    terminal.until(prompt)
    assert who(terminal, prompt) == f"arn:aws:sts::{cloud.account_id}:assumed-role/sagehound-user/sagehound"
    terminal.type("exit 4")
    assert terminal.ended() == 4


def test_without_a_terminal_it_reads_commands(cloud, open_shell, tmp_path) -> None:
    done = subprocess.run(
        sagehound("shell", "--data-dir", str(cloud.data_dir)),
        env=own_environment(tmp_path, SHELL="/bin/bash"),
        input="echo $HTTPS_PROXY; exit 6\n", capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (6, f"{cloud.endpoint_url}\n")


def test_a_shell_that_is_not_there(open_shell) -> None:
    terminal = open_shell("/no/such/shell")
    terminal.until("/no/such/shell: no such program")
    assert terminal.ended() == 127
