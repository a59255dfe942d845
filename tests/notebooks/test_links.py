"""One-time links: who has no key makes none, who comes late or twice is refused, whatever else the token says."""

from __future__ import annotations

import base64
import json
import os
import time

import pytest

from sagehound.localcloud.notebooks.inside import links

KEY = b"k" * 32
NOW = 1_800_000_000.0


def test_a_link_opens_one_session(tmp_path) -> None:
    token = links.issue(KEY, NOW, 1800)
    used = tmp_path / "used"
    assert links.redeem(KEY, used, NOW + 299, token) == 1800
    assert links.redeem(KEY, used, NOW + 299, token) is None
    assert links.redeem(KEY, used, NOW + 1, links.issue(KEY, NOW, 43_200)) == 43_200


def test_a_link_is_good_for_five_minutes(tmp_path) -> None:
    token = links.issue(KEY, NOW, 1800)
    assert links.redeem(KEY, tmp_path / "used", NOW + links.LINK_SECONDS, token) is None
    assert links.redeem(KEY, tmp_path / "used", NOW + links.LINK_SECONDS - 0.001, token) == 1800


def test_nothing_of_a_token_can_be_changed(tmp_path) -> None:
    body, _, signature = links.issue(KEY, NOW, 1800).partition(".")
    content = json.loads(base64.urlsafe_b64decode(body))
    longer = base64.urlsafe_b64encode(json.dumps({**content, "session": 10**9}).encode()).decode()
    for token in (
        f"{longer}.{signature}",
        links.issue(b"another key", NOW, 1800),
        f"{body}.",
        body,
        "",
        ".",
        "ü.ü",
        f"{body}.{signature}x",
        f"../{body}.{signature}",
    ):
        assert links.redeem(KEY, tmp_path / "used", NOW, token) is None


@pytest.mark.parametrize(("age", "kept"), [(10, True), (3 * links.LINK_SECONDS, False)])
def test_what_has_expired_need_not_be_remembered(tmp_path, age, kept) -> None:
    used, now = tmp_path / "used", time.time()
    links.redeem(KEY, used, now, links.issue(KEY, now, 1800))
    (before,) = used.iterdir()
    os.utime(before, (now - age, now - age))
    links.redeem(KEY, used, now, links.issue(KEY, now, 1800))
    assert before.exists() is kept
