"""The programming references: topics, sizes, and that they name only what exists."""

import re

import pytest
from autocomp_mcp.menus.menu import UnknownNameError
from autocomp_mcp.menus.reference import MAX_GUIDE_BYTES, MAX_TOPIC_BYTES, reference, topics


def test_the_guide_comes_first_and_commands_have_topics() -> None:
    names = list(topics("gemmini"))
    assert names[0] == "guide"
    assert names[1:] == sorted(names[1:])
    assert {"mvin", "mvout", "config", "compute", "fence", "addresses", "semantics", "timing"} <= set(names)


TARGETS = ("gemmini", "trainium", "nvidia")


@pytest.mark.parametrize(("target", "topic"), [(target, topic) for target in TARGETS for topic in topics(target)])
def test_a_topic_has_a_title_and_fits(target: str, topic: str) -> None:
    text = reference(target, topic)
    assert text.startswith(f"# {topics(target)[topic]}\n")
    assert len(text.encode()) <= (MAX_GUIDE_BYTES if topic == "guide" else MAX_TOPIC_BYTES)
    assert text.count("```") % 2 == 0


def test_unknown_names_list_the_known() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown topic 'mvinn'.*mvin"):
        reference("gemmini", "mvinn")
    with pytest.raises(UnknownNameError, match="unknown target 'abacus'; known: gemmini"):
        topics("abacus")


@pytest.mark.parametrize("name", ["../gemmini/guide", "/etc/passwd", "..", ""])
def test_a_name_cannot_leave_the_folder(name: str) -> None:
    with pytest.raises(UnknownNameError):
        reference("gemmini", name)
    with pytest.raises(UnknownNameError):
        topics(name)


def test_every_command_in_the_text_is_explained_in_the_guide() -> None:
    guide = reference("gemmini", "guide")
    used = set()
    for topic in topics("gemmini"):
        used |= set(
            re.findall(r"\b(mvin[23]?|mvout|preload|compute_\w+|config_\w+|fence)\(", reference("gemmini", topic))
        )
    assert {"mvin", "mvout", "preload", "compute_preloaded"} <= used
    for command in used:
        assert command in guide, command
