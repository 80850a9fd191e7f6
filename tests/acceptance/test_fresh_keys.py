"""A helper that gives other keys each time, as those do that assume a role: what was found by name is remembered."""

import shlex
import sys
from pathlib import Path

from ssmssh.sandbox import Sandbox
from tests.acceptance.clients import Client
from tests.acceptance.test_names import LISTING, START, counting, sandbox, village, villager

__all__ = ["sandbox", "village", "villager"]

HELPER = """\
import json, sys
import botocore.session

session = botocore.session.Session(profile="fresh")
session.set_credentials(*json.loads(sys.argv[1]))
found = session.create_client("sts", region_name="us-east-1").get_session_token()["Credentials"]
print(json.dumps({"Version": 1, **{name: found[name] for name in ("AccessKeyId", "SecretAccessKey", "SessionToken")}}))
with open(sys.argv[2], "a") as notes:
    print(found["AccessKeyId"], file=notes)
"""


def test_the_second_connection_asks_for_a_session_alone(villager: Client, village: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text(HELPER)
    key = village.credentials_of("sandbox")
    keys = f'["{key.access_key_id}", "{key.secret_access_key}", "{key.session_token}"]'
    notes = tmp_path / "notes"
    command = shlex.join([sys.executable, str(tmp_path / "helper.py"), keys, str(notes)])
    (tmp_path / "config").write_text(f"[profile fresh]\ncredential_process = {command}\n")
    villager.environment |= {"AWS_CONFIG_FILE": str(tmp_path / "config"), "AWS_PROFILE": "fresh"}
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        villager.environment.pop(name, None)
    with counting(village) as calls:
        for _ in range(2):
            villager.run("ssmssh-proxy", "--by", "name", "solo", "22")
    assert (calls[LISTING], calls[START]) == (1, 2)
    first, second = notes.read_text().split()
    assert first != second
