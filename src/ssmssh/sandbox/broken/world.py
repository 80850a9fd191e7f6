"""What can be broken in a sandbox while it runs, and put back: files, environment, services, instances, network.

Everything is remembered as it was when it is changed for the first time, so that `restore` has the sandbox as it was,
whatever a program did to it meanwhile that somebody told to mend something.
"""

import contextlib
import json
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol, cast

import botocore.session
from botocore.config import Config

from ssmssh.errors import SsmsshError
from ssmssh.sandbox import environment
from ssmssh.sandbox.accounts import PROFILES
from ssmssh.sandbox.certificates import make_server_certificate
from ssmssh.sandbox.control import ControlError
from ssmssh.sandbox.faults import parse
from ssmssh.sandbox.files import make_directory, write_file
from ssmssh.sandbox.keys import AccessKey
from ssmssh.sandbox.motoiam import INSTANCE_ROLE, MANAGED_POLICY
from ssmssh.sandbox.network import Network

_WAKE_SECONDS = 60.0
"""For the first answer of moto's IAM, which takes three where there is nothing else to do."""
_INSTALL_SECONDS = 60.0
"""For install-config, which takes a second on a machine that has nothing else to do."""
_KEPT = ("ssh_config", "aws_config", "aws_credentials", "known_hosts", "authorized_keys", "id_ed25519", "ca.pem")
"""Files of the sandbox's directory that are as they were after `World.restore`, whoever has changed them."""


class Faults(Protocol):
    """What a `World` needs of a sandbox's faults."""

    def set(self, fault: str) -> None:
        """Put one in force."""

    def clear(self, name: str) -> None:
        """Lift it."""


class Box(Protocol):
    """What it needs of a sandbox: see `ssmssh.sandbox.box.Sandbox`, which holds its broken set-ups itself."""

    @property
    def faults(self) -> Faults:
        """Its faults."""

    @property
    def directory(self) -> Path:
        """Where everything of it is."""

    @property
    def region(self) -> str:
        """The region of what names none."""

    @property
    def endpoint_url(self) -> str:
        """The URL of the API."""

    @property
    def ca_bundle(self) -> Path:
        """The certificate authority to trust."""

    @property
    def credentials(self) -> AccessKey:
        """The credential of its own profile."""

    @property
    def environment(self) -> dict[str, str]:
        """That of its programs."""

    def call(self, name: str, /, **arguments: object) -> object:
        """Make a control call."""

    def renew_credentials(self) -> None:
        """Let the credential of its profile expire, and write another one."""


class World:
    """What a `Broken` makes its changes through. `environment` is what it changes of the environment's variables."""

    def __init__(self, box: Box) -> None:
        self._box = box
        self._files = {name: (self.path(name).read_bytes(), self.path(name).stat().st_mode) for name in _KEPT}
        self._undo: list[Callable[[], object]] = []
        self.environment: dict[str, str | None] = {}

    @property
    def region(self) -> str:
        """The sandbox's own region."""
        return self._box.region

    def path(self, name: str) -> Path:
        """A file of the sandbox's directory."""
        return self._box.directory / name

    def fault(self, text: str) -> None:
        """Have something go wrong, by the name of a fault."""
        self._box.faults.set(text)
        self._undo.append(lambda: self._box.faults.clear(parse(text).key))

    def instance(self, instance_id: str, **changes: object) -> None:
        """Have an instance be otherwise."""
        before = self._box.call("change_instance", instance_id=instance_id, changes=changes)
        self._undo.append(lambda: self._box.call("change_instance", instance_id=instance_id, changes=before))

    def network(self, **changes: object) -> None:
        """Have the network of the instances be otherwise."""
        self._box.call("change_network", changes=changes)
        self._undo.append(lambda: self._box.call("change_network", changes=asdict(Network())))

    def document(self, name: str, session_type: str, parameters: Mapping[str, object]) -> None:
        """Have a session document of the account's own, everywhere."""
        self._box.call("put_document", name=name, session_type=session_type, parameters=parameters)
        self._undo.append(lambda: self._box.call("remove_document", name=name))

    def policy(self, *statements: Mapping[str, object]) -> None:
        """Have the caller have one policy, of these statements, and what that does not allow is not allowed."""
        name, account = "broken", PROFILES["sandbox"]
        text = json.dumps({"Version": "2012-10-17", "Statement": statements})
        self._box.call("attach_policy", account_id=account, name=name, document=text)
        self._undo.append(lambda: self._box.call("detach_policy", account_id=account, name=name))

    def instance_policies(self, *names: str) -> None:
        """Have the role of the instances have AWS's policies of these names, and no others."""

        def give(policies: tuple[str, ...]) -> None:
            named = [[f"policy-{number}", each] for number, each in enumerate(policies, 1)]
            self._box.call("give_instances_policies", account_id=PROFILES["sandbox"], policies=named)

        give(names)
        self._undo.append(lambda: give((MANAGED_POLICY,)))

    def set_environment(self, **values: str | None) -> None:
        """Have variables of the environment be otherwise; None: not set."""
        self.environment |= values

    def write(self, name: str, text: str, mode: int = 0o600) -> Path:
        """Have a file in the sandbox's directory."""
        path = self.path(name)
        if name not in self._files:
            self._undo.append(lambda: path.unlink(missing_ok=True))
        path.unlink(missing_ok=True)
        write_file(path, text, mode)
        return path

    def make_directory(self, name: str) -> Path:
        """Have a directory in the sandbox's that was not there."""
        path = self.path(name)
        make_directory(path)
        self._undo.append(lambda: shutil.rmtree(path, ignore_errors=True))
        return path

    def edit(self, name: str, changed: Callable[[str], str]) -> None:
        """Change a file.

        Raises:
            ControlError: that changes nothing, so nothing would be broken.
        """
        before = self.path(name).read_text("utf-8")
        after = changed(before)
        if after == before:
            raise ControlError(f"{name} of the sandbox is not as it was made, so it is not broken as it should be")
        self.write(name, after)

    def replace(self, name: str, old: str, new: str) -> None:
        """Replace a text in a file, wherever it is."""
        self.edit(name, lambda text: text.replace(old, new))

    def expire_credentials(self) -> None:
        """Have the credentials of the default profile be expired, without new ones."""
        credentials = self.path("aws_credentials").read_bytes()
        self._box.renew_credentials()
        good = self.path("aws_credentials").read_bytes()
        self._files["aws_credentials"] = good, self._files["aws_credentials"][1]
        self.write("aws_credentials", credentials.decode())

    def intercept(self, organization: str) -> None:
        """Have a certificate of somebody else before the API, as where TLS is inspected."""
        certificate = make_server_certificate(organization)
        write_file(self.path("intercepted.pem"), certificate.private_key + certificate.certificate)
        try:
            url = cast("str", self._box.call("open_api", certificate="intercepted.pem"))
        finally:
            self.path("intercepted.pem").unlink()
        self._undo.append(lambda: self._box.call("close_api", url=url))
        self.set_environment(AWS_ENDPOINT_URL=url)

    def prepare(self) -> None:
        """Have the ssh config as a user has it: with the block of ``install-config``, and no other way to instances.

        Raises:
            ControlError: It cannot be written; with what was said.
        """
        self.remove_block()
        self.block()
        self._wake_iam()
        self._files["ssh_config"] = self.path("ssh_config").read_bytes(), 0o600

    def _wake_iam(self) -> None:
        """Have moto's IAM have answered once: the first time takes seconds, longer than doctor waits for an answer."""
        key = self._box.credentials
        session = botocore.session.Session()
        client: Any = session.create_client(
            "iam",
            region_name=self.region,
            endpoint_url=self._box.endpoint_url,
            verify=str(self._box.ca_bundle),
            aws_access_key_id=key.access_key_id,
            aws_secret_access_key=key.secret_access_key,
            aws_session_token=key.session_token,
            config=Config(read_timeout=_WAKE_SECONDS, retries={"total_max_attempts": 1}, proxies={}),
        )
        client.get_instance_profile(InstanceProfileName=INSTANCE_ROLE)

    def block(self, *words: str) -> None:
        """Have the block in the ssh config with more options of ``install-config``."""
        self._run("install-config", "--yes", *words)

    def remove_block(self) -> None:
        """Have no line in the ssh config that leads to instances."""
        self.edit("ssh_config", lambda text: text[text.index("Host *\n") :])

    def _run(self, *words: str) -> None:
        done = subprocess.run(
            [str(environment.installed_script("ssmssh")), *words],
            env=self._box.environment,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=_INSTALL_SECONDS,
            check=False,
        )
        if done.returncode:
            said = done.stderr.strip().splitlines()[-1:]
            raise ControlError(f"{' '.join(words)} failed in the sandbox", " ".join(said))

    def restore(self) -> None:
        """Have everything as it was."""
        while self._undo:
            with contextlib.suppress(SsmsshError):
                self._undo.pop()()
        self.environment.clear()
        for name, (content, mode) in self._files.items():
            path = self.path(name)
            path.unlink(missing_ok=True)
            write_file(path, content, mode & 0o777)
