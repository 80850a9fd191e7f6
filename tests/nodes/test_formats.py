"""What programs and terminals get of nodes, whatever others have written into their names and tags."""

import csv
import io
import json
import re
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from ssmssh.commands._formats import FIELDS, AnsibleWriter, CsvWriter, IdWriter, JsonWriter, Writer, as_fields
from ssmssh.commands._table import HEADER, Table, describe_age
from ssmssh.nodes.features import FEATURES, lacking
from ssmssh.nodes.node import Node
from ssmssh.sandbox.generated import HOSTILE_NAMES

NOW = 1_700_000_000.0
HOSTILE = (
    *HOSTILE_NAMES,
    "\x1b[2J\x1b]0;pwned\x07",
    "\x9b31m",
    "\ud800",
    "{{ lookup('pipe', 'id') }}",
    "a\u2028b\x85c",
)


def node(name: str = "web-1", **more: Any) -> Node:
    known: dict[str, Any] = {
        "instance_id": "i-0123456789abcdef0", "region": "eu-west-1", "ping_status": "Online", "last_ping": NOW - 90,
        "agent_version": "3.3.987.0", "platform_type": "Linux", "platform_name": "Amazon Linux",
        "platform_version": "2023", "source": "EC2", "private_address": "10.0.0.7",
    }  # fmt: skip
    return Node(name=name, **(known | more))


def written(capsys: pytest.CaptureFixture[str], make: Callable[[], Writer], nodes: Sequence[Node]) -> str:
    writer = make()
    for each in nodes:
        writer.add([each])
    writer.add([])
    writer.close()
    return capsys.readouterr().out


texts = st.text(max_size=30) | st.sampled_from(HOSTILE)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_json_is_one_array(capsys: pytest.CaptureFixture[str], count: int) -> None:
    nodes = [node(HOSTILE[number], tags={"a": "b"}) for number in range(count)]
    text = written(capsys, JsonWriter, nodes)
    assert json.loads(text) == [as_fields(each) for each in nodes]
    assert all(list(each) == list(FIELDS) for each in json.loads(text))


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_json_and_yaml_are_printable_ascii(capsys: pytest.CaptureFixture[str], name: str) -> None:
    for make in (JsonWriter, AnsibleWriter):
        text = written(capsys, make, [node(name, tags={name: name}, computer_name=name)])
        assert text.replace("\n", "").isascii()
        assert text.replace("\n", "").isprintable()


def test_what_is_not_known_is_null() -> None:
    fields = as_fields(Node(instance_id="mi-0123456789abcdef0", region="eu-west-1"))
    assert fields["name"] is None
    assert fields["tags"] is None
    assert fields["last_ping"] is None
    assert fields["other_addresses"] == []
    assert as_fields(node(last_ping=NOW))["last_ping"] == "2023-11-14T22:13:20+00:00"


@given(st.lists(st.tuples(texts, texts), max_size=4))
def test_csv_keeps_every_text(pairs: list[tuple[str, str]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        out = io.BytesIO()
        patch.setattr("click.echo", lambda data, nl: out.write(data))
        nodes = [node(name, tags={"k": value}) for name, value in pairs]
        writer = CsvWriter(is_for_terminal=False)
        writer.add(nodes)
        writer.close()
    text = out.getvalue().decode()
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    expected = [name.encode("utf-8", "backslashreplace").decode() for name, _ in pairs]
    assert [row["name"] for row in rows] == expected
    assert [json.loads(row["tags"]) for row in rows] == [{"k": value} for _, value in pairs]


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_csv_for_a_terminal_does_not_act_on_it(capsys: pytest.CaptureFixture[str], name: str) -> None:
    text = written(capsys, lambda: CsvWriter(is_for_terminal=True), [node(name, computer_name=name)])
    assert len(text.splitlines()) == 2
    assert text.replace("\n", "").replace("\t", "").isprintable()


def test_ids(capsys: pytest.CaptureFixture[str]) -> None:
    assert written(capsys, IdWriter, [node(), node(instance_id="mi-1")]) == "i-0123456789abcdef0\nmi-1\n"
    assert written(capsys, IdWriter, []) == ""


# -- the table ---------------------------------------------------------------------------------------------------------


def lines_of(capsys: pytest.CaptureFixture[str], table: Table, nodes: Sequence[Node]) -> list[str]:
    table.add(nodes, NOW)
    return capsys.readouterr().out.split("\n")[:-1]


def test_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    header, row = lines_of(capsys, Table(None), [node(profile="prod")])
    assert header.split() == list(HEADER)
    assert re.split(" {2,}", row) == [
        "i-0123456789abcdef0", "web-1", "Online 1m", "3.3.987.0", "Amazon Linux 2023", "EC2", "10.0.0.7", "eu-west-1",
        "prod",
    ]  # fmt: skip


def test_columns_stay_where_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table(None)
    header, *rows = lines_of(capsys, table, [node("a"), node("\N{ROCKET} wide")])
    rows += lines_of(capsys, table, [node("b")])
    assert {cell_len(row[: row.index("Online")]) for row in rows} == {header.index("STATUS")}
    assert len(rows) == 3  # and no second header


def test_no_rows_no_header(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table(None)
    assert lines_of(capsys, table, []) == []
    assert len(lines_of(capsys, table, [node()])) == 2


@pytest.mark.parametrize("width", [80, 120, 200])
def test_on_a_terminal_the_name_gives_way(capsys: pytest.CaptureFixture[str], width: int) -> None:
    lines = lines_of(capsys, Table(width), [node("x" * 256), node("short")])
    if width >= 120:
        assert all(cell_len(line) <= width for line in lines)
    assert any("~" in line for line in lines)


def test_elsewhere_nothing_is_cut(capsys: pytest.CaptureFixture[str]) -> None:
    lines = lines_of(capsys, Table(None), [node("x" * 256), node("short")])
    assert "x" * 256 in lines[1]
    assert len(lines[2]) < 150  # and the others do not suffer


@pytest.mark.parametrize("width", [None, 200])
@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_nothing_in_a_row_acts_on_a_terminal(capsys: pytest.CaptureFixture[str], name: str, width: int | None) -> None:
    everything = {"source": name, "platform_name": name, "profile": name, "agent_version": name, "ping_status": name}
    lines = lines_of(capsys, Table(width), [node(name, **everything, private_address=name)])
    assert len(lines) == 2
    assert all(line.isprintable() for line in lines)


def test_an_agent_that_is_too_old_is_marked(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table(None)
    lines = lines_of(capsys, table, [node(agent_version="3.0.196.0"), node(agent_version="3.0.222.0")])
    assert "3.0.196.0*" in lines[1]
    assert "3.0.222.0 " in lines[2]
    assert table.too_old == {"several connections through one port forwarding": 1}


def test_a_state_that_is_not_running_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    lines = lines_of(capsys, Table(None), [node(state="stopped", ping_status="ConnectionLost"), node(state="running")])
    assert "ConnectionLost 1m (stopped)" in lines[1]
    assert "running" not in lines[2]


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.4, "0s"), (-5, "0s"), (59, "59s"), (60, "1m"), (3_599, "59m"), (7_200, "2h"), (86_400 * 12.5, "12d")],
)
def test_ages(seconds: float, said: str) -> None:
    assert describe_age(seconds) == said


@pytest.mark.parametrize(
    ("version", "lacks"),
    [
        ("3.3.987.0", 0),
        ("3.0.196.0", 1),
        ("2.3.672.0", 1),
        ("2.3.671.0", 2),
        ("1.2.0.0", 2),
        ("", 0),
        ("3.0", 0),
        ("unknown", 0),
    ],
)
def test_what_an_agent_is_too_old_for(version: str, lacks: int) -> None:
    assert lacking(version) == [feature.name for feature in FEATURES[::-1][:lacks]][::-1]
