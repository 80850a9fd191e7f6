"""The AWS-owned documents: parameters in, properties out."""

import json

import pytest

from ssmssh.sandbox.documents import DOCUMENTS, ParameterError


def test_the_ssh_document_gives_the_port_alone() -> None:
    document = DOCUMENTS["AWS-StartSSHSession"]
    assert document.fill_in({}) == {"portNumber": "22"}
    assert document.fill_in({"portNumber": ["2222"]}) == {"portNumber": "2222"}


def test_the_forwarding_documents_have_a_type() -> None:
    filled = DOCUMENTS["AWS-StartPortForwardingSessionToRemoteHost"].fill_in({"host": ["db"], "portNumber": ["5432"]})
    assert filled == {"portNumber": "5432", "type": "LocalPortForwarding", "localPortNumber": "0", "host": "db"}
    assert DOCUMENTS["AWS-StartPortForwardingSession"].fill_in({})["portNumber"] == "80"


@pytest.mark.parametrize("port", ["1", "22", "65535", "10000", "9999"])
def test_ports_that_are_allowed(port: str) -> None:
    assert DOCUMENTS["AWS-StartSSHSession"].fill_in({"portNumber": [port]})["portNumber"] == port


@pytest.mark.parametrize("port", ["0", "65536", "", "22 ", "x", "-1", "022", "22\n"])
def test_ports_that_are_not(port: str) -> None:
    with pytest.raises(ParameterError, match="portNumber"):
        DOCUMENTS["AWS-StartSSHSession"].fill_in({"portNumber": [port]})


def test_parameters_that_are_refused() -> None:
    document = DOCUMENTS["AWS-StartNonInteractiveCommand"]
    with pytest.raises(ParameterError, match="not defined"):
        document.fill_in({"colour": ["red"]})
    with pytest.raises(ParameterError, match="one value"):
        document.fill_in({"command": ["a", "b"]})
    with pytest.raises(ParameterError, match="separateOutputStream"):
        document.fill_in({"separateOutputStream": ["perhaps"]})


def test_a_value_cannot_break_out_of_its_place() -> None:
    command = 'echo "{{ separateOutputStream }}", "x": "\\'
    filled = DOCUMENTS["AWS-StartNonInteractiveCommand"].fill_in({"command": [command]})
    linux = filled["linux"]
    assert isinstance(linux, dict)
    assert linux["commands"] == command


@pytest.mark.parametrize("name", sorted(DOCUMENTS))
def test_contents_are_documents(name: str) -> None:
    content = json.loads(DOCUMENTS[name].content())
    assert content["schemaVersion"] == "1.0"
    assert content["sessionType"] == DOCUMENTS[name].session_type
    described = DOCUMENTS[name].describe()
    assert described["Owner"] == DOCUMENTS[name].owner
    assert described["DocumentType"] == "Session"
