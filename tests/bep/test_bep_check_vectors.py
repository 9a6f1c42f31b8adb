"""paper/check_vectors.py: written from the BEP's text alone, it agrees with the vectors and sees every change."""

import ast
import copy
import json
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "paper" / "check_vectors.py"
VECTORS = SCRIPT.parent / "vectors"
FILES = sorted(VECTORS.glob("*.json"))


def run(*arguments):
    done = subprocess.run(
        [sys.executable, SCRIPT, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.stderr == ""
    return done.returncode, done.stdout.splitlines()


def other(value):
    """Value with one thing changed: the last hexadecimal digit, if it has one."""
    if isinstance(value, str):
        at = max((found.start() for found in re.finditer("[0-9a-f]", value)), default=None)
        return (
            "x" + value if at is None else value[:at] + ("1" if value[at] == "0" else "0") + value[at + 1 :]
        )
    if isinstance(value, bool):
        return not value
    if value is None:
        return "00"
    return value + 1 if isinstance(value, int) else changed_container(value)


def changed_container(value):
    key = len(value) - 1 if isinstance(value, list) else sorted(value)[-1]
    result = copy.copy(value)
    result[key] = other(result[key])
    return result


@pytest.fixture
def folder(tmp_path):
    return shutil.copytree(VECTORS, tmp_path / "vectors")


def edit(path, change):
    data = json.loads(path.read_text("utf-8"))
    change(data["vectors"])
    path.write_text(json.dumps(data), "utf-8")


def test_every_vector_of_every_file_is_computed():
    code, lines = run()
    counts = [(path.name, len(json.loads(path.read_text("utf-8"))["vectors"])) for path in FILES]
    assert (code, lines) == (0, [f"{name}: {count} vectors, all as computed" for name, count in counts])


def test_every_altered_output_is_found(folder):
    expected = set()
    for path in FILES:

        def alter(vectors, name=path.name):
            for vector in vectors:
                for key, value in vector["outputs"].items():
                    vector["outputs"][key] = other(value)
                    expected.add(f"{name}: {vector['name']}: {key}")

        edit(folder / path.name, alter)
    code, lines = run(folder)
    assert code == 1
    assert {": ".join(line.split(": ")[:3]) for line in lines} == expected


def test_one_altered_output_of_one_file_is_enough(folder):
    edit(folder / "pex.json", lambda vectors: vectors[0]["outputs"].update(payload="00"))
    code, lines = run(folder)
    assert code == 1
    assert [line[:45] for line in lines if not line.endswith("as computed")] == [
        "pex.json: message: payload: expected 00, comp"
    ]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_vector_that_lacks_an_output_or_an_input(folder, path):
    found = runpy.run_path(str(SCRIPT))
    vector = json.loads(path.read_text("utf-8"))["vectors"][-1]
    outputs = found["FILES"][path.name](found["decoded"](vector["inputs"]))
    for key in vector["outputs"]:
        less = {name: value for name, value in vector["outputs"].items() if name != key}
        assert found["differences"]("", less, outputs)
    if path.name not in ("extension.json", "authenticator.json"):
        for key in vector["inputs"]:
            less = {name: value for name, value in vector["inputs"].items() if name != key}
            try:
                outputs = found["FILES"][path.name](found["decoded"](less))
            except KeyError:
                continue
            assert found["differences"]("", vector["outputs"], outputs), key


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("key_schedule.json", "{"),
        ("key_schedule.json", "[]"),
        ("key_schedule.json", '{"vectors": []}'),
        ("key_schedule.json", '{"vectors": [{"name": "n", "inputs": {"K": 7}, "outputs": {}}]}'),
        ("unknown.json", '{"vectors": []}'),
        ("hello.json", None),
    ],
)
def test_bad_files_give_one_line(folder, name, text):
    if text is None:
        (folder / name).unlink()
    else:
        (folder / name).write_text(text, "utf-8")
    code, lines = run(folder)
    assert code == 1
    assert [line.split(":")[0].split(" ")[0] for line in lines if not line.endswith("as computed")] == [name]


def test_no_folder_gives_one_line(tmp_path):
    code, lines = run(tmp_path / "nowhere")
    assert (code, len(lines)) == (1, 1)
    assert "nowhere" in lines[0]


def test_the_worked_example_is_that_of_the_text():
    fields, name = {}, ""
    for line in (VECTORS / "worked_example.txt").read_text("utf-8").splitlines():
        name = line[:18].strip() or name
        fields[name] = fields.get(name, "") + line[18:].strip()
    inputs = {key: bytes.fromhex(fields[key]) for key in ("secret32", "EKM", "K")}
    inputs |= {"level_text": "strict", "infohash": bytes.fromhex(fields["infohash (v2)"])}
    keys = runpy.run_path(str(SCRIPT))["key_schedule"](inputs)
    for key in ("SK", "LID", "discovery id", "tag", "initiator proof", "responder proof"):
        assert keys[key.replace(" ", "_")].hex() == fields[key], key
    assert fields["initiator Hello"] == fields["tag"] + fields["initiator proof"] + "00000400000000"


def test_it_is_short_and_stands_alone():
    source = SCRIPT.read_text("utf-8")
    assert len(source.splitlines()) <= 250
    assert max(map(len, source.splitlines())) <= 110
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Import | ast.ImportFrom)]
    assert all(node.level == 0 for node in nodes if isinstance(node, ast.ImportFrom))
    names = [
        name
        for node in nodes
        for name in (
            [node.module] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
        )
    ]
    assert {name.split(".")[0] for name in names} <= sys.stdlib_module_names | {"cryptography"}
    assert "/work" not in source
    assert "importlib" not in source
