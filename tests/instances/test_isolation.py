"""What an instance cannot reach: the cloud's data, other instances, their roles, the settings of this machine."""

from __future__ import annotations

import asyncio
import os
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import psutil
import pytest

from sagehound.localcloud.instances import disk, privacy
from sagehound.localcloud.instances.init import FIRST_PROCESS

from .conftest import Lab, processes_of


async def test_the_machine_stays_as_it_is(private_lab: Lab) -> None:
    """Root inside changes programs and accounts of its own only, and keeps them over stop and start."""
    spec = private_lab.spec()
    handle = await private_lab.boot(spec)
    # An ordinary user's kernel lets nobody change the system's own folders, not even in an overlay.
    folders = [*(["/usr/lib"] if os.geteuid() == 0 else []), *privacy.python_folders(), "/usr"]
    script = "".join(f"echo changed > {folder}/sagehound-test\n" for folder in folders)
    script += "echo 'someone:x:1500:1500::/:/bin/sh' >> /etc/passwd"
    assert (await private_lab.sh(handle, f"set -e\n{script}"))[0].success
    assert not any(Path(folder, "sagehound-test").exists() for folder in folders)
    assert "someone" not in Path("/etc/passwd").read_text()
    await private_lab.engine.shut_down(handle, 10)
    handle = await private_lab.boot(spec, first=False)
    said = (await private_lab.sh(handle, f"cat {'/sagehound-test '.join(folders)}/sagehound-test; id -u someone"))[1]
    assert said == "changed\n" * len(folders) + "1500\n"


async def test_files_of_the_machine_are_not_there(private_lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("of this machine")
    (private_lab.data_dir / "credentials").parent.mkdir(exist_ok=True)
    (private_lab.data_dir / "credentials").write_text("root keys")
    handle = await private_lab.boot(private_lab.spec())
    for path in (tmp_path / "secret", private_lab.data_dir / "credentials", Path(__file__)):
        done, said = await private_lab.sh(handle, f"cat {path}")
        assert (done.code, "No such file" in said) == (1, True), said
    assert (await private_lab.sh(handle, "grep -c '\\$' /etc/shadow"))[1] == "0\n"
    # Through the first process, which has descriptors from before: nobody inside may follow them.
    done, said = await private_lab.sh(handle, "for fd in /proc/1/fd/* /proc/1/root/; do ls $fd/. ; done 2>&1")
    assert "boot.json" not in said
    assert "output.log" not in said


ATTEMPTS = (
    "mount -t tmpfs none /mnt",
    "mknod /tmp/disk b 254 0",
    "echo 1 > /proc/sys/vm/swappiness",
    "echo h > /proc/sysrq-trigger",
    "hostname other",
    "date -s 2001-01-01",
    "kill -9 1; ! ps -p 1 >/dev/null",
    "unshare --mount --pid --fork true",
)


async def test_root_inside_is_not_root_of_the_machine(private_lab: Lab) -> None:
    handle = await private_lab.boot(private_lab.spec())
    assert (await private_lab.sh(handle, "type mount mknod hostname date ps unshare"))[0].success
    for attempt in ATTEMPTS:
        done, said = await private_lab.sh(handle, attempt)
        assert not done.success, f"{attempt}: {said}"
        assert private_lab.engine.is_running(handle)


async def test_processes_of_others_are_not_seen(private_lab: Lab) -> None:
    one = await private_lab.boot(private_lab.spec("#!/bin/sh\nsleep 612\n", "i-0b1"))
    other = await private_lab.boot(private_lab.spec(name="i-0b2"))
    assert "612" in (await private_lab.sh(one, "cat /proc/*/cmdline | tr '\\0' ' '"))[1]
    said = (await private_lab.sh(other, "cat /proc/*/cmdline | tr '\\0' ' '; kill -9 -1"))[1]
    assert "612" not in said
    assert private_lab.engine.is_running(one)


async def test_the_keys_of_another_instance_are_not_given(private_lab: Lab) -> None:
    one = await private_lab.boot(private_lab.spec(name="i-0b1"))
    other = await private_lab.boot(private_lab.spec(name="i-0b2"))
    script = f"curl -s -o /dev/null -w '%{{http_code}}' -X PUT http://127.0.0.1:{one['port']}/latest/api/token "
    done, said = await private_lab.sh(other, script + '-H "X-aws-ec2-metadata-token-ttl-seconds: 60"')
    assert (done.code, said) == (0, "403")


async def test_users_of_the_image(private_lab: Lab) -> None:
    spec = private_lab.spec(public_keys=("ssh-ed25519 AAAAC3 my-key",))
    handle = await private_lab.boot(spec)
    said = (await private_lab.sh(handle, "stat -c %a /home/*/.ssh/authorized_keys; cat /home/*/.ssh/*; hostname"))[1]
    assert said == "600\n600\n" + "ssh-ed25519 AAAAC3 my-key\n" * 2 + "ip-172-31-5-4\n"
    said = (await private_lab.sh(handle, "sudo -u ubuntu -i pwd; sudo -E X=1 sh -c 'echo $X $USER'"))[1]
    assert said.splitlines()[-2:] == ["/home/ubuntu", "1 root"]


@pytest.mark.parametrize("kind", ["file", "folder"])
async def test_links_that_an_instance_leaves_are_not_followed(lab: Lab, tmp_path: Path, kind: str) -> None:
    """The server writes to its disk at the next boot, as whoever runs the server."""
    file, folder = tmp_path / "file", tmp_path / "folder"
    file.write_text("of this machine")
    folder.mkdir(mode=0o700)
    target = file if kind == "file" else folder
    spec = lab.spec()
    handle = await lab.boot(spec)
    replaced = ["etc/hosts", "etc/motd", "etc/hostname", "etc/profile.d", "opt/sagehound", "opt/pytorch/bin"]
    if not lab.private or os.geteuid() == 0:  # an ordinary user's kernel lets nobody change /usr/sbin
        replaced.append("usr/sbin")
    script = 'cd "$HOME/.." || exit 1\n' + "".join(
        f"rm -rf {one} && ln -s {target} {one} || exit 1\n" for one in replaced
    )
    script += f"mv -T root root.old && ln -s {target} root"  # this machine's Python may be mounted below
    done, said = await lab.sh(handle, script)
    assert done.success, said
    await lab.engine.shut_down(handle, 10)
    before = target.stat()
    handle = await lab.boot(spec, first=False)
    await lab.booted(spec, boots=2)
    after = target.stat()
    assert (after.st_mode, after.st_mtime_ns, after.st_ino) == (before.st_mode, before.st_mtime_ns, before.st_ino)
    assert file.read_text() == "of this machine"
    assert list(folder.iterdir()) == []
    assert lab.engine.is_running(handle)
    assert spec.hostname in (disk.disk_of(spec) / "etc/hosts").read_text()
    assert not (disk.disk_of(spec) / "etc/hosts").is_symlink()
    if lab.private:  # elsewhere the instance itself follows its links out of its disk
        done, said = await lab.sh(handle, "source activate PyTorch && command -v python3")
        assert (done.code, said) == (0, "/opt/pytorch/bin/python3\n")


async def test_pip_installs_into_the_instances_own_environment(lab: Lab) -> None:
    spec = lab.spec()
    handle = await lab.boot(spec)
    about = {
        "METADATA": "Metadata-Version: 2.1\nName: only_on_it\nVersion: 1.0\n",
        "WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "RECORD": "",
    }
    with zipfile.ZipFile(disk.disk_of(spec) / "srv/only_on_it-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr("only_on_it.py", "WORD = 'installed'\n")
        for member, content in about.items():
            archive.writestr(f"only_on_it-1.0.dist-info/{member}", content)
    script = """
        set -e
        source activate PyTorch
        pip install -q --no-index --disable-pip-version-check "$HOME"/../srv/*.whl
        python3 -c 'import only_on_it; print(only_on_it.WORD, only_on_it.__file__)'
    """
    done, said = await lab.sh(handle, script)
    library = f"opt/pytorch/lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages/only_on_it.py"
    assert (done.code, "installed /" in said, said.endswith(f"/{library}\n")) == (0, True, True), said
    assert (disk.disk_of(spec) / library).exists()
    found = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", "import only_on_it"], capture_output=True, check=False
    )
    assert b"ModuleNotFoundError" in found.stderr


async def test_the_network_of_others_is_not_listened_to(private_lab: Lab) -> None:
    handle = await private_lab.boot(private_lab.spec())
    code = "import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))"
    done, said = await private_lab.sh(handle, f"source activate PyTorch; python3 -c '{code}'")
    assert (done.code, "PermissionError: [Errno 1]" in said) == (1, True), said
    code = "import socket; socket.socket(socket.AF_INET, socket.SOCK_STREAM); print(0)"
    assert (await private_lab.sh(handle, f"source activate PyTorch; python3 -c '{code}'"))[1] == "0\n"


OWN_PROGRAM = """\
#!/proc/self/exe
import os
program = os.open("/proc/self/exe", os.O_RDONLY)
print("read-only:", bool(os.fstatvfs(program).f_flag & os.ST_RDONLY), flush=True)
os.set_inheritable(program, True)
write = f"true >> /proc/self/fd/{program} && echo written || echo refused"
os.execv("/bin/sh", ["sh", "-c", write])
"""


async def test_the_program_of_the_first_process_cannot_be_changed(private_lab: Lab) -> None:
    """A script that names it as its interpreter is run by a file of this machine, which is past the instance's root."""
    spec = private_lab.spec(OWN_PROGRAM.encode())
    await private_lab.boot(spec)
    console = await private_lab.booted(spec)
    assert "read-only: True\n" in console
    assert "refused\n" in console
    assert "written" not in console


async def test_devices_stay_whose_they_are(private_lab: Lab) -> None:
    handle = await private_lab.boot(private_lab.spec())
    before = os.stat("/dev/null")
    for attempt in ("chmod 600 /dev/null", "chown ubuntu /dev/null"):
        assert not (await private_lab.sh(handle, attempt))[0].success, attempt
    assert (await private_lab.sh(handle, "echo x > /dev/null && head -c 1 /dev/zero | wc -c"))[1] == "1\n"
    after = os.stat("/dev/null")
    assert (after.st_mode, after.st_uid) == (before.st_mode, before.st_uid)


async def test_the_first_process_has_no_folder_of_the_machine(private_lab: Lab) -> None:
    spec = private_lab.spec()
    await private_lab.boot(spec)
    await private_lab.booted(spec)
    first = [pid for pid in processes_of(spec.root) if FIRST_PROCESS in psutil.Process(pid).cmdline()]
    assert len(first) == 1
    opened = {path: os.stat(path).st_mode for path in Path(f"/proc/{first[0]}/fd").iterdir()}
    assert opened
    assert [os.readlink(path) for path, mode in opened.items() if stat.S_ISDIR(mode)] == []
