from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btresearch.transport import RemoteProtocolError
from btresearch.transport.btls import request
from btresearch.transport.btls.keys import Role
from tests.transport.btls import independent

CONTEXT = bytes(range(32))
ROLES: tuple[Role, ...] = ("initiator", "responder")
SCHEMES = frozenset({0x0403, 0x0807, 0x0804})


def made(*, kind: int = 13, context: bytes = CONTEXT, extensions: bytes | None = None) -> bytes:
    """A request with parts of our choosing."""
    block = extension(13, "0006 0403 0807 0804") if extensions is None else extensions
    body = independent.sized(context, 1) + independent.sized(block, 2)
    return bytes([kind]) + independent.sized(body, 3)


def extension(kind: int, content: str) -> bytes:
    return independent.uint(kind, 2) + independent.sized(bytes.fromhex(content), 2)


@pytest.mark.parametrize(("asker", "kind"), [("responder", 13), ("initiator", 17)])
def test_bytes_on_the_wire(asker: Role, kind: int) -> None:
    message = request.encode(asker, CONTEXT)
    assert message == independent.authenticator_request(kind, CONTEXT)
    assert len(message) == 51
    assert message[37:] == bytes.fromhex("000c 000d 0008 0006 0403 0807 0804")
    assert request.decode(asker, message) == (CONTEXT, SCHEMES)


@pytest.mark.parametrize("asker", ROLES)
def test_a_request_in_the_other_role_is_refused(asker: Role) -> None:
    other = ROLES[asker == "initiator"]
    with pytest.raises(RemoteProtocolError, match="message of type"):
        request.decode(asker, request.encode(other, CONTEXT))


def test_unknown_extensions_are_ignored() -> None:
    block = extension(0, "") + extension(13, "0002 0807") + extension(0xFAFA, "00 01 02")
    assert request.decode("responder", made(extensions=block)) == (CONTEXT, {0x0807})


WRONG = {
    "no context": made(context=b""),
    "31 bytes of context": made(context=bytes(31)),
    "33 bytes of context": made(context=bytes(33)),
    "no extensions": made(extensions=b""),
    "no signature_algorithms": made(extensions=extension(47, "0000")),
    "empty signature_algorithms": made(extensions=extension(13, "0000")),
    "odd signature_algorithms": made(extensions=extension(13, "0003 040308")),
    "signature_algorithms twice": made(extensions=extension(13, "0002 0807") * 2),
    "trailing byte": made() + b"\0",
    "two requests": made() * 2,
    "trailing byte inside": b"\x0d" + independent.sized(made()[4:] + b"\0", 3),
    "empty": b"",
}


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_requests_are_refused(wrong: str) -> None:
    with pytest.raises(RemoteProtocolError, match="btls"):
        request.decode("responder", WRONG[wrong])


def test_every_truncation_is_refused() -> None:
    whole = made()
    for length in range(len(whole)):
        with pytest.raises(RemoteProtocolError):
            request.decode("responder", whole[:length])


@given(st.binary(max_size=200))
@settings(deadline=None, max_examples=100)
def test_noise_raises_the_declared_error_alone(noise: bytes) -> None:
    for message in (noise, b"\x0d" + independent.sized(noise, 3)):
        try:
            context, _ = request.decode("responder", message)
        except RemoteProtocolError:
            continue
        assert len(context) == 32
