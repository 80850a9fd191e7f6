"""botocore's event handlers, those for other services only once such a service is used.

botocore registers 120 handlers with every session, which takes 8 ms; a dozen of them concern all services or one
that is called here: ``ssm``, and those that are asked for credentials. The others are registered the moment a client
of another service is made, before its class is, so that nobody can tell.
"""

from collections.abc import Sequence
from typing import Any

from botocore import handlers
from botocore.session import Session

SERVICES = ("ssm", "sts", "sso", "sso-oidc", "signin", "portal.sso", "oidc")
"""By the names that events have, and those of ``endpoints.json``, which events once had."""

Specification = Sequence[Any]
"""Of a handler: the event's name, the handler, and perhaps whether it is to be the first or the last."""


def register_handlers(session: Session) -> None:
    """Register botocore's handlers with a session that was made without them."""
    later: list[Specification] = []
    for specification in handlers.BUILTIN_HANDLERS:
        if _is_needed(specification[0]):
            _register(session, specification)
        else:
            later.append(specification)

    def complete(**event: Any) -> None:
        while later and event["service_name"] not in SERVICES:
            _register(session, later.pop(0))

    session.register("choose-service-name", complete)


def _is_needed(event_name: str) -> bool:
    """Whether it is for all services, or for one of `SERVICES`; documentation is nobody's."""
    kind, _, rest = event_name.partition(".")
    return kind != "docs" and (not rest or f"{rest}.".startswith(("*.", *(f"{name}." for name in SERVICES))))


def _register(session: Session, specification: Specification) -> None:
    event_name, handler, *position = specification
    events = session.get_component("event_emitter")
    if position == [handlers.REGISTER_FIRST]:
        events.register_first(event_name, handler)
    elif position == [handlers.REGISTER_LAST]:
        events.register_last(event_name, handler)
    else:
        events.register(event_name, handler)
