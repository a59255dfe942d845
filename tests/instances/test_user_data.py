"""User data taken apart, and the steps that a first boot makes of it."""

from __future__ import annotations

import base64
import gzip
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText

import pytest

from sagehound.localcloud.instances import first_boot
from sagehound.localcloud.instances.boot_spec import Script, Steps
from sagehound.localcloud.instances.user_data import SIZE_LIMIT, Kind, Unreadable, parts

SCRIPT = b"#!/bin/bash\necho hello\n"
PACKED = gzip.compress(SCRIPT, mtime=0)  # its time would be part of a test's name


LARGE = {
    "BOMB": base64.b64encode(gzip.compress(bytes(SIZE_LIMIT + 1), mtime=0)).decode(),
    "HALF": base64.b64encode(gzip.compress(bytes(SIZE_LIMIT // 2), mtime=0)).decode(),
    "DEEP": "[" * 5000,
    "LONG": "9" * 5000,
}
"""By name, because what a test is given becomes its name."""


def texts(scripts: list[Script]) -> dict[str, bytes]:
    return {script["name"]: base64.b64decode(script["content"]) for script in scripts}


def multi_part(*given: tuple[str, str]) -> bytes:
    message = MIMEMultipart()
    for text, kind in given:
        message.attach(MIMEText(text, kind))
    return message.as_bytes()


def test_a_script_is_one_part() -> None:
    assert [(part.kind, part.content) for part in parts(SCRIPT)] == [(Kind.SCRIPT, SCRIPT)]


@pytest.mark.parametrize("given", [b"", b"\n \n"])
def test_empty_user_data_does_nothing(given: bytes) -> None:
    assert first_boot.steps(given) == Steps(notes=[], failed=False, writes=[], early=[], scripts=[])


def test_gzip_of_anything() -> None:
    assert texts(first_boot.steps(gzip.compress(SCRIPT))["scripts"]) == {"part-001": SCRIPT}


def test_mime_parts_run_in_order_and_runcmd_after_them() -> None:
    given = multi_part(
        ("#cloud-config\nruncmd:\n- echo last\n", "cloud-config"),
        ("#!/bin/sh\necho one\n", "x-shellscript"),
        ("#!/bin/sh\necho two\n", "plain"),  # cloud-init goes by the first line
    )
    steps = first_boot.steps(gzip.compress(given))
    found = texts(steps["scripts"])
    assert list(found) == ["part-002", "part-003", "runcmd"]
    assert b"echo last" in found["runcmd"]
    assert steps["notes"] == []


@pytest.mark.parametrize(
    ("damaged", "why"),
    [
        (PACKED[:-9], "cut short"),
        (PACKED[:-8] + bytes(8), "damaged"),
        (gzip.compress(bytes(SIZE_LIMIT + 1), mtime=0), "larger than"),
    ],
)
def test_damaged_gzip_is_said(damaged: bytes, why: str) -> None:
    with pytest.raises(Unreadable, match=why):
        list(parts(damaged))
    steps = first_boot.steps(damaged)
    assert steps["failed"]
    assert why in steps["notes"][0]


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        (b"echo no shebang\n", "text/x-not-multipart"),
        (b"#include\nhttp://example.com/x\n", "text/x-include-url"),
        (b"#cloud-boothook\n#!/bin/sh\n", "text/cloud-boothook"),
    ],
)
def test_what_is_not_carried_out_is_named(given: bytes, kind: str) -> None:
    steps = first_boot.steps(given)
    assert steps["failed"]
    assert steps["scripts"] == []
    assert f"({kind})" in steps["notes"][0]


CLOUD_CONFIG = """#cloud-config
packages: [unzip]
users: [default]
write_files:
- path: /etc/app.conf
  content: "a=1\\n"
  permissions: "0600"
  owner: ubuntu:ubuntu
- path: /srv/b
  encoding: gz+b64
  content: PACKED
  append: true
bootcmd:
- echo early
runcmd:
- [sh, -c, "echo 'a b' > /x"]
- echo two
""".replace("PACKED", base64.b64encode(gzip.compress(b"packed", mtime=0)).decode())


def test_cloud_config() -> None:
    steps = first_boot.steps(CLOUD_CONFIG.encode())
    app, packed = steps["writes"]
    assert (app["path"], app["mode"], app["owner"], app["append"]) == ("/etc/app.conf", 0o600, "ubuntu:ubuntu", False)
    assert base64.b64decode(app["content"]) == b"a=1\n"
    assert base64.b64decode(packed["content"]) == b"packed"
    assert packed["append"]
    run = texts(steps["scripts"])["runcmd"].decode()
    assert run == "#!/bin/sh\nsh -c 'echo '\"'\"'a b'\"'\"' > /x'\necho two\n"
    assert b"echo early" in texts(steps["early"])["bootcmd-001"]


def test_keys_without_effect_are_refused_by_name() -> None:
    steps = first_boot.steps(CLOUD_CONFIG.encode())
    assert steps["failed"]
    assert [note.split(" has no effect")[0] for note in steps["notes"]] == [
        "#cloud-config: packages",
        "#cloud-config: users",
    ]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("runcmd: [", "not YAML"),
        ("- a list", "not a mapping"),
        ("runcmd: echo", "not a list"),
        ("runcmd: [{a: b}]", "holds a dict"),
        ("write_files: [{content: x}]", "without a path"),
        ("write_files: [{path: /x, permissions: rw}]", "permissions"),
        ("write_files: [{path: /x, encoding: rot13}]", "encoding"),
        ("write_files: [{path: /x, encoding: gzip, content: x}]", "gzip"),
        ("write_files: [{path: /x, encoding: b64, content: x}]", "base64"),
        ("write_files: [{path: /x, encoding: gz+b64, content: BOMB}]", "larger than"),
        ("write_files: [&x {path: /x, encoding: gz+b64, content: HALF}, *x, *x]", "larger than"),
        ("write_files: [{path: /x, source: {uri: 'http://example.com/x'}}]", "/x has a source"),
        ("write_files: [{path: /x, content: [a]}]", "a list as its content"),
        ("runcmd: [[echo, [a]]]", "holds a list"),
        ("runcmd: DEEP", "nested too deeply"),
        ("x: 2021-13-45", "month must be in"),
        ("x: LONG", "not YAML"),
        ("x: !!bool perhaps", "not YAML"),
        ("x: !!timestamp now", "not YAML"),
        ("x: \0", "not YAML"),
    ],
)
def test_a_wrong_cloud_config_is_said_and_not_half_done(body: str, why: str) -> None:
    for name, text in LARGE.items():
        body = body.replace(name, text)
    steps = first_boot.steps(f"#cloud-config\n{body}\n".encode())
    assert steps["failed"]
    assert (steps["writes"], steps["scripts"], steps["early"]) == ([], [], [])
    assert why in steps["notes"][0]


def test_messages_that_are_none_are_said() -> None:
    deep = "".join(f"Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n" for n in range(3000))
    steps = first_boot.steps(f"{deep}Content-Type: text/plain\n\n#!/bin/sh\n".encode())
    assert steps["failed"]
    assert "cannot be read: its parts are nested too deeply" in steps["notes"][0]


def test_parts_are_bounded_together() -> None:
    """A few packed bytes do not fill the memory by being there several times."""
    half = base64.b64encode(gzip.compress(bytes(SIZE_LIMIT // 2 + 1), mtime=0)).decode()
    one = f"--x\nContent-Type: text/plain\nContent-Transfer-Encoding: base64\n\n{half}\n"
    steps = first_boot.steps(f"Content-Type: multipart/mixed; boundary=x\n\n{one}{one}--x--\n".encode())
    assert "larger than" in steps["notes"][0]


def test_gzip_of_several_members() -> None:
    assert texts(first_boot.steps(gzip.compress(SCRIPT) + gzip.compress(b"echo two\n"))["scripts"]) == {
        "part-001": SCRIPT + b"echo two\n"
    }


def test_line_ends_of_windows_are_those_of_scripts_only() -> None:
    assert texts(first_boot.steps(b"#!/bin/sh\r\necho a\r\n")["scripts"]) == {"part-001": b"#!/bin/sh\necho a\n"}
    mixed = b"#!/bin/sh\nprintf 'a\r\n'\r\n"  # its first line decides
    assert texts(first_boot.steps(mixed)["scripts"]) == {"part-001": mixed}
    steps = first_boot.steps(b"#cloud-config\r\nruncmd:\r\n- echo a\r\n- echo b\r\n")
    assert texts(steps["scripts"]) == {"runcmd": b"#!/bin/sh\necho a\necho b\n"}


def test_parts_run_by_the_names_of_their_files() -> None:
    message = MIMEMultipart()
    for text, name in (("c", "zz.sh"), ("unnamed", None), ("a", "../20 first.sh"), ("old", "same"), ("new", "same")):
        part = MIMEText(f"#!/bin/sh\necho {text}\n", "x-shellscript")
        if name is not None:
            part.add_header("Content-Disposition", "attachment", filename=name)
        message.attach(part)
    message.attach(MIMEText("#cloud-config\nruncmd: [echo run]\n", "cloud-config"))
    found = texts(first_boot.steps(message.as_bytes())["scripts"])
    assert list(found) == [".._20first.sh", "part-002", "runcmd", "same", "zz.sh"]
    assert found["same"] == b"#!/bin/sh\necho new\n"


def test_later_boots_have_only_bootcmd() -> None:
    later = first_boot.every_boot(CLOUD_CONFIG.encode())
    assert (later["scripts"], later["writes"], later["notes"], later["failed"]) == ([], [], [], False)
    assert list(texts(later["early"])) == ["bootcmd-001"]
