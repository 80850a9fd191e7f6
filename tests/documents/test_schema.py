"""What a session document may say: those that there are pass, a trap in a field is refused by the field's name."""

import contextlib
import copy
import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssmssh.documents import making, schema
from ssmssh.errors import UsageError
from ssmssh.sandbox.documents import DOCUMENTS

FULL: dict[str, Any] = {
    "schemaVersion": "1.0",
    "description": "All of it",
    "sessionType": "Standard_Stream",
    "parameters": {"group": {"type": "String", "default": "/sessions", "allowedPattern": "^/"}},
    "inputs": {
        "s3BucketName": "a-bucket",
        "s3KeyPrefix": "logs",
        "s3EncryptionEnabled": True,
        "cloudWatchLogGroupName": "{{ group }}",
        "cloudWatchEncryptionEnabled": False,
        "cloudWatchStreamingEnabled": True,
        "kmsKeyId": "alias/sessions",
        "runAsEnabled": True,
        "runAsDefaultUser": "ops",
        "idleSessionTimeout": "20",
        "maxSessionDuration": "1440",
        "shellProfile": {"linux": "cd; bash", "windows": ""},
    },
}
FORWARD = making.forward_document("db.internal", 5432)
COMMAND = making.command_document("docker ps", is_interactive=False)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_awss_documents_pass(name: str) -> None:
    document = DOCUMENTS[name]
    content = json.loads(document.content())
    if document.session_type == "Standard_Stream":
        content |= {"inputs": {}}
    schema.check(content)


def test_all_fields_pass() -> None:
    assert schema.parse(json.dumps(FULL)) == FULL


def changed(content: Any, path: str, value: object) -> str:
    """The content with the value at the path; `...` takes it out."""
    made = copy.deepcopy(dict(content))
    *parents, last = path.split(".")
    place = made
    for each in parents:
        place = place.setdefault(each, {})
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return json.dumps(made)


TRAPS: list[tuple[Any, str, object]] = [
    (FULL, "schemaVersion", "0.3"),
    (FULL, "schemaVersion", 1.0),
    (FULL, "schemaVersion", ...),
    (FULL, "description", 7),
    (FULL, "description", "x" * 1025),
    (FULL, "sessionType", "standard_stream"),
    (FULL, "sessionType", ...),
    (FULL, "sessionType", ["Port"]),
    (FULL, "inputs", ...),
    (FULL, "inputs", []),
    (FULL, "properties", {"portNumber": "22"}),
    (FULL, "parameters", []),
    (FULL, "inputs.s3BucketName", "A Bucket"),
    (FULL, "inputs.s3KeyPrefix", 1),
    (FULL, "inputs.s3EncryptionEnabled", "true"),
    (FULL, "inputs.cloudWatchLogGroupName", "a b"),
    (FULL, "inputs.cloudWatchLogGroupName", "{{ groop }}"),
    (FULL, "inputs.cloudWatchEncryptionEnabled", 1),
    (FULL, "inputs.cloudWatchStreamingEnabled", None),
    (FULL, "inputs.kmsKeyId", ["x"]),
    (FULL, "inputs.runAsEnabled", "yes"),
    (FULL, "inputs.runAsDefaultUser", "u" * 101),
    (FULL, "inputs.idleSessionTimeout", "61"),
    (FULL, "inputs.idleSessionTimeout", 20),
    (FULL, "inputs.idleSessionTimeout", "\u0662\u0660"),
    (FULL, "inputs.maxSessionDuration", "0"),
    (FULL, "inputs.maxSessionDuration", "1441"),
    (FULL, "inputs.shellProfile", "bash"),
    (FULL, "inputs.shellProfile.linux", "x" * 513),
    (FULL, "inputs.shellProfile.macos", "bash"),
    (FULL, "inputs.idleTimeout", "20"),
    (FULL, "parameters.group", "String"),
    (FULL, "parameters.group.type", "Text"),
    (FULL, "parameters.group.type", ...),
    (FULL, "parameters.group.description", {}),
    (FULL, "parameters.group.default", 7),
    (FULL, "parameters.group.default", "sessions"),
    (FULL, "parameters.group.allowedPattern", "("),
    (FULL, "parameters.group.allowedValues", []),
    (FULL, "parameters.group.allowedValues", [1]),
    (FULL, "parameters.group.displayType", "password"),
    (FULL, "parameters.group.minChars", -1),
    (FULL, "parameters.group.maxChars", "9"),
    (FULL, "parameters.group.minItems", True),
    (FULL, "parameters.group.maxItems", 1.5),
    (FULL, "parameters.group.pattern", ".*"),
    (FORWARD, "properties", ...),
    (FORWARD, "properties", "22"),
    (FORWARD, "properties.portNumber", ...),
    (FORWARD, "properties.portNumber", 5432),
    (FORWARD, "properties.portNumber", "65536"),
    (FORWARD, "properties.portNumber", "{{ port }}"),
    (FORWARD, "properties.type", "RemotePortForwarding"),
    (FORWARD, "properties.localPortNumber", "-1"),
    (FORWARD, "properties.host", "db internal"),
    (FORWARD, "properties.localConnectionType", "tcp"),
    (FORWARD, "properties.localUnixSocket", "/" * 104),
    (FORWARD, "properties.linux", {"commands": "sh"}),
    (COMMAND, "properties", {}),
    (COMMAND, "properties.solaris", {"commands": "sh"}),
    (COMMAND, "properties.linux.commands", ...),
    (COMMAND, "properties.linux.commands", ["docker", "ps"]),
    (COMMAND, "properties.linux.runAsElevated", "true"),
    (COMMAND, "properties.linux.separateOutputStream", True),
    (COMMAND, "properties.linux.stdOutSeparatorPrefix", 1),
    (COMMAND, "properties.linux.stdErrSeparatorPrefix", 1),
    (COMMAND, "properties.linux.timeoutSeconds", "5"),
]


@pytest.mark.parametrize(("content", "path", "value"), TRAPS, ids=lambda part: part if isinstance(part, str) else "")
def test_a_trap_is_refused_by_the_name_of_its_field(content: Any, path: str, value: object) -> None:
    with pytest.raises(UsageError) as refused:
        schema.parse(changed(content, path, value))
    named = refused.value.sentence.partition(":")[0].replace("'", "")
    assert named == path or named.startswith((f"{path}.", f"{path.rpartition('.')[0]}.default"))


def test_every_field_has_a_trap() -> None:
    fields = {*schema._FIELDS, *schema._INPUTS, *schema._PARAMETER, *schema._PORT, *schema._NON_INTERACTIVE}
    assert fields == fields & {path.rpartition(".")[2] for _, path, _ in TRAPS}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not JSON"),
        ("schemaVersion: '1.0'", "not JSON"),
        ("[]", "the document: must be an object"),
        ('{"sessionType": "Port", "sessionType": "Port"}', "'sessionType': is there twice"),
        ('{"sessionType": "Port", "x\x1b": 1}', "not JSON"),
        ('{"schemaVersion": NaN}', "not JSON"),
        (f'{{"description": "{"x" * 70_000}"}}', "more than 65536 bytes"),
        ("[" * 50_000, "nested too deeply"),
        ('{"schemaVersion": "1.0", "sessionType": "Port", "steps": []}', "'steps': is no field"),
    ],
)
def test_what_is_no_document_is_refused(text: str, reason: str) -> None:
    with pytest.raises(UsageError, match=re.escape(reason)):
        schema.parse(text)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=9),
                    lambda inner: st.lists(inner, max_size=3)
                    | st.dictionaries(st.sampled_from([*schema._FIELDS, *schema._PORT, "linux", "type"]), inner,
                                      max_size=4)))  # fmt: skip
def test_whatever_it_is_it_is_taken_or_refused(content: object) -> None:
    with contextlib.suppress(UsageError):
        schema.check(content)


@pytest.mark.parametrize("name", ["my-ssh", "abc", "a" * 128, "A.b_c-1"])
def test_names(name: str) -> None:
    assert schema.check_name(name) == name


@pytest.mark.parametrize(
    "name", ["ab", "a" * 129, "a b", "a/b", "AWS-x", "aws-x", "Amazon-x", "amzn", schema.PREFERENCES]
)
def test_names_that_cannot_be(name: str) -> None:
    with pytest.raises(UsageError):
        schema.check_name(name)
