"""EC2 Instance Connect: ``SendSSHPublicKey``, whose key really opens the SSH server of its instance.

Refusals: the service's model; words, where they are public (danmx/sigil#116): those of the service. Key types and
lengths: EC2 User Guide, "Create a key pair for your instance", and the documentation of Instance Connect.
"""

import json
import re
import secrets
from collections.abc import Callable, Mapping

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_ssh_public_key

from ssmssh.sandbox.accounts import Caller, Place
from ssmssh.sandbox.faults import FaultSet
from ssmssh.sandbox.httpio import Response, json_response
from ssmssh.sandbox.inventory import Inventory
from ssmssh.sandbox.jsoncall import JsonCall
from ssmssh.sandbox.pushedkeys import LIFETIME_SECONDS, OS_USER, PushedKeys
from ssmssh.sandbox.refusals import ApiError

TARGET_PREFIX = "AWSEC2InstanceConnectService."
SERVICE = "ec2-instance-connect"

_INSTANCE_ID = re.compile(r"i-[a-f0-9]{8,30}")
_ZONE = re.compile(r"(\w+-){2,3}\d+\w+")
_KEY_CHARACTERS = (80, 4096)
_RSA_BITS = (2048, 4096)


class InstanceConnect:
    """The answers. Where an image lacks the far side (`Instance.instance_connect`), a push succeeds, for nothing."""

    def __init__(self, inventory: Inventory, keys: PushedKeys, faults: FaultSet) -> None:
        self._inventory = inventory
        self._keys = keys
        self._faults = faults

    def answer(self, target: str, body: bytes, place: Place, caller: Caller) -> Response | None:
        """Answer a call by its ``X-Amz-Target``; None if it is not this one.

        Raises:
            ApiError: it is refused.
        """
        if target != f"{TARGET_PREFIX}SendSSHPublicKey":
            return None
        try:
            arguments = json.loads(body or b"{}")
        except ValueError:
            arguments = None
        if not isinstance(arguments, dict):
            raise ApiError("SerializationException", "the body is no structure")
        self._push(JsonCall("SendSSHPublicKey", arguments, place, caller))
        return json_response({"RequestId": secrets.token_hex(16), "Success": True})

    def _push(self, call: JsonCall) -> None:
        values = {name: _valid(call, name, is_valid) for name, is_valid in _CHECKS.items()}
        key = _parse(values["SSHPublicKey"])
        instance = self._inventory.find(values["InstanceId"], call.place)
        if instance is None:
            raise ApiError("EC2InstanceNotFoundException", "The specified instance was not found.")
        zone = values["AvailabilityZone"]
        if zone and zone != f"{instance.region}a":
            raise ApiError("EC2InstanceNotFoundException", "The specified instance was not found.")
        if instance.state == "terminated":
            raise ApiError("EC2InstanceNotFoundException", "The specified instance was not found.")
        if instance.state != "running":
            raise ApiError(
                "EC2InstanceStateInvalidException",
                "Unable to connect because the instance is not in a valid state. Connecting to a stopped or terminated "
                "instance is not supported. If the instance is stopped, start your instance, and try to connect again.",
            )
        late, lasts = self._faults.get("key-late"), self._faults.get("key-lasts")
        if instance.instance_connect and self._faults.get("no-instance-connect") is None:
            self._keys.push(
                instance.instance_id,
                values["InstanceOSUser"],
                key,
                appears_in=late["seconds"] if late is not None else 0.0,
                lasts=lasts["seconds"] if lasts is not None else LIFETIME_SECONDS,
            )


_CHECKS: Mapping[str, Callable[[str], bool]] = {
    "InstanceId": lambda text: bool(_INSTANCE_ID.fullmatch(text)),
    "InstanceOSUser": lambda text: bool(OS_USER.fullmatch(text)),
    "SSHPublicKey": lambda text: _KEY_CHARACTERS[0] <= len(text) <= _KEY_CHARACTERS[1],
    "AvailabilityZone": lambda text: not text or bool(_ZONE.fullmatch(text)),
}


def _valid(call: JsonCall, name: str, is_valid: Callable[[str], bool]) -> str:
    value = call.arguments.get(name, "")
    if not isinstance(value, str) or not is_valid(value):
        raise ApiError("InvalidArgsException", f"Invalid input parameter received for {name}")
    return value


def _parse(text: str) -> str:
    """The key of a public key file's line, without its comment."""
    words = text.split()
    try:
        key = load_ssh_public_key(" ".join(words[:2]).encode())
    except (ValueError, UnsupportedAlgorithm):
        key = None
    is_good = isinstance(key, Ed25519PublicKey) or (isinstance(key, RSAPublicKey) and key.key_size in _RSA_BITS)
    if not is_good or "\n" in text.strip():
        kind = "RSA" if words[0] == "ssh-rsa" else "ED25519"
        raise ApiError(
            "InvalidArgsException",
            f"Invalid input parameter received for Illegal argument exception: {kind} - SSH Public key is invalid",
        )
    return " ".join(words[:2])
