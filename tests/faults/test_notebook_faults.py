"""Notebook instances outlive a killed server, come back after a stop, and are started again when they are lost."""

from __future__ import annotations

import contextlib
import sqlite3

import pytest

from tests.cloud.notebooks import Browser, Notebooks
from tests.waiting import is_alive, wait_for

pytestmark = pytest.mark.timeout(400)


WHO = "import boto3; me = boto3.Session(); print(me.get_credentials().access_key)"


def test_kill_9_of_the_server_leaves_the_session_open(own_cloud) -> None:
    notebooks = Notebooks(own_cloud)
    name = notebooks.create()
    notebooks.wait(name, "InService")
    browser = Browser(notebooks.link(name))
    before, keys = browser.run("import os; print(os.getppid())"), browser.run(WHO)
    own_cloud.restart(kill=True)
    assert notebooks.describe(name)["NotebookInstanceStatus"] == "InService"
    assert browser.run("import os; print(os.getppid())") == before
    # Its role's keys are new ones: the old ones may be half a day old.
    wait_for(lambda: browser.run(WHO) != keys, "the new keys")
    # Its output is followed by the new server: a line of JupyterLab's log that was written after the restart.
    browser.get("/api/contents/after-the-restart")
    wait_for(
        lambda: any("after-the-restart" in line for line in notebooks.lines(name, "jupyter.log")), "the log to go on"
    )
    notebooks.stop(name)
    notebooks.delete(name)


def test_kill_9_while_a_script_runs_neither_ends_nor_repeats_it(own_cloud, tmp_path) -> None:
    notebooks, go = Notebooks(own_cloud), tmp_path / "go"
    script = f"echo began >> {tmp_path}/runs; until [ -e {go} ]; do sleep 0.05; done; echo the script is through"
    name = notebooks.create(LifecycleConfigName=notebooks.config(OnCreate=script))
    wait_for((tmp_path / "runs").exists, "the script to begin")
    own_cloud.restart(kill=True)
    assert notebooks.describe(name)["NotebookInstanceStatus"] == "Pending"
    go.touch()
    notebooks.wait(name, "InService")
    assert (tmp_path / "runs").read_text() == "began\n"
    assert notebooks.lines(name, "LifecycleConfigOnCreate") == ["the script is through"]


def test_it_goes_down_with_the_server_and_comes_back_with_the_next(own_cloud) -> None:
    notebooks = Notebooks(own_cloud)
    config = notebooks.config(OnStart="echo start >> /home/ec2-user/SageMaker/starts")
    name = notebooks.create(LifecycleConfigName=config)
    notebooks.wait(name, "InService")
    init = notebooks.machine(name)
    below = init.children(recursive=True)
    own_cloud.stop()
    assert [process for process in (init, *below) if is_alive(process)] == []
    own_cloud.start()
    notebooks.wait(name, "InService")
    browser = Browser(notebooks.link(name))
    assert browser.file("starts") == "start\nstart\n"
    # Its machine is lost: it is started again, and is not in service meanwhile.
    notebooks.machine(name).kill()
    wait_for(lambda: notebooks.describe(name)["NotebookInstanceStatus"] == "Pending", "the loss to be seen")
    notebooks.wait(name, "InService")
    assert Browser(notebooks.link(name)).file("starts") == "start\nstart\nstart\n"


def test_a_log_that_could_not_be_stored_keeps_no_instance_from_being_stopped(own_cloud) -> None:
    notebooks = Notebooks(own_cloud)
    name = notebooks.create()
    notebooks.wait(name, "InService")
    browser = Browser(notebooks.link(name))
    with contextlib.closing(sqlite3.connect(own_cloud.data_dir / "cloud.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        browser.get("/api/contents/while-nothing-is-stored")
        wait_for(lambda: f"notebook instance {name}\nTraceback" in own_cloud.log(), "the fault to be said")
        other.execute("ROLLBACK")
    init = notebooks.machine(name)
    notebooks.stop(name)
    assert not is_alive(init)
    # What was printed meanwhile is stored after all, once.
    lines = notebooks.lines(name, "jupyter.log")
    told = [line for line in lines if "while-nothing-is-stored" in line]
    assert len(told) == len(set(told)) > 0, told
    notebooks.delete(name)
