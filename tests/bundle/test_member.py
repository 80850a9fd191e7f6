"""A member as a session's side: what one turn carries."""

from ssmssh.bundle.member import MemberSide, NearEnd
from ssmssh.bundle.splitting import ROOM_BYTES, WINDOW_BYTES
from ssmssh.session.link import BATCH_BYTES


def test_one_turn_carries_more_than_the_stream_holds() -> None:
    """As much as was asked for: a turn for each bit of it would cost an upload more than all that is done with it."""
    left = 4 * WINDOW_BYTES

    def fill() -> None:
        nonlocal left
        room = min(left, near.split.room)
        near.split.write(bytes(room))
        near.changes += bool(room)
        left -= room

    near = NearEnd(fill)
    side = MemberSide(1, near, b"secret", b"name", is_first=True)
    near.split.join(1)
    side.is_proved = True
    carried = 0
    while side.queued_bytes and (chunk := side.take(BATCH_BYTES)):
        carried += len(chunk)
    assert carried > WINDOW_BYTES > ROOM_BYTES
    assert left == 3 * WINDOW_BYTES - ROOM_BYTES
    assert side.is_asked_in_vain(0.0)
