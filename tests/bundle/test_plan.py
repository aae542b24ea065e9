"""A sealing plan: what will be sealed, as a value."""

import io
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count

import pytest

import capseal
from capseal import Statement, UsageError
from capseal.bundle.plan import OPEN_ENCRYPTION, OPEN_PAYLOAD, SealingPlan
from capseal.bundle.seal import encrypt_payload
from capseal.format.statement import Content
from capseal.format.strictjson import Role
from capseal.io.source import open_source

CREATED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
CONTENT = bytes(range(256)) * 4100  # three segments


def statement(**changes) -> Statement:
    """What a plan is made of."""
    return replace(
        Statement(
            app="com.example.game",
            version="1.2.3",
            sequence=7,
            channel="production",
            role=Role.PRODUCTION,
            created=CREATED,
            content=Content("dist.zip", "application/zip", len(CONTENT)),
            payload=OPEN_PAYLOAD,
            encryption=OPEN_ENCRYPTION,
        ),
        **changes,
    )


def counting() -> Callable[[int], bytes]:
    """Entropy that is 1, 1, …, then 2, 2, …"""
    numbers = count(1)
    return lambda size: bytes([next(numbers)]) * size


@pytest.fixture
def plan(recipient):
    return SealingPlan.make(statement(), recipients=[recipient.public_key], entropy=counting())


def test_entropy_is_drawn_once_in_the_order_that_is_promised(plan):
    assert (plan.header.salt, plan.header.nonce_prefix, plan.session_key) == (b"\1" * 32, b"\2" * 7, b"\3" * 32)


def test_salt_nonce_prefix_and_key_are_drawn_in_their_full_length(recipient):
    asked: list[int] = []
    SealingPlan.make(
        statement(), recipients=[recipient.public_key], entropy=lambda size: asked.append(size) or bytes(size)
    )
    assert asked == [32, 7, 32]


def test_every_plan_has_a_key_of_its_own(recipient):
    plans = [SealingPlan.make(statement(), recipients=[recipient.public_key]) for _ in range(3)]
    assert len({plan.session_key for plan in plans}) == 3
    assert len({plan.header.encode() for plan in plans}) == 3


def test_a_plan_shows_no_session_key(plan):
    shown = f"{plan!r} {plan}"
    assert "session_key" not in shown
    assert repr(plan.session_key)[2:-1] not in shown
    assert plan.session_key.hex() not in shown


def test_a_plan_is_what_seal_makes_and_signs(plan, signer, recipient, trust):
    output = io.BytesIO()
    made = capseal.seal(
        io.BytesIO(CONTENT), output, signer=signer, recipients=[recipient.public_key], app="com.example.game",
        version="1.2.3", sequence=7, name="dist.zip", unpackable=False, created=CREATED,
        entropy=counting(),
    )  # fmt: skip
    with closing(open_source(io.BytesIO(CONTENT))) as source:
        index, content_bytes = encrypt_payload(source, plan.cipher)
    signed = plan.sign(index, content_bytes, [signer])
    assert signed.index == made.index
    ours, theirs = signed.statement, made.statement
    assert (ours.payload, ours.content) == (theirs.payload, theirs.content)
    assert ours.encryption.commitment == theirs.encryption.commitment
    payload = output.getvalue()[len(made.encode()) :]
    capseal.verify(io.BytesIO(payload), trust=trust, seal=signed.encode())
    plain = io.BytesIO()
    capseal.unseal(io.BytesIO(payload), plain, identity=recipient, trust=trust, seal=signed.encode())
    assert plain.getvalue() == CONTENT


def test_the_seals_size_is_known_before_anything_is_encrypted(plan, signer, signer2):
    for signers in ([signer], [signer, signer2]):
        with closing(open_source(io.BytesIO(CONTENT))) as source:
            index, content_bytes = encrypt_payload(source, plan.cipher)
        assert len(plan.sign(index, content_bytes, signers).encode()) == plan.seal_bytes(signers)


def test_a_content_of_unknown_size_gets_its_size_when_it_is_signed(signer, recipient):
    unknown = statement(content=Content("dist.zip", "application/zip", 0))
    plan = SealingPlan.make(unknown, recipients=[recipient.public_key])
    with closing(open_source(io.BytesIO(CONTENT))) as source:
        index, content_bytes = encrypt_payload(source, plan.cipher)
    signed = plan.sign(index, content_bytes, [signer]).statement
    assert (signed.content.size, signed.payload.size) == (len(CONTENT), len(CONTENT) + 40 + 3 * 16)


def test_what_no_reader_would_accept_is_not_planned(recipient, signer):
    with pytest.raises(UsageError, match="no recipient"):
        SealingPlan.make(statement(), recipients=[])
    for changes in ({"app": "two words"}, {"sequence": 0}, {"custom": {"at": CREATED}}):
        with pytest.raises(UsageError):
            SealingPlan.make(statement(**changes), recipients=[recipient.public_key])
    plan = SealingPlan.make(statement(), recipients=[recipient.public_key])
    with pytest.raises(UsageError):
        plan.seal_bytes([])
