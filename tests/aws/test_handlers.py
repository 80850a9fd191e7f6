"""The handlers of botocore's events: whatever is emitted, those of a plain session of botocore's are called."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore import handlers
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.hooks import HierarchicalEmitter
from botocore.session import Session

from ssmssh.aws.handlers import register_handlers

CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "ssm": ("start_session", {"Target": "i-0123456789abcdef0"}),
    "sts": ("assume_role", {"RoleArn": "arn:aws:iam::123456789012:role/r", "RoleSessionName": "session"}),
    "sso": ("get_role_credentials", {"roleName": "r", "accountId": "1", "accessToken": "t"}),
    "sso-oidc": ("create_token", {"clientId": "c", "clientSecret": "s", "grantType": "refresh_token"}),
    "signin": ("create_o_auth2_token", {"tokenInput": {"clientId": "c", "grantType": "authorization_code"}}),
    "s3": ("head_bucket", {"Bucket": "b"}),
    "ec2": ("copy_snapshot", {"SourceRegion": "us-east-1", "SourceSnapshotId": "s"}),
}


class Recorder(HierarchicalEmitter):
    """Keeps, for each event, who was asked to handle it."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[tuple[str, list[str]]] = []

    def _emit(self, event_name: str, kwargs: dict[str, Any], stop_on_response: bool = False) -> Any:
        handlers_of: Any = self
        found = [_name(handler) for handler in handlers_of._handlers.prefix_search(event_name)]
        self.events.append((event_name, [name for name in found if "register_handlers" not in name]))
        return super()._emit(event_name, kwargs, stop_on_response)  # type: ignore[misc]

    def __copy__(self) -> "Recorder":
        copied = super().__copy__()
        copied.events = self.events
        return copied


def _name(handler: Any) -> str:
    """What it is, for a comparison of two sessions."""
    owner = getattr(handler, "__self__", None)
    return f"{type(owner).__name__}.{getattr(handler, '__qualname__', type(handler).__name__)}"


class Raw:
    def stream(self, **_: object) -> Iterator[bytes]:
        yield json.dumps({}).encode()


def events_of(services: list[str], *, is_ours: bool) -> list[tuple[str, list[str]]]:
    recorder = Recorder()
    session = Session(event_hooks=recorder, include_builtin_handlers=not is_ours)
    if is_ours:
        register_handlers(session)
    session.register("before-send", lambda request, **_: AWSResponse(request.url, 200, {}, Raw()))  # type: ignore[arg-type]
    for service in services:
        method, arguments = CALLS[service]
        client = session.create_client(
            service,
            "eu-west-1",
            aws_access_key_id="AKID",
            aws_secret_access_key="x",
            config=Config(retries={"total_max_attempts": 1}),
        )
        try:
            getattr(client, method)(**arguments)
        except Exception as error:  # noqa: BLE001 - the answer is none of the service; what matters came before
            recorder.events.append((type(error).__name__, []))
    return recorder.events


@pytest.mark.parametrize("services", [[service] for service in CALLS] + [["ssm", "s3", "ssm", "ec2", "sts"]])
def test_the_same_handlers_are_called(services: list[str]) -> None:
    ours, theirs = events_of(services, is_ours=True), events_of(services, is_ours=False)
    assert [event for event, _ in ours] == [event for event, _ in theirs]
    assert ours == theirs
    assert len([handler for _, found in ours for handler in found]) > 5


def test_most_are_left_for_later() -> None:
    """And registered once, when another service is used for the first time."""

    class Counter(HierarchicalEmitter):
        count = 0

        def _register_section(self, *arguments: Any, **named: Any) -> None:
            self.count += 1
            super()._register_section(*arguments, **named)  # type: ignore[misc]

    counter = Counter()
    session = Session(event_hooks=counter, include_builtin_handlers=False)
    register_handlers(session)
    assert 5 < counter.count < 30
    for service in ("sts", "ec2", "s3"):
        before = counter.count
        session.create_client(service, "eu-west-1")
        assert (counter.count > before) == (service == "ec2")
    assert counter.count == len(handlers.BUILTIN_HANDLERS) + 1
