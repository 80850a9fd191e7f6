"""What commands on a TARGET share: who calls, which machine is meant, and what is asked for of it."""

import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from ssmssh.commands import _target
from ssmssh.commands._target import TargetOptions, reach, target_options, understand_agreeing
from ssmssh.errors import TargetError, UsageError
from ssmssh.nodes.choice import AmbiguousTargetError
from ssmssh.sandbox import Sandbox
from ssmssh.session.patience import PATIENCE_SECONDS
from tests.nodes.conftest import OTHER_REGION, REGION, WEB, ClientMaker, counting

PROPERTIES, EC2 = "ssm:DescribeInstanceProperties", "ec2:DescribeInstances"


@pytest.fixture(autouse=True)
def _in_town(in_town: ClientMaker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """This process is in the town, with an empty cache of answers."""
    monkeypatch.setenv("SSMSSH_HOME", str(tmp_path))


def options(**given: object) -> TargetOptions:
    """The options of a command, as somebody has given them."""
    found: TargetOptions = {}  # type: ignore[typeddict-item]  # the command fills it

    @click.command()
    @target_options
    def command(**taken: object) -> None:
        found.update(taken)  # type: ignore[typeddict-item]

    words = [f"--{name.replace('_', '-')}{'' if value is True else f'={value}'}" for name, value in given.items()]
    result = CliRunner().invoke(command, words, standalone_mode=False)
    assert result.exception is None
    return found


def test_a_command_that_is_given_no_option() -> None:
    assert options() == dict.fromkeys(TargetOptions.__annotations__) | {"login": False, "start": False}


@pytest.mark.parametrize(
    ("text", "instance_id", "calls"),
    [
        (WEB, WEB, {}),
        (f"{WEB}.{REGION}.sandbox", WEB, {}),
        ("web-1", WEB, {PROPERTIES: 1}),
        ("10.0.0.3", "i-00000000000000003", {EC2: 2}),
        ("mi-00000000000000001", "mi-00000000000000001", {}),
        ("tag:Role=print", "mi-00000000000000001", {EC2: 1, "ssm:DescribeInstanceInformation": 1}),
        ("ip-10-0-0-3.ec2.internal", "i-00000000000000003", {PROPERTIES: 1, EC2: 2}),
    ],
)
def test_whatever_a_target_is(town: Sandbox, text: str, instance_id: str, calls: dict[str, int]) -> None:
    with counting(town) as made:
        reached = reach(text, options(profile="sandbox"), port=22)
    assert made == calls
    assert (reached.instance_id, reached.session.target, reached.session.finder) == (instance_id, instance_id, None)
    assert (reached.caller.client.region, reached.caller.client.profile) == (REGION, "sandbox")
    assert reached.session.parameters == {"portNumber": ["22"]}
    assert reached.session.document_name == "AWS-StartSSHSession"
    assert (reached.session.patience_seconds, reached.session.waits_for_target) == (PATIENCE_SECONDS, False)


def test_what_is_asked_for_is_the_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSMSSH_DOCUMENT_NAME", "Ours-Of-Ports")
    shell = reach(WEB, options(reason="a look")).session
    assert (shell.document_name, shell.parameters, shell.reason) == (None, {}, "a look")
    assert reach(WEB, options(), port=80).session.document_name == "Ours-Of-Ports"
    run = reach(WEB, options(), document_name="Ours-Of-Commands", parameters={"command": ["id"]}).session
    assert (run.document_name, run.parameters) == ("Ours-Of-Commands", {"command": ["id"]})


def test_what_is_remembered_is_looked_for_again_if_need_be(town: Sandbox) -> None:
    reach("web-1", options())
    with counting(town) as calls:
        reached = reach("web-1", options())
    assert calls == {}
    assert (reached.instance_id, reached.session.target) == (WEB, "web-1")
    assert reached.session.finder is not None
    with counting(town) as calls:
        assert reach("web-1", options(), is_lasting=True).session.finder is None
    assert calls == {PROPERTIES: 1}


@pytest.mark.parametrize(
    ("text", "given"),
    [
        (f"{WEB}.{OTHER_REGION}", {"region": REGION}),
        (f"{WEB}.other", {"profile": "sandbox"}),
        (f"{WEB}.{OTHER_REGION}.other", {"region": OTHER_REGION, "profile": "sandbox"}),
    ],
)
def test_a_word_and_an_option_that_disagree(town: Sandbox, text: str, given: dict[str, str]) -> None:
    with counting(town) as calls, pytest.raises(UsageError, match=r"says .* and --(region|profile) says"):
        reach(text, options(**given))
    assert calls == {}
    understand_agreeing(f"{WEB}.{OTHER_REGION}.other", region=OTHER_REGION, profile="other")


def test_one_of_a_group() -> None:
    assert reach("asg:fleet 1", options(choose="oldest")).instance_id == "i-0000000000000000a"
    assert reach("asg:fleet 1", options(choose="newest")).instance_id == "i-00000000000000009"
    for text in ("10.9.9.9", "alike 1"):  # none
        with pytest.raises(AmbiguousTargetError):
            reach(text, options(choose="newest"))


def test_several_where_nobody_can_choose() -> None:
    with pytest.raises(AmbiguousTargetError, match=r"2 instances have the Auto Scaling group 'fleet 1' \(us-east-1"):
        reach("asg:fleet 1", options())


def test_what_waiting_for_the_name_takes_is_not_waited_for_again(
    town: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The machine is there at the second look, and five minutes have gone."""
    now = [1000.0]
    pauses: list[float] = []

    class Time:
        @staticmethod
        def monotonic() -> float:
            return now[0]

    def find(self: object, client: object, *, again: bool, until: float, on_trouble: object) -> str:
        assert until == 1000.0 + 600 - 2
        pauses.append(until)
        now[0] += 300.5
        return WEB

    monkeypatch.setattr(_target, "time", Time)
    monkeypatch.setattr("ssmssh.nodes.finder.Finder.find", find)
    session = reach("web-1", options(wait="600")).session
    assert (session.waits_for_target, session.patience_seconds) == (True, 300)
    assert len(pauses) == 1


@pytest.mark.parametrize("wait", ["soon", "0", "1e9"])
def test_numbers_that_are_none(wait: str) -> None:
    with pytest.raises(UsageError, match="seconds to wait"):
        reach(WEB, options(wait=wait))


def test_nobody_has_the_name() -> None:
    with pytest.raises(TargetError, match="No managed instance has the Name 'nobody'"):
        reach("nobody", options())


def test_the_docstring_says_how() -> None:
    """The command of the example is one, as far as it goes."""
    text = _target.__doc__ or ""
    _, _, example = text.partition("A command uses it so:\n\n")
    lines = [line.removeprefix("    ") for line in example.partition("\n\n`reach`")[0].splitlines()]
    code = "\n".join(lines).replace("    ...", "    print(json.dumps(remote.description))\n    return 0")
    known = vars(_target) | {"json": json, "click": click}
    exec(f"from typing import Unpack\nfrom ssmssh.session.remote import RemoteSession\n{code}", known)
    done = CliRunner().invoke(known["shell"], ["web-1", "--region", REGION], standalone_mode=False)
    assert (done.exception, done.return_value) == (None, 0)
    assert WEB in done.output
