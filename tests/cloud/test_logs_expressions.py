"""Regular expressions in filter patterns mean what they mean to Python, and never take more than linear time."""

from __future__ import annotations

import re
import time

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from sagehound.localcloud.services.logs.regular_expression import BadExpression, RegularExpression
from tests.cloud_process import CloudProcess

ATOMS = st.sampled_from(["a", "b", ".", "[ab]", "[^a]", r"\d", r"\W", "^", "$", "1", "[a-c1]", r"[\w-]"])
EXPRESSIONS = st.recursive(
    ATOMS,
    lambda inner: (
        st.tuples(inner, inner).map("".join)
        | st.tuples(inner, inner).map(lambda pair: f"({pair[0]}|{pair[1]})")
        | st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{1,2}", "{2,}", "*?"])).map(
            lambda p: f"({p[0]}){p[1]}"
        )
    ),
    max_leaves=6,
)


@given(expression=EXPRESSIONS, text=st.text("ab1- ", max_size=8))
def test_it_finds_what_python_finds(expression: str, text: str) -> None:
    assert RegularExpression(expression).search(text) == (re.search(expression, text) is not None)


@pytest.mark.parametrize("expression", ["(a+)+$", "(a|a)*b", ".*x", "(.*)(.*)(.*)x", "(a*)*b", "a{0,60}a{60}b"])
def test_no_expression_takes_its_time(expression: str) -> None:
    assert not RegularExpression(expression).search("a" * 100_000 + "!")


@pytest.mark.parametrize(
    "expression", ["(a)\\1", "a(?=b)", r"\bword", "(", "a{501}", "(?i)a", "(?i:b)", "[", "(a{100}){100}"]
)
def test_what_cannot_be_is_refused(expression: str) -> None:
    with pytest.raises(BadExpression):
        RegularExpression(expression)


@pytest.mark.local_only
def test_a_hostile_expression_keeps_nobody_waiting(cloud: CloudProcess) -> None:
    logs, names = cloud.client("logs"), {"logGroupName": f"expressions-{time.time_ns()}"}
    logs.create_log_group(**names)
    logs.create_log_stream(**names, logStreamName="s")
    now = int(time.time() * 1000)
    events = [{"timestamp": now, "message": text} for text in ("a" * 50 + "!", "code 503", "code 200")]
    logs.put_log_events(**names, logStreamName="s", logEvents=events)
    assert logs.filter_log_events(**names, filterPattern="%(a+)+$%")["events"] == []
    found = logs.filter_log_events(**names, filterPattern="%code 5[0-9]{2}$%")["events"]
    assert [event["message"] for event in found] == ["code 503"]
    with pytest.raises(ClientError, match="Invalid filter pattern"):
        logs.filter_log_events(**names, filterPattern="%(a%")
