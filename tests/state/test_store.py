"""The store: records come back as they were, transactions hold together, and kill -9 loses nothing acknowledged."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagehound.localcloud.state.store import Store, dumps, loads

WRITER = """
import sys
from pathlib import Path
from sagehound.localcloud.state.store import Store
store = Store(Path(sys.argv[1]))
for number in range(10**9):
    store.put("job", "us-east-1", f"{number:09d}", {"Number": number})
    print(number, flush=True)
"""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "cloud.sqlite")


def test_a_record_comes_back_as_it_was(store: Store) -> None:
    record = {"Name": "ü", "When": datetime(2026, 11, 22, 1, 2, 3, 456000, UTC), "Blob": b"\x00\xff", "List": [1, None]}
    store.put("thing", "us-east-1", "a", record)
    assert store.get("thing", "us-east-1", "a") == record
    assert store.get("thing", "eu-west-1", "a") is None


def test_add_refuses_a_taken_name_and_keeps_the_first(store: Store) -> None:
    assert store.add("thing", "", "a", {"n": 1})
    assert not store.add("thing", "", "a", {"n": 2})
    assert store.get("thing", "", "a") == {"n": 1}


def test_list_is_ordered_by_name_and_told_apart_by_kind_and_region(store: Store) -> None:
    for region, name in (("b", "2"), ("a", "2"), ("a", "10")):
        store.put("thing", region, name, {"at": region + name})
    store.put("other", "a", "1", {"at": "other"})
    assert [each["at"] for each in store.list("thing", "a")] == ["a10", "a2"]
    assert [each["at"] for each in store.list("thing")] == ["a10", "a2", "b2"]


def test_a_failed_transaction_leaves_nothing_even_when_nested(store: Store) -> None:
    with pytest.raises(RuntimeError), store.transaction():
        store.put("thing", "", "outer", {})
        with store.transaction():
            store.put("thing", "", "inner", {})
        raise RuntimeError
    assert store.list("thing") == []
    with store.transaction():
        store.put("thing", "", "after", {})
    assert len(store.list("thing")) == 1


def test_many_threads_write_at_once(store: Store) -> None:
    def write(thread: int) -> None:
        for number in range(50):
            store.put("thing", str(thread), str(number), {})

    threads = [threading.Thread(target=write, args=(each,)) for each in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.list("thing")) == 400


def test_every_acknowledged_record_survives_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "cloud.sqlite"
    for _ in range(3):
        process = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        acknowledged = [int(process.stdout.readline()) for _ in range(200)]
        process.kill()
        acknowledged += [int(line) for line in process.stdout.read().splitlines()]
        process.wait()
        store = Store(path)
        kept = {record["Number"] for record in store.list("job")}
        assert set(acknowledged) <= kept
        assert store.execute("PRAGMA integrity_check")[0][0] == "ok"
        store.close()


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text() | st.binary(), st.lists))
def test_any_value_survives_the_round_trip(value: object) -> None:
    assert loads(dumps({"value": value, "more": 1})) == {"value": value, "more": 1}


def test_a_commit_that_fails_leaves_room_for_the_next(store: Store) -> None:
    store.create_tables(
        "PRAGMA foreign_keys = ON; CREATE TABLE one (id INTEGER PRIMARY KEY);"
        "CREATE TABLE two (one INTEGER REFERENCES one DEFERRABLE INITIALLY DEFERRED);"
    )
    with pytest.raises(sqlite3.IntegrityError), store.transaction() as connection:
        connection.execute("INSERT INTO two VALUES (7)")
    with store.transaction():
        store.put("job", "", "next", {})
    assert store.get("job", "", "next") == {}
    assert store.execute("SELECT * FROM two") == []
