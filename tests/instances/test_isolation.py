"""What an instance cannot reach: the cloud's data, other instances, their roles, the settings of this machine."""

from __future__ import annotations

import os
from pathlib import Path

from sagehound.localcloud.instances import privacy

from .conftest import Lab


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
