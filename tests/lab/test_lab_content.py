"""What is transferred: seeded, varied, and readable by others."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from btresearch.lab import certificates, content, workload
from btresearch.lab.actors import objects
from btresearch.peer.torrent import Torrent


def test_our_own_peer_reads_the_torrent(tmp_path: Path) -> None:
    made = content.make(tmp_path, 0, rng=random.Random(5), size_bytes=(200_000, 300_000))
    torrent = Torrent.load(made.torrent)
    assert torrent.infohash.hex() == made.infohash
    assert (torrent.name, torrent.total_bytes) == (made.name, made.size_bytes)


def test_the_seed_decides_name_size_and_bytes(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in "ab"]
    for folder in folders:
        folder.mkdir()
    one, two = (content.make(folder, 0, rng=random.Random(5), size_bytes=(10, 90_000)) for folder in folders)
    assert (one.infohash, one.sha256) == (two.infohash, two.sha256)
    assert content.arrived(one, folders[1])


def test_what_did_not_arrive_whole_is_noticed(tmp_path: Path) -> None:
    made = content.make(tmp_path, 0, rng=random.Random(5), size_bytes=(1000, 2000))
    assert not content.arrived(made, tmp_path / "elsewhere")
    path = tmp_path / made.name
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    assert not content.arrived(made, tmp_path)


def test_sizes_spread_over_orders_of_magnitude() -> None:
    rng = random.Random(1)
    sizes = [content.draw_size(rng, (1000, 1_000_000)) for _ in range(900)]
    assert min(sizes) >= 1000
    assert max(sizes) <= 1_000_000
    decades = [sum(low <= size < 10 * low for size in sizes) for low in (1000, 10_000, 100_000)]
    assert min(decades) > 220  # a third each, were the sample endless


@pytest.mark.parametrize("behaviour", workload.BEHAVIOURS)
def test_workloads_are_seeded_and_no_two_flows_alike(behaviour: str) -> None:
    first, again, other = (
        workload.draw(behaviour, random.Random(seed), flows=20, size_bytes=(60_000, 900_000))
        for seed in (1, 1, 2)
    )
    assert first == again != other
    assert len({repr(flow) for flow in first}) == 20
    assert all(step["down_bytes"] > 0 and step["up_bytes"] >= 0 for flow in first for step in flow)


def test_an_object_is_verified() -> None:
    objects.check(1000, objects.body(1000))
    with pytest.raises(SystemExit, match="1000 bytes"):
        objects.check(1000, objects.body(1000)[:-1] + b"?")


def test_a_site_has_a_chain_that_verifies(tmp_path: Path) -> None:
    made = certificates.site(tmp_path, "www.lab.test", random.Random(1))
    chain = x509.load_pem_x509_certificates(Path(made["chain"]).read_bytes())
    root = x509.load_pem_x509_certificate(Path(made["root"]).read_bytes())
    for below, above in zip(chain, [*chain[1:], root], strict=True):
        below.verify_directly_issued_by(above)
    names = chain[0].extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "www.lab.test" in names.get_values_for_type(x509.DNSName)
    assert Path(made["key"]).stat().st_mode & 0o077 == 0


def test_a_peer_of_an_ssl_torrent_has_a_certificate_for_any_name_and_the_group_of_rfc_7919(
    tmp_path: Path,
) -> None:
    root = certificates.authority("root")
    made = certificates.peer(tmp_path, root)
    certificate = x509.load_pem_x509_certificate(Path(made["chain"]).read_bytes())
    certificate.verify_directly_issued_by(root.certificate)
    parameters = subprocess.run(
        ["openssl", "dhparam", "-in", made["dh"], "-noout", "-text"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    if not parameters:
        pytest.skip("openssl is not here: install openssl")
    assert "GROUP: ffdhe2048" in parameters
    serialization.load_pem_private_key(Path(made["key"]).read_bytes(), password=None)
