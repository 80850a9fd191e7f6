"""Who asks for what, joined of a host's words, what the caller says and the environment."""

from pathlib import Path

import pytest

from ssmssh.errors import UsageError
from ssmssh.protocol.limits import DEFAULT_LIMITS
from ssmssh.request import (
    MAX_WAIT_SECONDS,
    RATE_KB,
    WINDOW_KIB,
    examination_of,
    parse_parameters,
    prepare,
    understand,
    without_word,
)
from ssmssh.session.patience import PATIENCE_SECONDS
from ssmssh.settings import DEFAULT_DOCUMENT
from ssmssh.target import Named, Target

ID = "i-0123456789abcdef0"
HERE = "eu-west-1"


@pytest.fixture(autouse=True)
def _nothing_is_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("PROFILE", "REGION", "ENDPOINT_URL", "STREAM_ENDPOINT_URL", "DOCUMENT_NAME", "REASON", "SANDBOX"):
        monkeypatch.delenv(f"SSMSSH_{name}", raising=False)
    for name in ("WAIT", "WINDOW", "RATE"):
        monkeypatch.delenv(f"SSMSSH_{name}", raising=False)
    monkeypatch.delenv("AWS_REGION", raising=False)
    monkeypatch.setenv("SSMSSH_HOME", str(tmp_path))


def test_nothing_but_a_target(tmp_path: Path) -> None:
    aws, session, journal_directory = prepare(ID, 22)
    assert (aws.profile, aws.region, aws.endpoint_url, aws.stream_endpoint_url) == (None, None, None, None)
    assert (session.target, session.document_name) == (ID, DEFAULT_DOCUMENT)
    assert session.parameters == {"portNumber": ["22"]}
    assert (session.patience_seconds, session.waits_for_target) == (PATIENCE_SECONDS, False)
    assert session.limits is DEFAULT_LIMITS
    assert journal_directory == tmp_path / "state" / "sessions"


def test_who_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Word, option, variable, AWS's own variable: each hides those behind it."""
    found = []
    monkeypatch.setenv("AWS_REGION", "eu-north-1")
    found.append(prepare(ID, 22).aws.region)
    monkeypatch.setenv("SSMSSH_REGION", "eu-west-3")
    found.append(prepare(ID, 22).aws.region)
    found.append(prepare(ID, 22, region="eu-west-2").aws.region)
    found.append(prepare(f"{ID}.{HERE}", 22, region="eu-west-2").aws.region)
    assert found == ["eu-north-1", "eu-west-3", "eu-west-2", HERE]


def test_a_literal_target_stands_for_the_host() -> None:
    """Words in the host are not looked at, however they look."""
    aws, session, _ = prepare(understand(f"gpu.{HERE}", target="ecs:cluster_task_runtime"), 22, region="eu-west-2")
    assert (session.target, aws.region, aws.profile) == ("ecs:cluster_task_runtime", "eu-west-2", None)
    with pytest.raises(UsageError, match="1 to 400 characters"):
        understand(ID, target="")


def test_a_name_is_to_be_found() -> None:
    named = understand(f"web-1.{HERE}.ssm", suffix="ssm")
    aws, session, _ = prepare(named, 22, region="eu-west-2")
    assert (session.target, aws.region) == ("web-1", HERE)
    assert session.finder is not None
    assert prepare(understand(f"{ID}.ssm", suffix="ssm"), 22).session.finder is None
    assert prepare(understand("10.0.0.7", by="private-ip"), 22).session.finder is not None


@pytest.mark.parametrize(
    ("host", "options", "why"),
    [
        ("web-1", {"suffix": "ssm"}, "is not an instance id"),
        ("web-1", {"by": "private-ip"}, "is not an IP address"),
        ("web-1", {"by": "nothing"}, "is nothing to find a host by"),
        ("web-1", {"by": "tag:"}, "is nothing to find a host by"),
        ("web-1.ssm", {"by": "name", "suffix": "ssm"}, "cannot be given together"),
        ("web-1", {"by": "name", "target": "ecs:x"}, "cannot be given together"),
    ],
)
def test_what_cannot_be_found(host: str, options: dict[str, str], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        prepare(understand(host, **options), 22)


@pytest.mark.parametrize("value", [90, 90.0, "90", " 9e1 "])
def test_a_number_or_the_text_of_one(value: float | str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSMSSH_WAIT", "5")
    session = prepare(ID, 22, wait=value, window=value, rate=value).session
    assert (session.patience_seconds, session.waits_for_target) == (90, True)
    assert (session.limits.max_window_bytes, session.limits.max_rate) == (90 * 1024, 90_000)


def test_an_empty_text_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSMSSH_WAIT", "5")
    assert prepare(ID, 22, wait="").session.patience_seconds == 5


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), "0", "nan", "soon", 2e6])
@pytest.mark.parametrize("name", ["wait", "window", "rate"])
def test_numbers_out_of_range(name: str, value: float | str) -> None:
    least, most = {"wait": (1, MAX_WAIT_SECONDS), "window": WINDOW_KIB, "rate": RATE_KB}[name]
    with pytest.raises(UsageError, match=f"{value}.* from {least:.0f} to {most:.0f}"):
        prepare(ID, 22, **{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("port", [0, -22, 65536])
def test_ports_that_are_none(port: int) -> None:
    with pytest.raises(UsageError, match=f"{port} is not a port number"):
        prepare(ID, port)


def test_parameters() -> None:
    parameters = parse_parameters(["a=1", "b=2=3", "a=4"])
    assert parameters == {"a": ["1", "4"], "b": ["2=3"]}
    assert prepare(ID, 22, parameters=parameters).session.parameters == {"portNumber": ["22"], **parameters}
    with pytest.raises(UsageError, match="NAME=VALUE"):
        parse_parameters(["portNumber"])


@pytest.mark.parametrize(
    ("host", "suffix", "expected"),
    [
        ("i-0123456789abcdef0.fast", None, "i-0123456789abcdef0"),
        ("i-0123456789abcdef0.eu-west-1.prod.FAST", None, "i-0123456789abcdef0.eu-west-1.prod"),
        ("i-0123456789abcdef0", None, "i-0123456789abcdef0"),
        ("i-0123456789abcdef0.breakfast", None, "i-0123456789abcdef0.breakfast"),
        ("fast", None, "fast"),
        ("web.fast.ssm", "ssm", "web.ssm"),
        ("web.eu-west-1.fast.SSM", "ssm", "web.eu-west-1.ssm"),
        ("web.ssm", "ssm", "web.ssm"),
        ("i-0123456789abcdef0.fast", "ssm", "i-0123456789abcdef0"),
    ],
)
def test_a_word_that_is_dropped(host: str, suffix: str | None, expected: str) -> None:
    assert without_word(host, "fast", suffix) == expected


NO_OPTIONS: dict[str, str | None] = dict.fromkeys(("profile", "region", "endpoint_url", "stream_endpoint_url"))


@pytest.mark.parametrize(
    ("typed", "port", "options", "command"),
    [
        (Target(ID), 22, {}, f"ssmssh doctor {ID}"),
        (
            Target(ID, "eu-west-1", "prod"),
            22,
            {"profile": "other"},
            f"ssmssh doctor {ID} --profile prod --region eu-west-1",
        ),
        (Target(ID), 2222, {"profile": "my prod"}, f"ssmssh doctor {ID} --profile 'my prod' --port 2222"),
        (Named("web 1; rm -rf ~"), 22, {}, "ssmssh doctor 'web 1; rm -rf ~'"),
        (Named("front", "tag:Role"), 22, {}, "ssmssh doctor tag:Role=front"),
        (Named("10.0.0.7", "private-ip"), 22, {"region": "us-east-1"}, "ssmssh doctor 10.0.0.7 --region us-east-1"),
    ],
)
def test_the_command_that_finds_out_why(
    typed: Target | Named, port: int, options: dict[str, str | None], command: str
) -> None:
    assert examination_of(typed, port, NO_OPTIONS | options) == command
