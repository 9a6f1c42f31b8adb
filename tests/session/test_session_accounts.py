"""The file of accounts: who may read it, what it may say, and that no text of it comes out again."""

from __future__ import annotations

import contextlib
import ssl
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btresearch.errors import BtresearchError, InputError
from btresearch.session.accounts import Account, Accounts, SpkiPin, origin_of
from btresearch.session.errors import EnrolmentError

PASSWORD = "s3cret-s3cret"
PIN = "ab" * 32
ENTRY = f'["https://Tracker.Example"]\nuser = "ann"\npassword = "{PASSWORD}"\n'


def _file(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "accounts.toml"
    path.touch(mode=mode)
    path.write_text(text)
    path.chmod(mode)
    return path


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://Tracker.Example", "https://tracker.example"),
        ("https://tracker.example:443/", "https://tracker.example"),
        ("HTTPS://tracker.example:8443/announce?x=1", "https://tracker.example:8443"),
        ("https://[2001:DB8::1]:1/", "https://[2001:db8::1]:1"),
    ],
)
def test_origins_have_one_spelling(url: str, origin: str) -> None:
    assert origin_of(url) == origin


@pytest.mark.parametrize(
    "url",
    [
        "http://tracker.example",
        "ftp://tracker.example",
        "tracker.example",
        "https://",
        "https://tracker.example:99999",
        "https://tracker.example:x",
        "https://user@tracker.example",
        "https://ann:s3cret-s3cret@tracker.example",
        "https://trac ker.example",
        "https://tracker.example" + "/a" * 2000,
        "https://tracker.exämple",
        "https://[::1",
        "",
    ],
)
def test_urls_that_get_no_credentials(url: str) -> None:
    with pytest.raises(InputError) as caught:
        origin_of(url)
    assert PASSWORD not in str(caught.value)


@settings(deadline=None, max_examples=100)
@given(st.text(max_size=60))
def test_any_text_is_an_origin_or_a_declared_error(text: str) -> None:
    for url in (text, f"https://{text}"):
        with contextlib.suppress(BtresearchError):
            assert origin_of(url).startswith("https://")


def test_what_a_file_says(tmp_path: Path) -> None:
    text = ENTRY + f'["https://b.example:8443"]\nuser = "bob"\npassword = "{PASSWORD}"\npin = "{PIN}"\n'
    accounts = Accounts.load(_file(tmp_path, text))
    assert accounts.at("https://tracker.example/announce") == Account(
        "https://tracker.example", "ann", PASSWORD
    )
    bob = accounts.at("https://b.example:8443")
    assert (bob.user, bob.pin) == ("bob", bytes.fromhex(PIN))
    assert isinstance(bob.trust(), SpkiPin)
    trust = accounts.at("https://tracker.example").trust()
    assert isinstance(trust, ssl.SSLContext)
    assert trust.verify_mode is ssl.CERT_REQUIRED and trust.check_hostname
    assert trust.minimum_version is ssl.TLSVersion.TLSv1_2


def test_an_origin_without_an_account_says_how_to_add_one(tmp_path: Path) -> None:
    accounts = Accounts.load(_file(tmp_path, ENTRY))
    for url in ("https://tracker.example:8443", "https://example", "https://tracker.example.evil.test"):
        with pytest.raises(EnrolmentError, match=r"no account for it.*If you trust it, add \[") as caught:
            accounts.at(url)
        assert origin_of(url) in str(caught.value) and PASSWORD not in str(caught.value)
        assert accounts.get(url) is None
    with pytest.raises(InputError, match="an https URL"):
        accounts.at("http://tracker.example")
    assert accounts.get("http://tracker.example") is None


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o666])
def test_a_file_that_others_may_read_is_not_used(tmp_path: Path, mode: int) -> None:
    with pytest.raises(InputError, match="chmod 600"):
        Accounts.load(_file(tmp_path, ENTRY, mode))


@pytest.mark.parametrize(
    "text",
    [
        f'password = "{PASSWORD}"',
        f"password = {PASSWORD}",
        f'["https://a.example"]\nuser = "a"\npassword = "{PASSWORD}',
        f'["http://a.example"]\nuser = "a"\npassword = "{PASSWORD}"',
        f'["https://a.example/path"]\nuser = "a"\npassword = "{PASSWORD}"',
        f'["https://a.example?q"]\nuser = "a"\npassword = "{PASSWORD}"',
        f'["https://a.example"]\npassword = "{PASSWORD}"',
        f'["https://a.example"]\nuser = "a:b"\npassword = "{PASSWORD}"',
        f'["https://a.example"]\nuser = "a"\npassword = "{PASSWORD}\\n"',
        f'["https://a.example"]\nuser = "a"\npassword = "{PASSWORD * 40}"',
        f'["https://a.example"]\nuser = "a"\npassword = ["{PASSWORD}"]',
        f'["https://a.example"]\nuser = "a"\npassword = "{PASSWORD}"\nextra = 1',
        f'["https://a.example"]\nuser = "a"\npassword = "{PASSWORD}"\npin = "ab"',
        f'["https://a.example"]\nuser = "a"\npassword = "{PASSWORD}"\npin = "{PIN}"\nca = "x"',
        f'["https://a.example"]\nuser = "a"\npassword = "{PASSWORD}"\nca = 5',
    ],
)
def test_files_that_are_refused_quote_nothing(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError) as caught:
        Accounts.load(_file(tmp_path, text))
    assert PASSWORD not in f"{caught.value}{caught.value.__cause__}"


@settings(deadline=None, max_examples=50)
@given(st.binary(max_size=200))
def test_fuzzed_files(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = _file(tmp_path_factory.mktemp("fuzz"), "")
    path.write_bytes(data)
    with contextlib.suppress(BtresearchError):
        assert Accounts.load(path).by_origin == {}


def test_a_ca_that_is_none(tmp_path: Path) -> None:
    accounts = Accounts.load(_file(tmp_path, ENTRY + 'ca = "absent.pem"\n'))
    with pytest.raises(InputError, match="CA's certificate"):
        accounts.at("https://tracker.example").trust()


def test_a_password_is_in_no_repr(tmp_path: Path) -> None:
    accounts = Accounts.load(_file(tmp_path, ENTRY))
    assert PASSWORD not in repr(accounts) + repr(accounts.at("https://tracker.example"))
