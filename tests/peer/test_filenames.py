"""What counts as a safe name."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btresearch.peer import filenames


@pytest.mark.parametrize(
    "name", ["a", "...", ".hidden", "a b", "ünï", "con", "x" * 255, "-rf", "~", "$HOME", "é" * 127]
)
def test_safe(name: str) -> None:
    assert filenames.unsafe(name) is None


@pytest.mark.parametrize(
    "name", ["", ".", "..", "/", "a/b", "\\", "a\\b", "\x00", "\x7f", "\x9b", "c:", "é" * 128]
)
def test_unsafe(name: str) -> None:
    assert filenames.unsafe(name)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.text("ab./\\\x00:C ", max_size=5), max_size=4))
def test_a_path_is_safe_if_all_its_parts_are(parts: list[str]) -> None:
    assert (filenames.unsafe_path(parts) is None) == (
        bool(parts) and all(filenames.unsafe(part) is None for part in parts)
    )


@pytest.mark.parametrize("name", ["NUL", "com1.txt", "LPT¹", "a?", "a:b", "end.", "end "])
def test_what_windows_cannot_store_is_remarked(name: str) -> None:
    assert "Windows" in (filenames.remark(name) or "")


@pytest.mark.parametrize("name", ["console", "comrade", "a.con", "nullable"])
def test_what_only_looks_like_it_is_not(name: str) -> None:
    assert filenames.remark(name) is None


def test_long_names_are_shortened_in_messages() -> None:
    assert len(filenames.unsafe("/" + "x" * 1000) or "") < 120


@pytest.mark.parametrize(
    ("paths", "clash"),
    [
        ([("a",), ("b",)], None),
        ([("a", "x"), ("a", "y")], None),
        ([("a",), ("a",)], "each path once"),
        ([("a",), ("a", "b")], "files and folders apart"),
        ([("a", "b", "c"), ("a", "b")], "files and folders apart"),
    ],
)
def test_collisions(paths: list[tuple[str, ...]], clash: str | None) -> None:
    found = filenames.collision(paths)
    assert found == clash if clash is None else (found or "").startswith(clash)


def test_case_and_unicode_form() -> None:
    assert filenames.case_collision([("a",), ("b",)]) is None
    assert filenames.case_collision([("A",), ("a",)])
    assert filenames.case_collision([("\u00e9",), ("e\u0301",)])
