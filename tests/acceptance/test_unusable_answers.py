"""What the service answers to StartSession may be of no use and a session all the same."""

import json

import pytest

from tests.acceptance.clients import EC2_HOST, Client
from tests.acceptance.rogue import SESSION_ID, rogue_api


@pytest.mark.parametrize("stream_url", [None, "wss://ssmmessages.us-east-1.example.com/v1/data-channel/x"])
def test_a_session_that_cannot_be_joined_is_ended(client: Client, stream_url: str | None) -> None:
    with rogue_api() as api:
        api.body = json.dumps({"SessionId": SESSION_ID, "TokenValue": "t", "StreamUrl": stream_url}).encode()
        client.run("ssmssh-proxy", "--endpoint-url", api.url, EC2_HOST, "22", status=8)
        assert api.calls == ["StartSession", "TerminateSession"]
