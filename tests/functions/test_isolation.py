"""What a function cannot reach: other functions, their credentials and APIs, the cloud's data, the machine."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import psutil

import sagehound
from tests.functions.bench import Bench

# Where the interpreter and its packages may lie: what a function sees of them is the path to them.
INTERPRETER = [Path(sys.prefix), Path(sys.base_prefix), Path(sagehound.__file__)]

LOOK = """
    import os

    def lambda_handler(event, context):
        def tried(do):
            try:
                return do()
            except OSError as error:
                return type(error).__name__
        return {
            "secret": tried(lambda: open(event["secret"]).read()),
            "listed": tried(lambda: os.listdir(event["folder"])),
            "written": tried(lambda: open("/var/task/new.py", "w")) and tried(lambda: open("/new", "w")),
            "processes": sorted(int(name) for name in os.listdir("/proc") if name.isdigit()),
            "environments": [
                text for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid()
                for text in [tried(lambda: open(f"/proc/{name}/environ").read())]
            ],
            "root": sorted(os.listdir("/")),
            "test": tried(lambda: open(event["test"]).read()),
            "home": tried(lambda: os.listdir("/root")),
            "shadow": tried(lambda: open("/etc/shadow").read()),
            "uid": os.getuid(),
            "capabilities": [line.split()[1] for line in open("/proc/self/status") if line.startswith("CapEff")],
            "becomes_root": tried(lambda: os.setuid(0)),
            "task": os.listdir("/var/task"),
            "tmp": os.listdir("/tmp"),
        }
"""


async def test_a_function_sees_its_own_code_and_tmp_and_nothing_else_of_this_machine(private: Bench) -> None:
    secret = private.folder / "root-credentials.json"
    secret.write_text("the keys of root")
    secret.chmod(0o644)
    spec = private.function(LOOK)
    other = private.function("def lambda_handler(event, context):\n    open('/tmp/mine', 'w').write('x')\n")
    await private.invoke(other)
    seen = await private.answer(spec, {"secret": str(secret), "folder": str(private.folder), "test": __file__})
    assert seen["secret"] == "FileNotFoundError"
    assert seen["listed"] == "FileNotFoundError"
    assert seen["written"] == "OSError"
    assert seen["processes"] == [1, 2]
    assert set(seen["environments"]) <= {"PermissionError", ""}
    assert seen["test"] == "FileNotFoundError"
    assert not {"boot", "run", "srv"} & set(seen["root"])
    # The interpreter may lie in somebody's home; then the path to it is there, and nothing else.
    assert seen["home"] in ("FileNotFoundError", "PermissionError") or len(seen["home"]) <= 1
    assert seen["shadow"] == "FileNotFoundError"
    assert seen["uid"] != 0
    assert seen["capabilities"] == ["0000000000000000"]
    assert seen["becomes_root"] in ("PermissionError", "OSError")  # the latter where no root is known inside
    assert seen["task"] == ["handler.py"]
    # Its own /tmp is empty, but for the path to an interpreter that lies below this machine's /tmp.
    assert set(seen["tmp"]) <= {path.parts[2] for path in INTERPRETER if path.is_relative_to("/tmp")}


async def test_a_folder_that_is_visible_is_covered_where_it_holds_the_clouds_data(private: Bench) -> None:
    """A cloud whose data lie below the interpreter's folder, as careless as that would be."""
    spec = private.function("import os\ndef lambda_handler(event, context):\n    return os.listdir('/usr/share')\n")
    assert await private.answer(spec) != []
    async with Bench(private.folder / "covered", hidden=(Path("/usr/share"),)) as covered:
        spec = covered.function("import os\ndef lambda_handler(e, c):\n    return os.listdir('/usr/share')\n")
        assert await covered.answer(spec) == []


async def test_another_functions_runtime_api_refuses_a_function_that_finds_its_port(private: Bench) -> None:
    victim = private.function("""
        import os, time
        def lambda_handler(event, context):
            if event == "address":
                return os.environ["AWS_LAMBDA_RUNTIME_API"]
            time.sleep(event)
            return "the victim's own answer"
    """)
    address = await private.answer(victim, "address")
    port = int(address.rpartition(":")[2])
    thief = private.function("""
        import http.client
        def lambda_handler(event, context):
            found = []
            for host in (None, "127.0.0.1", "localhost"):
                connection = http.client.HTTPConnection("127.0.0.1", event, timeout=5)
                connection.request("GET", "/2018-06-01/runtime/invocation/next", headers={"Host": host} if host else {})
                found.append(connection.getresponse().status)
            connection = http.client.HTTPConnection("127.0.0.1", event, timeout=5)
            connection.request("POST", "/2018-06-01/runtime/init/error", b"{}", {"Host": "x.runtime"})
            return found + [connection.getresponse().status]
    """)
    waiting = asyncio.create_task(private.answer(victim, 0.3))
    assert await private.answer(thief, port) == [403, 403, 403, 403]
    assert await waiting == "the victim's own answer"


async def test_tmp_is_as_large_as_the_ephemeral_storage_and_the_environments_own(private: Bench) -> None:
    spec = private.function(
        """
        import os
        def lambda_handler(event, context):
            try:
                with open("/tmp/file", "wb") as file:
                    for _ in range(event):
                        file.write(b"x" * (1 << 20))
            except OSError as error:
                return error.strerror
            return os.path.getsize("/tmp/file")
        """,
        ephemeral_storage=16,
    )
    assert await private.answer(spec, 8) == 8 << 20
    assert await private.answer(spec, 32) == "No space left on device"


async def test_layers_lie_over_each_other_below_opt(private: Bench) -> None:
    layers = []
    for number in (1, 2):
        layer = private.folder / f"layer{number}"
        (layer / "python").mkdir(parents=True)
        (layer / "python" / "shared_module.py").write_text(f"value = {number}\n")
        (layer / "python" / f"only{number}.py").write_text("")
        layers.append(layer)
    spec = private.function(
        """
        import os, shared_module, only1, only2
        def lambda_handler(event, context):
            return [shared_module.value, shared_module.__file__, sorted(os.listdir("/opt"))]
        """,
        layers=tuple(layers),
    )
    assert await private.answer(spec) == [2, "/opt/python/shared_module.py", ["python"]]
    assert (layers[0] / "python" / "shared_module.py").read_text() == "value = 1\n"


async def test_what_is_installed_beside_the_cloud_is_not_importable(bench: Bench) -> None:
    spec = bench.function("""
        import boto3, importlib.util
        def lambda_handler(event, context):
            return [name for name in ("moto", "uvicorn", "pytest", "sagehound") if importlib.util.find_spec(name)]
    """)
    assert await bench.answer(spec) == []


async def test_no_function_survives_its_main_process(private: Bench) -> None:
    spec = private.function("""
        import os, subprocess
        def lambda_handler(event, context):
            for _ in range(40):  # the kernel takes its time to end so many
                subprocess.Popen(["sleep", "6789.125"], start_new_session=True)
            os._exit(1)
    """)
    outcome = await private.invoke(spec)
    assert json.loads(outcome.payload)["errorType"] == "Runtime.ExitError"
    assert not running("6789.125")


async def test_no_function_survives_its_main_process_without_a_sandbox_either(open_bench: Bench) -> None:
    spec = open_bench.function("""
        import os, subprocess
        def lambda_handler(event, context):
            subprocess.Popen(["sleep", "6789.375"], start_new_session=True)
            os._exit(1)
    """)
    await open_bench.invoke(spec)
    assert not running("6789.375")


def running(argument: str) -> list[int]:
    """The processes that have this argument."""
    return [process.pid for process in psutil.process_iter(["cmdline"]) if argument in (process.info["cmdline"] or [])]


async def test_code_that_was_unpacked_under_a_strict_umask_can_be_read(tmp_path: Path) -> None:
    previous = os.umask(0o077)
    try:
        bench = Bench(tmp_path)
        await bench.engine.start()
        await bench.engine.ready()
        spec = bench.function("import package.module\ndef lambda_handler(event, context):\n    return 'read'\n")
        (spec.code / "package").mkdir()
        (spec.code / "package" / "module.py").write_text("")
    finally:
        os.umask(previous)
    try:
        assert await bench.answer(spec) == "read"
    finally:
        await bench.engine.stop()
