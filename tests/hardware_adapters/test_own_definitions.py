"""Definitions and folders: what a user may write, and what is refused with the field, the file and the line."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from autocomp_mcp.hardware_adapters.base import InvalidProblemError, OwnProblem, UsageError
from autocomp_mcp.hardware_adapters.custom import folder as folders
from autocomp_mcp.hardware_adapters.custom.definition import checked, parsed
from autocomp_mcp.hardware_adapters.custom.folder import OutsideError, allowed, read_folder, read_inline
from autocomp_mcp.hardware_adapters.custom.scaffold import write

GOOD: dict[str, Any] = {
    "name": "scaled-add",
    "dims": {"M": 8, "N": 16},
    "inputs": ["A: int8[M, N]", "D: int32[N]"],
    "outputs": ["C: int8[M, 2*N]"],
    "reference": "np.clip(np.concatenate([A, A], axis=1) + D.sum(), -128, 127)",
    "kernel": "void solution(const int8_t *A, const int32_t *D, int8_t *C) {}",
}


def define(**changes: Any) -> Any:
    return checked(parsed({**GOOD, **changes}))


def test_a_definition_knows_its_shapes_and_its_identity() -> None:
    definition = define(macs="M * N")
    assert [t.shape for t in definition.tensors] == [(8, 16), (16,), (8, 32)]
    assert definition.macs == 128 and definition.id.startswith("gemmini/custom-scaled-add-")
    assert define().macs is None


@pytest.mark.parametrize(
    "change",
    [
        {"dims": {"M": 8, "N": 32}},
        {"reference": GOOD["reference"].replace("127", "126")},
        {"kernel": GOOD["kernel"] + " "},
        {"ranges": {"D": [0, 5]}},
        {"macs": 7},
        {"title": "other"},
        {"inputs": ["D: int32[N]", "A: int8[M, N]"]},
    ],
    ids=str,
)
def test_every_change_is_another_problem(change: dict[str, Any]) -> None:
    assert define(**change).id != define().id
    assert define().id == define().id


@pytest.mark.parametrize(
    ("change", "field", "why"),
    [
        ({"name": "Scaled"}, "name", "lower-case"),
        ({"name": "../up"}, "name", "lower-case"),
        ({"name": "a" * 33}, "name", "at most 32"),
        ({"name": "a\n"}, "name", "lower-case"),
        ({"title": "one\ntwo"}, "title", "one line"),
        ({"title": "x" * 121}, "title", "one line"),
        ({"dims": {"M": 0, "N": 1}}, "dims", "M = 0 is not in"),
        ({"dims": {"M": 1 << 40, "N": 1}}, "dims", "is not in"),
        ({"dims": {f"D{n}": 1 for n in range(13)}}, "dims", "at most 12"),
        ({"dims": {"for": 1}}, "dims", "'for' has a meaning"),
        ({"dims": {"M": "8", "N": 16}}, None, None),
        ({"dims": {"M": "x"}}, "dims['M']", "valid integer"),
        ({"inputs": []}, "inputs", "there is none"),
        ({"outputs": []}, "outputs", "there is none"),
        ({"inputs": ["A int8[M]"]}, "inputs", "is not written"),
        ({"inputs": ["A: int8[M"]}, "inputs", "is not written"),
        ({"inputs": ["A: int8[]"]}, "inputs", "0 dimensions"),
        ({"inputs": ["A: int8[1,1,1,1,1,1,1]"]}, "inputs", "7 dimensions"),
        ({"inputs": ["A: float64[M]"]}, "inputs", "type 'float64'; known: int8"),
        ({"inputs": ["A: int8[Q]"]}, "inputs: A", "unknown name 'Q'; known: M, N"),
        ({"inputs": ["A: int8[M - 8]"]}, "inputs: A", "is 0, not in"),
        ({"inputs": ["A: int8[__import__('os')]"]}, "inputs: A", "cannot be called"),
        ({"inputs": ["A: int8[" + "9" * 500 + "]"]}, "inputs", "is not written"),
        ({"inputs": ["A: int8[M]", "A: int8[M]"]}, "inputs", "'A' is given twice"),
        ({"inputs": ["M: int8[M]"]}, "inputs", "'M' is given twice"),
        ({"inputs": ["int: int8[M]"]}, "inputs", "'int' has a meaning"),
        ({"inputs": ["lambda: int8[M]"]}, "inputs", "'lambda' has a meaning"),
        ({"inputs": ["np: int8[M]"]}, "inputs", "'np' has a meaning"),
        ({"inputs": ["A) { system(1); } //: int8[M]"]}, "inputs", "is no name"),
        ({"inputs": ["A, int8_t *X: int8[M]"]}, "inputs", "is no name"),
        ({"inputs": ["ﬀ: int8[M]"]}, "inputs", "is no name"),
        ({"inputs": ["_A: int8[M]"]}, "inputs", "is no name"),
        ({"inputs": ["A" * 33 + ": int8[M]"]}, "inputs", "is no name"),
        ({"inputs": [f"A{n}: int8[M]" for n in range(8)]}, "inputs", "9 tensors"),
        ({"reference": None}, "reference", "is missing"),
        ({"reference": "A + nothing"}, "reference", "unknown name 'nothing'"),
        ({"reference": "A +"}, "reference", "not an expression"),
        ({"kernel": None}, "kernel", "is missing"),
        ({"kernel": ""}, "kernel", "empty"),
        ({"kernel": "x" * (600 << 10)}, "kernel", "524288"),
        ({"kernel": "void solution() {}\0"}, "kernel", "NUL"),
        ({"macs": "M *"}, "macs", "not an expression"),
        ({"macs": "A"}, "macs", "unknown name"),
        ({"macs": 0}, "macs", "is 0, not in"),
        ({"macs": "9**9**9"}, "macs", "exponent"),
        ({"macs": "np.ones(1 << 40).size"}, "macs", "only names, numbers and operators"),
        ({"inputs": ["A: int8[np.ones(1 << 40).size]"]}, "inputs: A", "only names, numbers and operators"),
        ({"tolerance": 0.1}, "tolerance", "compared exactly"),
        ({"ranges": {"C": [0, 1]}}, "ranges", "'C' is no input"),
        ({"ranges": {"A": [5, 4]}}, "ranges", "is no range"),
        ({"ranges": {"A": [-129, 4]}}, "ranges", "is no range within int8"),
        ({"ranges": {"A": [0.5, 4]}}, "ranges", "whole numbers"),
        ({"ranges": {"A": [0, float("nan")]}}, "ranges", "is no range"),
        ({"ranges": {"A": [1]}}, "ranges['A']", "at least 2 items"),
        ({"outputz": []}, "outputz", "did you mean 'outputs'"),
        ({"x" * 200: 1}, "x" * 60 + "…", "no such field"),
    ],
)
def test_what_is_wrong_is_said_with_its_field(change: dict[str, Any], field: str | None, why: str | None) -> None:
    if field is None:
        define(**change)
        return
    with pytest.raises(InvalidProblemError, match=why) as caught:
        define(**change)
    assert caught.value.field == field and len(str(caught.value)) < 500


def test_floats_have_a_tolerance() -> None:
    changes = {"inputs": ["A: float32[M]"], "outputs": ["C: float32[M]"], "reference": "A * 2"}
    assert define(**changes).tolerance == 1e-4
    assert define(**changes, tolerance=1e-3).tolerance == 1e-3
    with pytest.raises(InvalidProblemError, match=r"tolerance: 0\.5 is not in"):
        define(**changes, tolerance=0.5)


# ---------------------------------------------------------------- folders


@pytest.fixture
def place(tmp_path: Path) -> Path:
    write("mine", tmp_path / "root" / "mine", python=True)
    return tmp_path / "root" / "mine"


def test_a_folder_is_a_problem(place: Path) -> None:
    definition = read_folder(place)
    assert definition.name == "mine" and definition.language == "python" and definition.macs == 64**3


@pytest.mark.parametrize(
    ("edit", "why"),
    [
        (
            lambda text: text.replace("macs", "makes"),
            r"problem.toml, line 17: makes: no such field; did you mean 'macs'",
        ),
        (lambda text: text.replace("int8[M, K]", "int9[M, K]"), r"problem.toml, line 11: inputs: A has type 'int9'"),
        (lambda text: text.replace('name = "mine"', "name = mine"), r"problem.toml: TOML: .*line 2"),
        (lambda text: text + "kernel = 'x'", r"problem.toml, line \d+: kernel: belongs in the file kernel.c"),
        (lambda text: text + "reference = 'A'", r"line \d+: reference: is given twice"),
        (lambda text: "a = " + "[" * 9000 + "]" * 9000, r"problem.toml: TOML: "),
        (lambda text: text + "#" * (70 << 10), r"problem.toml: is longer than"),
        (lambda text: "", r"name: is missing"),
    ],
)
def test_a_mistake_in_a_file_is_told_with_its_place(place: Path, edit: Callable[[str], str], why: str) -> None:
    file = place / "problem.toml"
    file.write_text(edit(file.read_text()))
    with pytest.raises(InvalidProblemError, match=why):
        read_folder(place)


def test_files_that_are_missing_or_no_text_are_named(place: Path, tmp_path: Path) -> None:
    (place / "kernel.c").write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidProblemError, match=r"kernel.c: is not UTF-8"):
        read_folder(place)
    (place / "kernel.c").unlink()
    with pytest.raises(InvalidProblemError, match=r"kernel.c: does not exist"):
        read_folder(place)
    os.mkfifo(place / "kernel.c")
    with pytest.raises(InvalidProblemError, match=r"kernel.c: is no regular file"):
        read_folder(place)
    with pytest.raises(InvalidProblemError, match=r"problem.toml: does not exist"):
        read_folder(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "path",
    [
        "../secret",
        "/etc/passwd",
        "mine/../../secret",
        "..",
        "mine/link",
        "linked",
        "a\0b",
        "x" * 5000,
        "missing",
        "/",
        "~",
    ],
    ids=lambda path: path[:12],
)
def test_nothing_outside_of_the_roots_is_reached_or_told_of(place: Path, tmp_path: Path, path: str) -> None:
    (tmp_path / "secret").mkdir()
    (place / "link").symlink_to(tmp_path / "secret")
    (place.parent / "linked").symlink_to(tmp_path / "secret")
    with pytest.raises(OutsideError, match=r"no (file or folder|path) below"):
        allowed(path, [place.parent])
    assert allowed("mine", [tmp_path / "gone", place.parent]) == place.resolve()


def test_without_a_root_no_file_is_read(place: Path) -> None:
    given = OwnProblem.model_validate({**GOOD, "reference": None, "reference_file": str(place / "reference.py")})
    with pytest.raises(OutsideError, match="--problem-root DIR"):
        read_inline(given, [])
    assert read_inline(given, [place.parent]).language == "python"
    with pytest.raises(InvalidProblemError, match="names no Python file"):
        read_inline(given.model_copy(update={"reference_file": "mine/kernel.c"}), [place.parent])
    with pytest.raises(UsageError, match="either"):
        read_inline(given.model_copy(update={"reference": "A"}), [place.parent])


def test_a_link_in_a_folder_of_a_root_leads_nowhere_else(place: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere.py").write_text("secret = 1")
    (place / "reference.py").unlink()
    (place / "reference.py").symlink_to(tmp_path / "elsewhere.py")
    with pytest.raises(InvalidProblemError, match="leads out of the allowed folder"):
        read_folder(place, place.parent)
    assert read_folder(place).reference == "secret = 1"  # a user's own command line may


def test_folders_below_the_roots_are_found(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(folders.ROOTS_VARIABLE, f"{place.parent}{os.pathsep}{place.parent / 'gone'}")
    assert [path.name for _, path in folders.folders(folders.roots())] == ["mine"]
