"""What a person writes for a machine, and which nodes that means."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssmssh.errors import UsageError
from ssmssh.nodes.expressions import LONGEST_EXPRESSION, Expression, Kind, parse_by, parse_expression
from ssmssh.nodes.node import GROUP_TAG, Node
from ssmssh.nodes.spelling import as_host

ID = "i-0123456789abcdef0"
HYBRID = "mi-0123456789abcdef0"

WEB = Node(
    instance_id=ID,
    region="eu-west-1",
    name="Web_1",
    tags={"Name": "Web_1", "Role": "Front End", GROUP_TAG: "web asg"},
    private_address="10.0.0.7",
    public_address="198.51.100.7",
    other_addresses=("10.0.1.7", "2001:db8::7"),
    private_dns_name="ip-10-0-0-7.eu-west-1.compute.internal",
    public_dns_name="ec2-198-51-100-7.eu-west-1.compute.amazonaws.com",
    autoscaling_group="web asg",
)


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        (ID, Expression(Kind.ID, ID)),
        (HYBRID, Expression(Kind.ID, HYBRID)),
        ("i-01234567", Expression(Kind.ID, "i-01234567")),
        ("web-1", Expression(Kind.NAME, "web-1")),
        ("i-web", Expression(Kind.NAME, "i-web")),
        ("my web: 1", Expression(Kind.NAME, "my web: 1")),
        ("web.example.com", Expression(Kind.NAME_OR_DNS, "web.example.com")),
        ("tag:Role=Front End", Expression(Kind.TAG, "Front End", "Role")),
        ("tag:aws:x=a=b", Expression(Kind.TAG, "a=b", "aws:x")),
        ("tag:Role=", Expression(Kind.TAG, "", "Role")),
        ("asg:web asg", Expression(Kind.GROUP, "web asg")),
        ("10.0.0.7", Expression(Kind.ADDRESS, "10.0.0.7")),
        ("2001:DB8::7", Expression(Kind.ADDRESS, "2001:db8::7")),
        ("[2001:db8::7]", Expression(Kind.ADDRESS, "2001:db8::7")),
    ],
)
def test_what_is_written(text: str, expression: Expression) -> None:
    assert parse_expression(text) == expression


@pytest.mark.parametrize(
    "text", ["", " ", "tag:", "tag:Role", "tag:=x", "asg:", "a\nb", "\x1b[2J", "x" * (LONGEST_EXPRESSION + 1)]
)
def test_what_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"^[ -~]*$"):
        parse_expression(text)


@pytest.mark.parametrize(
    ("by", "value", "expression"),
    [
        ("name", "10.0.0.7", Expression(Kind.NAME, "10.0.0.7", is_host=False)),
        ("private-ip", "10.0.0.7", Expression(Kind.PRIVATE_ADDRESS, "10.0.0.7")),
        ("public-ip", "2001:db8:0::7", Expression(Kind.PUBLIC_ADDRESS, "2001:db8::7")),
        ("dns", "a.b", Expression(Kind.DNS, "a.b")),
        ("tag:Role", "front-end", Expression(Kind.TAG, "front-end", "Role", is_host=True)),
        ("tag:aws:x=y", "z", Expression(Kind.TAG, "z", "aws:x=y", is_host=True)),
    ],
)
def test_what_a_block_says_its_hosts_are(by: str, value: str, expression: Expression) -> None:
    assert parse_by(by, value) == expression


@pytest.mark.parametrize(
    ("by", "value"),
    [("ip", "10.0.0.7"), ("", "x"), ("tag:", "x"), ("private-ip", "web-1"), ("name", ""), ("dns", "a\nb")],
)
def test_what_a_block_cannot_say(by: str, value: str) -> None:
    with pytest.raises(UsageError, match=r"^[ -~]*$"):
        parse_by(by, value)


@pytest.mark.parametrize(
    "expression",
    [
        parse_expression(text)
        for text in (
            ID,
            "Web_1",
            "web_1",
            "tag:Role=Front End",
            "asg:web asg",
            "10.0.0.7",
            "198.51.100.7",
            "10.0.1.7",
            "2001:0db8::7",
            "IP-10-0-0-7.eu-west-1.compute.internal",
            "ec2-198-51-100-7.eu-west-1.compute.amazonaws.com.",
        )
    ]
    + [
        parse_by("name", "web_1"),
        parse_by("private-ip", "10.0.1.7"),
        parse_by("public-ip", "198.51.100.7"),
        parse_by("dns", "ip-10-0-0-7.eu-west-1.compute.internal"),
        parse_by("tag:Role", "front-end"),
        parse_by("tag:Role", "Front End"),
        parse_by(f"tag:{GROUP_TAG}", "web-asg"),
    ],
    ids=str,
)
def test_the_node_is_meant(expression: Expression) -> None:
    assert expression.match(WEB)


@pytest.mark.parametrize(
    "expression",
    [
        parse_expression(text)
        for text in (HYBRID, "web-1", "Web", "tag:Role=front end", "tag:role=Front End", "asg:web", "10.0.0.8", "a.b")
    ]
    + [
        parse_by("private-ip", "198.51.100.7"),
        parse_by("public-ip", "10.0.0.7"),
        parse_by("dns", "web_1"),
        parse_by("name", "ip-10-0-0-7.eu-west-1.compute.internal"),
        parse_by("tag:Role", "front"),
        parse_by("tag:Rule", "front-end"),
    ],
    ids=str,
)
def test_the_node_is_not_meant(expression: Expression) -> None:
    assert not expression.match(WEB)


@pytest.mark.parametrize("text", ["x", "tag:Name=x", "asg:x", "10.0.0.1", "a.b"])
def test_of_a_node_that_nobody_knows_much_about(text: str) -> None:
    assert not parse_expression(text).match(Node(instance_id=ID, region="eu-west-1"))


@pytest.mark.parametrize("text", [ID, "web", "tag:Role=a=b", "asg:x", "10.0.0.7"])
def test_an_expression_is_shown_as_it_is_written(text: str) -> None:
    assert str(parse_expression(text)) == text


@pytest.mark.parametrize(
    ("name", "host"),
    [
        ("Web-1", "web-1"),
        ("web_1.example", "web_1.example"),
        ("my web", "my-web"),
        ("a/b:c@d%e", "a-b-c-d-e"),
        ("Stra\xdfe", "stra-e"),
        ("\u212aelvin", "-elvin"),  # a letter whose lower case is an ASCII k
        ("\u0130x", "-x"),  # one whose lower case is two characters
        ("\U0001f600", "-"),
        ("$(x)", "--x-"),
        ("a\nb", "a-b"),
    ],
)
def test_a_name_as_ssh_sees_it(name: str, host: str) -> None:
    assert as_host(name) == host


@given(st.text(max_size=50))
def test_what_ssh_sees_can_be_typed_and_stays_as_it_is(name: str) -> None:
    host = as_host(name)
    assert len(host) == len(name)
    assert set(host) <= set("abcdefghijklmnopqrstuvwxyz0123456789._-")
    assert as_host(host) == host


@given(st.text(min_size=1, max_size=50).filter(lambda name: name.isprintable() and bool(name.strip())))
def test_a_name_is_reached_by_itself_and_by_what_ssh_makes_of_it(name: str) -> None:
    node = Node(instance_id=ID, region="eu-west-1", name=name)
    assert parse_by("name", name).match(node)
    assert parse_by("name", as_host(name)).match(node)


@given(st.text(max_size=60))
def test_any_text_is_understood_or_refused(text: str) -> None:
    with contextlib.suppress(UsageError):
        assert isinstance(parse_expression(text).match(WEB), bool)
