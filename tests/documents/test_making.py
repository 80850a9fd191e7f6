"""Documents for one purpose: they keep to the schema, do that alone, and take what our programs name."""

import re

import pytest

from ssmssh.documents import making, schema
from ssmssh.documents.schema import Content
from ssmssh.documents.uses import uses_of
from ssmssh.errors import UsageError
from ssmssh.forwarding.routes import session_to
from ssmssh.forwarding.specs import Destination
from ssmssh.request import prepare
from ssmssh.sandbox.documents import DOCUMENTS, Document, ParameterError
from ssmssh.session.remotecommand import Command
from ssmssh.target import Target


def document(content: Content) -> Document:
    return Document("it", "", content["sessionType"], content["parameters"], content["properties"])


def test_ssh_goes_to_the_port_whatever_it_names() -> None:
    content = making.ssh_document(2222)
    schema.check(content)
    for named in ("22", "2222", "1"):
        assert document(content).fill_in({"portNumber": [named]}) == {"portNumber": "2222"}
    assert document(content).fill_in({}) == {"portNumber": "2222"}


@pytest.mark.parametrize("host", ["db.internal", "10.0.0.7", "fd00::7", None])
def test_a_forwarding_leads_there_alone(host: str | None) -> None:
    content = making.forward_document(host, 5432)
    schema.check(content)
    request = prepare(Target("i-0123456789abcdef0"), None).session
    named = session_to(request, Destination(host or "localhost", 5432), "it").parameters
    filled = document(content).fill_in(named)
    assert (filled["portNumber"], filled.get("host")) == ("5432", host)
    for other in (Destination(host or "localhost", 5433), Destination("xdb.internal", 5432)):
        with pytest.raises(ParameterError):
            document(content).fill_in(session_to(request, other, "it").parameters)


def test_a_command_is_that_alone() -> None:
    content = making.command_document("docker  ps 'a b'", is_interactive=False)
    schema.check(content)
    filled = document(content).fill_in(Command(["docker", "ps", "a b"]).parameters)
    assert filled["linux"] == {"commands": "docker ps 'a b'", "separateOutputStream": "true"}
    for other in (["docker", "rm"], ["docker", "ps", "a b", ";", "sh"]):
        with pytest.raises(ParameterError):
            document(content).fill_in(Command(other).parameters)


def test_a_command_in_a_terminal_is_a_shells() -> None:
    content = making.command_document("top -u $USER", is_interactive=True)
    schema.check(content)
    assert document(content).fill_in({})["linux"] == {"commands": "top -u $USER"}


@pytest.mark.parametrize("text", ["", " ", "a\nb", "echo {{ x }}", "echo 'a", "x" * 5000, "a\x1b"])
def test_what_is_no_command(text: str) -> None:
    with pytest.raises(UsageError, match="--command"):
        making.command_document(text, is_interactive=False)


@pytest.mark.parametrize(
    ("name", "program"),
    [
        ("AWS-StartSSHSession", "ssh"),
        ("AWS-StartPortForwardingSession", "forward"),
        ("AWS-StartPortForwardingSessionToRemoteHost", "forward"),
        ("SSM-SessionManagerRunShell", "shell"),
        ("AWS-StartNonInteractiveCommand", "run"),
    ],
)
def test_what_awss_documents_are_good_for(name: str, program: str) -> None:
    each = DOCUMENTS[name]
    content = {"sessionType": each.session_type, "parameters": each.parameters, "properties": each.properties}
    (use,) = uses_of(name, content)
    assert use.program == program
    assert name in use.command


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"sessionType": "Port", "properties": {"portNumber": "22"}}, "ssh names the parameter portNumber"),
        ({"sessionType": "NonInteractiveCommands", "parameters": {"command": {}}}, "separateOutputStream"),
        (
            {
                "sessionType": "Port",
                "properties": {"type": "LocalPortForwarding"},
                "parameters": {"portNumber": {}, "ticket": {"type": "String"}},
            },
            "needs the parameter ticket",
        ),
    ],
)
def test_what_a_document_is_not_good_for(content: Content, reason: str) -> None:
    (use,) = uses_of("it", content)
    assert not use.command
    assert re.search(reason, use.reason)
