"""Tokens that stand for a session of a role."""

from __future__ import annotations

import pytest

from sagehound.caller_token import make_token, read_token

ARN = "arn:aws:iam::123456789012:role/service-role/sagehound-user"


@pytest.mark.parametrize("session", ["me", "", "SageMaker", "name@example.com"])
def test_a_token_tells_its_role_and_session(session: str) -> None:
    token = make_token("secret", ARN, session)
    assert read_token("secret", token) == (ARN, session)
    assert token.isascii()
    assert not set(token) & set(" \r\n\"'$,;")


def test_a_token_of_another_secret_or_of_another_role_is_none() -> None:
    token = make_token("secret", ARN, "me")
    claim, mac = token.split(".")
    other = make_token("secret", ARN + "x", "me").split(".")[0]
    for wrong in (
        *(make_token("other", ARN, "me"), f"{other}.{mac}", f"{claim}.", f"{claim}.{mac[:-1]}", f"{claim}.{mac}0"),
        *(claim, "", ".", "ä.ä", "Bearer " + token, token.upper()),
    ):
        assert read_token("secret", wrong) is None, wrong
