"""What a document's inputs, or the account's preferences, mean for one session.

Systems Manager User Guide: "Specify an idle session timeout value", "Specify maximum session duration", "Turn on Run As
support", "Turn on KMS key encryption", "Allow configurable shell profiles". Names of S3 and CloudWatch are kept and
shown, and nothing is logged there.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

MINUTE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class SessionPreferences:
    """Durations are in seconds, 0 for none; `run_as` is the user of shells and commands, None where nobody says."""

    idle_seconds: float = 0.0
    duration_seconds: float = 0.0
    key_id: str = ""
    run_as: str | None = None
    shell_profile: str = ""

    def as_order(self) -> dict[str, object]:
        """For a control call."""
        return asdict(self)


def read(inputs: Mapping[str, object], minute_seconds: float = MINUTE_SECONDS) -> SessionPreferences:
    """The preferences in a document's `inputs`, which have been checked; a minute takes `minute_seconds`."""
    profile = inputs.get("shellProfile")
    is_other = str(inputs.get("runAsEnabled", "")).lower() == "true"
    return SessionPreferences(
        idle_seconds=_minutes(inputs, "idleSessionTimeout") * minute_seconds,
        duration_seconds=_minutes(inputs, "maxSessionDuration") * minute_seconds,
        key_id=str(inputs.get("kmsKeyId") or ""),
        run_as=str(inputs.get("runAsDefaultUser") or "").strip() if is_other else None,
        shell_profile=str(profile.get("linux") or "") if isinstance(profile, dict) else "",
    )


def _minutes(inputs: Mapping[str, object], name: str) -> int:
    text = str(inputs.get(name) or "0")
    return int(text) if text.isdigit() else 0
