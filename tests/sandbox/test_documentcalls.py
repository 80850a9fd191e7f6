"""Documents that are created, and sessions that are started with them."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ssmssh.sandbox import Sandbox
from tests.sandbox.client import TARGET, DataChannel, aws_client, code_of

PORT: dict[str, Any] = {
    "schemaVersion": "1.0",
    "description": "ssh on another port",
    "sessionType": "Port",
    "parameters": {"portNumber": {"type": "String", "default": "2222", "allowedPattern": "^2[0-9]{3,4}$"}},
    "properties": {"portNumber": "{{ portNumber }}"},
}
COMMAND: dict[str, Any] = {
    "schemaVersion": "1.0",
    "sessionType": "NonInteractiveCommands",
    "parameters": {"word": {"type": "String", "allowedValues": ["one", "two"]}},
    "properties": {"linux": {"commands": "echo said {{ word }}", "separateOutputStream": "true"}},
}


@pytest.fixture
def ssm(sandbox: Sandbox) -> Iterator[Any]:
    """A client; what it has created is deleted afterwards."""
    client = aws_client(sandbox, "ssm")
    filters = [{"Key": "Owner", "Values": ["Self"]}, {"Key": "DocumentType", "Values": ["Session"]}]

    def own() -> set[str]:
        return {each["Name"] for each in client.list_documents(Filters=filters)["DocumentIdentifiers"]}

    before = own()
    yield client
    for name in own() - before:
        client.delete_document(Name=name)


def create(ssm: Any, name: str, content: Mapping[str, object]) -> Any:
    return ssm.create_document(Name=name, DocumentType="Session", Content=json.dumps(content))["DocumentDescription"]


def test_a_port_of_a_document_of_ones_own(sandbox: Sandbox, echo_port: int, ssm: Any) -> None:
    made = create(ssm, "OtherPort", PORT | {"properties": {"portNumber": str(echo_port)}, "parameters": {}})
    assert (made["Owner"], made["DocumentType"], made["DocumentVersion"]) == ("123456789012", "Session", "1")
    with DataChannel(sandbox, None, document="OtherPort") as channel:
        channel.open()
        channel.shake_hands()
        channel.send(b"echo")
        assert channel.read(4) == b"echo"
        assert channel.report().document_name == "OtherPort"


def test_parameters_are_the_documents(sandbox: Sandbox, echo_port: int, ssm: Any) -> None:
    create(ssm, "Ports", PORT)
    with DataChannel(sandbox, echo_port, document="Ports") as channel:
        channel.open()
        channel.shake_hands()
    for given in ({"portNumber": ["22"]}, {"colour": ["red"]}, {"portNumber": ["2222", "2223"]}):
        assert code_of(ssm.start_session, Target=TARGET, DocumentName="Ports", Parameters=given) == "InvalidParameters"


def test_a_command_of_a_document(sandbox: Sandbox, ssm: Any) -> None:
    create(ssm, "Say", COMMAND)
    assert code_of(ssm.start_session, Target=TARGET, DocumentName="Say") == "InvalidParameters"
    with DataChannel(sandbox, None, document="Say", word="two") as channel:
        channel.open()
        channel.shake_hands(connected=False)
        assert channel.read(9) == b"said two\n"


def test_versions(ssm: Any) -> None:
    create(ssm, "Ports", PORT)
    other = json.dumps(PORT | {"description": "another"})
    updated = ssm.update_document(Name="Ports", Content=other, DocumentVersion="$LATEST")["DocumentDescription"]
    assert (updated["DocumentVersion"], updated["DefaultVersion"], updated["LatestVersion"]) == ("2", "1", "2")
    assert code_of(ssm.update_document, Name="Ports", Content=other) == "DuplicateDocumentContent"
    assert ssm.get_document(Name="Ports")["Content"] == json.dumps(PORT)
    assert ssm.get_document(Name="Ports", DocumentVersion="$LATEST")["Content"] == other
    assert code_of(ssm.get_document, Name="Ports", DocumentVersion="3") == "InvalidDocumentVersion"
    ssm.update_document_default_version(Name="Ports", DocumentVersion="2")
    assert ssm.describe_document(Name="Ports")["Document"]["Description"] == "another"
    rows = ssm.list_document_versions(Name="Ports")["DocumentVersions"]
    assert [(row["DocumentVersion"], row["IsDefaultVersion"]) for row in rows] == [("2", True), ("1", False)]


def test_lists_and_shares(sandbox: Sandbox, ssm: Any) -> None:
    create(ssm, "Ports", PORT)
    kind = {"Key": "DocumentType", "Values": ["Session"]}
    pages = list(ssm.get_paginator("list_documents").paginate(Filters=[kind]))
    assert len(pages) > 1
    names = [row["Name"] for page in pages for row in page["DocumentIdentifiers"]]
    assert {"AWS-StartSSHSession", "Ports", "SSM-SessionManagerRunShell"} <= set(names)
    filters = [kind, {"Key": "Owner", "Values": ["Amazon"]}, {"Key": "Name", "Values": ["AWS-StartSSH"]}]
    rows = ssm.list_documents(Filters=filters)["DocumentIdentifiers"]
    assert [(row["Name"], row["Owner"]) for row in rows] == [("AWS-StartSSHSession", "Amazon")]
    ssm.modify_document_permission(Name="Ports", PermissionType="Share", AccountIdsToAdd=["210987654321"])
    assert ssm.describe_document_permission(Name="Ports", PermissionType="Share")["AccountIds"] == ["210987654321"]
    elsewhere = aws_client(sandbox, "ssm", region="eu-west-1")
    assert code_of(elsewhere.start_session, Target=TARGET, DocumentName="Ports") in (
        "InvalidDocument",
        "TargetNotConnected",
    )


def test_what_is_refused(ssm: Any) -> None:
    create(ssm, "Ports", PORT)
    content = json.dumps(PORT)
    for request, code in (
        ({"Name": "Ports"}, "DocumentAlreadyExists"),
        ({"Name": "AWS-Ports"}, "ValidationException"),
        ({"Name": "Yaml", "DocumentFormat": "YAML"}, "InvalidDocumentContent"),
    ):
        assert code_of(ssm.create_document, DocumentType="Session", Content=content, **request) == code
    assert code_of(ssm.delete_document, Name="AWS-StartSSHSession") == "InvalidDocumentOperation"
    ssm.delete_document(Name="Ports")
    assert code_of(ssm.start_session, Target=TARGET, DocumentName="Ports") == "InvalidDocument"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"schemaVersion": "2.2"}, "schemaVersion"),
        ({"sessionType": "Shell"}, "sessionType"),
        ({"colour": "red"}, "colour"),
        ({"parameters": {"portNumber": {"type": "Text"}}}, "parameters.portNumber"),
        ({"parameters": {"portNumber": {"type": "String", "allowedPattern": "("}}}, "allowedPattern"),
        ({"parameters": {"portNumber": {"type": "String", "allowedPattern": "^1$", "default": "2"}}}, "default"),
        ({"parameters": {"portNumber": {"type": "String", "pattern": "^1$"}}}, "pattern"),
        ({"parameters": {}}, "portNumber is used and not defined"),
        ({"properties": {}}, "properties.portNumber"),
        ({"inputs": {"idleSessionTimeout": "61"}}, "inputs.idleSessionTimeout"),
        ({"inputs": {"idleSessionTimeout": 5}}, "inputs.idleSessionTimeout"),
        ({"inputs": {"maxSessionDuration": "0"}}, "inputs.maxSessionDuration"),
        ({"inputs": {"runAsEnabled": "perhaps"}}, "inputs.runAsEnabled"),
        ({"inputs": {"kmsKey": "x"}}, "kmsKey is no element of inputs"),
        ({"inputs": {"shellProfile": {"macos": "x"}}}, "macos is no element of inputs.shellProfile"),
        ({"sessionType": "InteractiveCommands", "properties": {"linux": {}}}, "properties.linux.commands"),
        ({"sessionType": "InteractiveCommands"}, "properties must have one of"),
    ],
)
def test_contents_that_are_none_name_the_field(ssm: Any, change: dict[str, object], field: str) -> None:
    with pytest.raises(ClientError, match="InvalidDocumentContent") as caught:
        create(ssm, "Wrong", PORT | change)
    assert field in str(caught.value)
