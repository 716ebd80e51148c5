"""Edits instead of whole kernels: exact, or refused with what is wrong."""

from __future__ import annotations

import pytest
from autocomp_mcp.agent.models.edits import Edit, EditError, apply_edits, read_edits
from hypothesis import given
from hypothesis import strategies as st

SOURCE = "a();\nb();\nfor (;;) {\n  c();\n}\nb();\n"


def block(search: str, replace: str) -> str:
    lines = [
        "<<<<<<< SEARCH",
        *search.split("\n"),
        "=======",
        *(replace.split("\n") if replace else []),
        ">>>>>>> REPLACE",
    ]
    return "\n".join(lines) + "\n"


def made(text: str, source: str = SOURCE) -> str:
    return apply_edits(source, read_edits(text))


def test_a_kernel_with_carriage_returns_can_be_edited() -> None:
    assert made(block("  c();\n}", "  d();\n}"), SOURCE.replace("\n", "\r\n")) == SOURCE.replace("c();", "d();")


def test_edits_are_of_the_kernel_as_it_was_in_any_order() -> None:
    text = "First:\n" + block("  c();", "  a();\n  d();") + "and\n```\n" + block("a();", "c();") + "```\nDone."
    assert made(text) == "c();\nb();\nfor (;;) {\n  a();\n  d();\n}\nb();\n"
    assert made(block("a();\nb();", "")) == "for (;;) {\n  c();\n}\nb();\n"
    assert made(block("}\nb();\n", "}\n")) == "a();\nb();\nfor (;;) {\n  c();\n}\n"
    assert made(block("a();", "x();").replace("\n", "\r\n")) == SOURCE.replace("a()", "x()")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (
            block("z();", "y();"),
            r"block 1 \(SEARCH 'z\(\);'\) is not in the kernel: its line 1, 'z\(\);', is not",
        ),
        (block("a();", "x();") + block("c();", "y();"), r"block 2 .*line 4 differs from it in white space only"),
        (block("b();", "x();"), r"block 1 .* is in the kernel 2 times, at lines 2, 6; give more lines"),
        (block("a();\n  c();", "x();"), r"lines are there, but not one after the other"),
        (block("a();\nb();", "x();") + block("b();\nfor (;;) {", "y();"), r"blocks 1 and 2 overlap"),
        (block("", "x();"), r"block 1 has an empty SEARCH"),
        ("<<<<<<< SEARCH\na();\n=======\nx();\n", r"block 1 is not closed.*cut off"),
        ("<<<<<<< SEARCH\na();\n>>>>>>> REPLACE\n", r"block 1 has no ======="),
        ("<<<<<<< SEARCH\na();\n=======\n<<<<<<< SEARCH\n", r"block 1 is not closed"),
    ],
)
def test_what_cannot_be_made_is_refused(text: str, why: str) -> None:
    with pytest.raises(EditError, match=why):
        made(text)


def test_an_answer_without_edits() -> None:
    assert read_edits("```c\nint a;\n```\n") == []


line = st.sampled_from(["a();", "b();", "  c();", "", "}", "// x", "int i = 0;"]) | st.text(
    st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="\u2028\u2029"), max_size=12
)


@given(st.lists(line, min_size=1, max_size=20), st.data())
def test_any_piece_that_occurs_once_can_be_replaced(lines: list[str], data: st.DataObject) -> None:
    begin = data.draw(st.integers(0, len(lines) - 1))
    end = data.draw(st.integers(begin + 1, len(lines)))
    fresh = data.draw(st.lists(line, max_size=5))
    search, size = tuple(lines[begin:end]), end - begin
    there = [at for at in range(len(lines) - size + 1) if tuple(lines[at : at + size]) == search]
    source = "\n".join(lines)
    if len(there) > 1 or not any(text.strip() for text in search):
        with pytest.raises(EditError):
            apply_edits(source, [Edit(search, tuple(fresh))])
    else:
        assert apply_edits(source, [Edit(search, tuple(fresh))]) == "\n".join([*lines[:begin], *fresh, *lines[end:]])


marks = {"<<<<<<< SEARCH", "=======", ">>>>>>> REPLACE"}
safe = line.filter(lambda text: text.rstrip() not in marks)


@given(st.lists(st.tuples(st.lists(safe, min_size=1, max_size=4), st.lists(safe, max_size=4)), max_size=4))
def test_what_is_written_is_read(pairs: list[tuple[list[str], list[str]]]) -> None:
    text = "".join(
        "\n".join(["<<<<<<< SEARCH", *search, "=======", *replace, ">>>>>>> REPLACE"]) + "\nbetween\n"
        for search, replace in pairs
    )
    assert read_edits(text) == [Edit(tuple(search), tuple(replace)) for search, replace in pairs]


@given(st.text(alphabet="<=> SEARCHPL\nab", max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        edits = read_edits(text)
        apply_edits("a\nb\n", edits)
    except EditError as error:
        assert str(error).startswith("block")
