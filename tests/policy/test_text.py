"""Where statements stand in a document's text, and what they use."""

from __future__ import annotations

import json

import pytest

from sagehound.localcloud.policy.document import compile_policy
from sagehound.localcloud.policy.text import Position, context_keys, statements
from sagehound.localcloud.services.iam import aws_policies
from tests.policy.cases import make


def test_positions_are_those_of_awss_examples() -> None:
    """From the examples of the aws CLI: simulate-custom-policy and simulate-principal-policy."""
    one = (
        '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"dynamodb:*","Resource":"*",'
        '"Condition":{"DateGreaterThan":{"aws:CurrentTime":"2018-08-16T12:00:00Z"}}}}'
    )
    (found,) = statements(one)
    assert (found.start, found.end) == (Position(1, 38), Position(1, 167))
    lines = ["{", '    "Version": "2012-10-17",', '    "Statement": [', "        {", '            "Sid": "Editor",']
    lines += ['            "Effect": "Allow",', '            "Action": "codecommit:ListRepositories",']
    lines += ['            "Resource": "*"', "        }", "    ]", "}"]
    (found,) = statements("\n".join(lines))
    assert (found.start, found.end) == (Position(3, 19), Position(9, 10))


@pytest.mark.parametrize(("indent", "separators"), [(None, None), (None, (",", ":")), (0, None), (4, (" , ", " : "))])
def test_every_statement_is_found_as_it_was_written(indent: int | None, separators: tuple[str, str] | None) -> None:
    for case in make(7, 50):
        for policy in case.identity:
            text = json.dumps(policy, indent=indent, separators=separators)
            lines = text.splitlines()
            written = policy["Statement"] if isinstance(policy["Statement"], list) else [policy["Statement"]]
            assert len(statements(text)) == len(written)
            for found, statement in zip(statements(text), written, strict=True):
                start = sum(map(len, lines[: found.start.line - 1])) + found.start.line - 1 + found.start.column - 1
                end = sum(map(len, lines[: found.end.line - 1])) + found.end.line - 1 + found.end.column - 1
                piece = text[start:end].lstrip(", \n")
                assert json.loads(piece if piece.startswith("{") else "{" + piece) == statement


def test_context_keys_of_conditions_and_variables() -> None:
    document = json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Action": "s3:*",
                    "Resource": ["arn:aws:s3:::b/${aws:username}/*", "arn:aws:s3:::b/${aws:PrincipalTag/t, 'x'}/${*}"],
                    "Condition": {"StringLike": {"s3:prefix": ["${aws:userid}/*", "${$}"], "AWS:UserName": "a"}},
                }
            ],
        }
    )
    assert context_keys(statements(document)) == ["s3:prefix", "aws:userid", "AWS:UserName"]
    assert statements(document)[0].variables == ("aws:username",)
    older = document.replace("2012-10-17", "2008-10-17")
    assert context_keys(statements(older)) == ["s3:prefix", "AWS:UserName"]


def test_all_policies_of_aws_are_understood() -> None:
    names = [policy["Arn"] for policy in aws_policies.described()]
    assert len(names) > 1000
    for arn in names[::40]:
        found = aws_policies.find(arn)
        assert found is not None
        text = json.dumps(found["Document"])
        policy = compile_policy(text, arn)
        assert not policy.error, (arn, policy.error)
        assert len(policy.statements) == len(statements(text)) > 0
