"""One entry goes into somebody's settings; every other character stays."""

import json

import pytest
from autocomp_mcp.server.install.json_text import JsonTextError, parse, with_entry
from hypothesis import given
from hypothesis import strategies as st

ENTRY = {"command": "/opt/autocomp-mcp", "args": ["serve"]}
SETTINGS = """\
// Zed settings
{
    "theme": "One Dark", // as at home
    /* numbers { ] */
    "buffer_font_size": 15,
    "url": "http://x//y",
    "languages": {"Python": {"tab_size": 4,},},
    "context_servers": {
        // the other one
        "github": {"command": "gh", "args": []}, // keep
    },
}
"""


def test_comments_trailing_commas_and_layout_stay() -> None:
    changed = with_entry(SETTINGS, "context_servers", "autocomp", ENTRY)
    assert changed == SETTINGS.replace(
        '"args": []}, // keep\n',
        '"args": []}, // keep\n'
        '        "autocomp": {\n'
        '            "command": "/opt/autocomp-mcp",\n'
        '            "args": [\n'
        '                "serve"\n'
        "            ]\n"
        "        }\n",
    )
    assert with_entry(changed, "context_servers", "autocomp", ENTRY) == changed


def test_a_comment_after_the_last_member_stays_with_it() -> None:
    text = '{\n\t"mcpServers": {\n\t\t"a": {"url": "x"} // mine\n\t}\n}'
    changed = with_entry(text, "mcpServers", "autocomp", {"command": "c"})
    assert '"a": {"url": "x"}, // mine\n\t\t"autocomp": {\n\t\t\t"command": "c"\n\t\t}\n\t}\n}' in changed


@pytest.mark.parametrize(
    "text", ["", "  \n", "{}", '{"a":1}', '{"mcpServers":{}}', '{\r\n  "a": [1]\r\n}\r\n', "{ // x\n}"]
)
def test_what_is_missing_is_made(text: str) -> None:
    changed = with_entry(text, "mcpServers", "autocomp", ENTRY)
    before = parse(text) if text.strip() else {}
    assert parse(changed) == {**before, "mcpServers": {"autocomp": ENTRY}}
    assert "\r\n" not in text or "\n" not in changed.replace("\r\n", "")
    assert "//" not in text or "// x" in changed


def test_an_old_entry_is_replaced_where_it_stands() -> None:
    text = '{"mcpServers": {"autocomp": {"command": "old"}, "b": {}}, "z": 1}'
    changed = with_entry(text, "mcpServers", "autocomp", {"command": "new"})
    assert changed.startswith('{"mcpServers": {"autocomp": {') and changed.endswith('}, "b": {}}, "z": 1}')


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[1]", "no JSON object"),
        ('{"mcpServers": [1]}', "'mcpServers' is not"),
        ('{\n"a" 1}', "line 2"),
        ('{"a": 1 "b": 2}', "line 1"),
        ('{"a": }', "line 1"),
        ('{"a": NaN}', "NaN"),
        ('{"a": "x}', "line 1"),
        ('{"a": {', "the end"),
        ('{"a": 1} {}', "line 1"),
        ("{,}", "line 1"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_what_is_not_json_is_refused_with_its_place(text: str, said: str) -> None:
    with pytest.raises(JsonTextError, match=said):
        with_entry(text, "mcpServers", "autocomp", ENTRY)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)


@given(
    st.dictionaries(st.text().filter(lambda key: key != "mcpServers"), VALUES, max_size=4),
    st.none() | st.dictionaries(st.text(), VALUES, max_size=3),
    st.sampled_from([None, 1, 2, 4, "\t"]),
)
def test_any_settings_keep_their_values(settings: dict, servers: dict | None, indent: int | str | None) -> None:
    """Checked with the standard parser, which is not ours."""
    before = settings if servers is None else {"mcpServers": servers, **settings}
    text = json.dumps(before, indent=indent)
    assert parse(text) == before
    changed = json.loads(with_entry(text, "mcpServers", "autocomp", ENTRY))
    assert changed == {**before, "mcpServers": {**(servers or {}), "autocomp": ENTRY}}
