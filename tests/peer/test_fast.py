"""The allowed-fast set of BEP 6."""

from __future__ import annotations

from ipaddress import IPv4Address

from btresearch.peer import allowed_fast_set

INFOHASH = b"\xaa" * 20
ADDRESS = IPv4Address("80.4.4.200")


def test_vectors_of_bep_6() -> None:
    # BEP 6, "Allowed Fast Set Generation": the two results that it lists
    seven = [1059, 431, 808, 1217, 287, 376, 1188]
    assert allowed_fast_set(INFOHASH, ADDRESS, 1313, 7) == seven
    assert allowed_fast_set(INFOHASH, ADDRESS, 1313, 9) == [*seven, 353, 508]


def test_neighbours_share_a_set() -> None:
    assert allowed_fast_set(INFOHASH, IPv4Address("80.4.4.1"), 1313) == allowed_fast_set(
        INFOHASH, ADDRESS, 1313
    )
    assert allowed_fast_set(INFOHASH, IPv4Address("80.4.5.200"), 1313) != allowed_fast_set(
        INFOHASH, ADDRESS, 1313
    )


def test_never_more_than_there_are() -> None:
    assert sorted(allowed_fast_set(INFOHASH, ADDRESS, 3)) == [0, 1, 2]
    assert len(set(allowed_fast_set(INFOHASH, ADDRESS, 1313))) == 10
