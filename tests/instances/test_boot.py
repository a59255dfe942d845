"""The first boot with real processes: the lines of the write-up, failing user data, #cloud-config, later boots."""

from __future__ import annotations

import http.server
import io
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sagehound.localcloud.instances import disk, stand_ins
from sagehound.localcloud.instances.spec import CONSOLE_LIMIT
from tests.waiting import until

from .conftest import Lab


@pytest.fixture
def pictures(tmp_path: Path) -> Iterator[str]:
    """A server of dogImages.zip; its address."""
    folder = tmp_path / "served"
    folder.mkdir()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for number in range(3):
            archive.writestr(f"dogImages/train/001.Affenpinscher/{number}.jpg", b"picture")
    (folder / "dogImages.zip").write_bytes(packed.getvalue())
    handler = type("Served", (http.server.SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), lambda *a: handler(*a, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}/dogImages.zip"
        server.shutdown()


WRITE_UP = """
    #!/bin/bash
    wget {address}
    unzip dogImages.zip
    mkdir TrainedModels
    cat > solution.py <<'END'
    import pathlib, torch
    pictures = sorted(pathlib.Path("dogImages").rglob("*.jpg"))
    torch.save({{"pictures": len(pictures)}}, "TrainedModels/model.pth")
    print("trained on", len(pictures), "pictures with torch", torch.__version__)
    END
    source activate PyTorch
    python3 solution.py
"""


def disk_path(lab: Lab, path: str) -> Path:
    """A path of the instance as this machine has it."""
    return disk.disk_of(lab.specs[-1]) / path.lstrip("/")


async def test_the_lines_of_the_write_up(lab: Lab, pictures: str) -> None:
    spec = lab.spec(WRITE_UP.format(address=pictures))
    handle = await lab.boot(spec)
    console = await lab.booted(spec)
    assert "trained on 3 pictures with torch 2" in console
    assert "WARNING" not in console
    assert disk_path(lab, "/TrainedModels/model.pth").stat().st_size > 0
    assert "trained on 3 pictures" in disk_path(lab, "/var/log/cloud-init-output.log").read_text()
    assert lab.engine.is_running(handle)
    assert spec.instance_id not in lab.endings


async def test_unzip_and_wget_of_a_machine_without_them(
    lab: Lab, pictures: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stand_ins.shutil, "which", lambda _name, **_members: None)
    spec = lab.spec(WRITE_UP.format(address=pictures).replace("python3 solution.py", "command -v unzip wget"))
    await lab.boot(spec)
    console = await lab.booted(spec)
    assert "this machine has no unzip" in console
    assert "inflating: dogImages/train/001.Affenpinscher/2.jpg" in console
    assert console.count("/opt/sagehound/bin/") >= 2
    assert disk_path(lab, "/dogImages/train/001.Affenpinscher/2.jpg").read_bytes() == b"picture"


async def test_user_data_that_fails_is_said_and_the_instance_runs_on(lab: Lab) -> None:
    spec = lab.spec("#!/bin/bash\nset -e\necho before\nls /no/such/folder\necho after\n")
    handle = await lab.boot(spec)
    console = await lab.booted(spec)
    assert "before" in console
    assert "after" not in console
    assert "Failed running /var/lib/cloud/instance/scripts/part-001 [2]" in console
    assert lab.engine.is_running(handle)
    assert (await lab.sh(handle, "cloud-init status --wait"))[1] == "status: error\n"


@pytest.mark.parametrize(
    ("user_data", "why"),
    [
        ("#!/no/such/shell\necho x\n", "cannot run /var/lib/cloud/instance/scripts/part-001: No such file"),
        ("echo no first line\n", "Unhandled non-multipart (text/x-not-multipart) userdata"),
    ],
)
async def test_user_data_that_cannot_be_run(lab: Lab, user_data: str, why: str) -> None:
    spec = lab.spec(user_data.encode())
    await lab.boot(spec)
    assert why in await lab.booted(spec)


async def test_a_script_with_line_ends_of_windows_runs(lab: Lab) -> None:
    spec = lab.spec(b"#!/bin/bash\r\nset -e\r\nfor word in one two; do\r\necho word $word\r\ndone\r\n")
    await lab.boot(spec)
    console = await lab.booted(spec)
    assert "word one\nword two\n" in console
    assert "WARNING" not in console


async def test_a_script_may_clear_the_state_of_cloud_init(lab: Lab) -> None:
    """As scripts do that prepare an image; what cloud-init then cannot write is said."""
    clear = b'#!/bin/sh\necho clears\nrm -rf "$HOME/../var/lib/cloud/"*\n'
    config = b"#cloud-config\nruncmd:\n- echo runs on\n"
    parts = b"".join(b"--x\nContent-Type: text/plain\n\n" + part + b"\n" for part in (clear, config))
    spec = lab.spec(b"Content-Type: multipart/mixed; boundary=x\n\n" + parts + b"--x--\n")
    handle = await lab.boot(spec)
    console = await lab.booted(spec)
    assert "clears\nruns on\n" in console
    assert "cloud-init[WARNING]" not in console  # the second script's folder is back
    await lab.engine.shut_down(handle, 10)
    handle = await lab.boot(lab.spec(clear, "i-0a2"))
    console = await lab.booted(lab.specs[-1])
    assert "Failed to write boot finished file /var/lib/cloud/instance/boot-finished: No such file" in console
    done, said = await lab.sh(handle, "cloud-init status --wait")
    assert (done.code, said) == (1, "status: error\n")
    assert lab.engine.is_running(handle)
    await lab.engine.reboot(handle)
    await lab.booted(lab.specs[-1], boots=2)
    assert (await lab.sh(handle, "cloud-init status --wait"))[1] == "status: done\n"


@pytest.mark.parametrize(
    "wrong",
    [
        "path: /srv/wrong, permissions: 99999999999999",
        'path: "/srv/wr\\0ong"',
        'path: "/srv/wr\\ud800ong"',
        "path: /",
        "path: /etc/passwd/below",
        "path: /run/initctl",
        "path: /srv/wrong, owner: nobody-of-this-name",
    ],
)
async def test_a_file_that_cannot_be_written_is_said(private_lab: Lab, wrong: str) -> None:
    entries = f"[{{{wrong}, content: x}}, {{path: /srv/right, content: written}}]"
    spec = private_lab.spec(f"#cloud-config\nwrite_files: {entries}\nruncmd: [cat /srv/right]\n")
    handle = await private_lab.boot(spec)
    console = await private_lab.booted(spec)
    assert "written" in console
    if "initctl" in wrong:
        assert "initctl: not understood: b'x'" in console  # the pipe of the first process, as anybody may write to it
        return
    assert "cloud-init[WARNING]: cannot write /" in console
    assert (await private_lab.sh(handle, "cloud-init status"))[1] == "status: error\n"
    assert private_lab.engine.is_running(handle)


async def test_a_pipe_in_the_place_of_a_file_of_cloud_init_holds_nothing_up(lab: Lab) -> None:
    script = b'#!/bin/sh\nmkfifo "$HOME/../var/lib/cloud/instance/boot-finished"\necho goes on\n'
    handle = await lab.boot(lab.spec(script))
    console = await lab.booted(lab.specs[-1])
    assert "goes on\n" in console
    assert "Failed to write boot finished file /var/lib/cloud/instance/boot-finished" in console
    assert lab.engine.is_running(handle)


async def test_what_an_instance_leaves_in_the_way_of_cloud_init(lab: Lab) -> None:
    spec = lab.spec("#!/bin/sh\necho hello\n")
    handle = await lab.boot(spec)
    await lab.booted(spec)
    script = """
        cd "$HOME/.." && rm -rf var/lib/cloud/instance var/log/cloud-init-output.log
        mkdir -p var/lib/cloud/instance/x var/log/cloud-init-output.log
    """
    assert (await lab.sh(handle, script))[0].success
    await lab.engine.reboot(handle)
    console = await lab.booted(spec, boots=2)
    assert "cannot write /var/log/cloud-init-output.log: " in console
    assert lab.engine.is_running(handle)


async def test_cloud_config_writes_files_before_it_runs_commands(lab: Lab) -> None:
    spec = lab.spec("""
        #cloud-config
        packages: [htop]
        write_files:
        - {path: /srv/greeting, content: "hello from a file", permissions: "0640"}
        runcmd:
        - cat $HOME/../srv/greeting
        - [echo, "two  words"]
    """)
    handle = await lab.boot(spec)
    console = await lab.booted(spec)
    assert "hello from a file" in console
    assert "two  words" in console
    assert "#cloud-config: packages has no effect in the local cloud" in console
    assert disk_path(lab, "/srv/greeting").stat().st_mode & 0o777 == 0o640
    assert (await lab.sh(handle, "cloud-init status"))[0].code == 1


@pytest.mark.parametrize("first", [True, False])
async def test_user_data_runs_once_and_the_disk_is_kept(lab: Lab, first: bool) -> None:
    spec = lab.spec('#!/bin/bash\necho once >> "$HOME/runs"\n')
    handle = await lab.boot(spec)
    await lab.booted(spec)
    assert (await lab.sh(handle, 'echo mine > "$HOME/note"'))[0].success
    await lab.engine.shut_down(handle, 10)
    handle = await lab.boot(spec, first=first)  # also for an owner that does not know of the first boot
    await lab.booted(spec, boots=2)
    assert (await lab.sh(handle, 'cat "$HOME/runs" "$HOME/note"'))[1] == "once\nmine\n"
    assert (await lab.sh(handle, "cloud-init status"))[1] == "status: done\n"


async def test_what_programs_are_told(lab: Lab) -> None:
    spec = lab.spec('#!/bin/sh\necho "$AWS_ENDPOINT_URL $USER"\n')
    handle = await lab.boot(spec, AWS_ENDPOINT_URL="http://127.0.0.1:4566")
    assert "\nhttp://127.0.0.1:4566 root\n" in await lab.booted(spec)
    done, said = await lab.sh(handle, 'echo "$AWS_ENDPOINT_URL $EXTRA"; nproc; aws --version', EXTRA="x")
    assert done.success, said
    assert said.startswith("http://127.0.0.1:4566 x\n1\naws-cli/")


ACTIVATIONS = (
    "source activate PyTorch",
    "conda activate pytorch",
    'eval "$(conda shell.bash hook)"; conda activate pytorch_p310',
    'set -- --epochs 1; source "$(dirname "$BASH_ENV")/../../../pytorch/bin/activate"',
)


async def test_ways_to_activate_pytorch(lab: Lab) -> None:
    handle = await lab.boot(lab.spec())
    found = "python3 -c 'import importlib.util; print(importlib.util.find_spec(\"torch\") is not None)'"
    for activation in ACTIVATIONS:
        done, said = await lab.sh(handle, f"{activation} && {found}")
        assert (done.code, said) == (0, "True\n"), activation
    for activation in ("source activate NoSuchOne", "conda activate NoSuchOne"):
        done, said = await lab.sh(handle, f"{activation} && echo activated")
        assert done.code == 1, said
        assert "Could not find conda environment: NoSuchOne" in said


async def test_the_console_gives_its_end(lab: Lab) -> None:
    spec = lab.spec("#!/bin/bash\nhead -c 200000 /dev/zero | tr '\\0' x\necho; echo the end\n")
    await lab.boot(spec)
    await lab.booted(spec)
    console = lab.engine.console(spec)
    assert len(console) == CONSOLE_LIMIT
    assert b"the end" in console


async def test_dev_console_is_the_console(private_lab: Lab) -> None:
    spec = private_lab.spec("#!/bin/bash\nexec > >(tee /var/log/user-data.log >/dev/console) 2>&1\necho to both\n")
    handle = await private_lab.boot(spec)
    await private_lab.booted(spec)
    await until(lambda: "to both" in private_lab.console(spec))  # tee ends after the script
    assert (await private_lab.sh(handle, "cat /var/log/user-data.log"))[1] == "to both\n"


async def test_a_program_beyond_the_types_memory_is_killed(lab: Lab) -> None:
    spec = lab.spec(memory_mib=256)
    handle = await lab.boot(spec)
    hungry = "import time; x = bytearray(400 << 20); print('has it', flush=True); time.sleep(60)"
    done, _said = await lab.sh(handle, f'source activate pytorch; exec python3 -c "{hungry}"')
    assert done.signal == 9
    assert "Out of memory: Killed process" in lab.console(spec)
    assert lab.engine.is_running(handle)
