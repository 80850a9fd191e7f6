"""Whether what came from the far side could be written here: a full disk or a closed output is a failure, told."""

from ssmssh.errors import ExitStatus, FileError
from ssmssh.lifecycle import NO_READER_STATUS
from ssmssh.session.streams import OutputPump


def status_of_writing(output: OutputPump, errors: OutputPump | None = None) -> int:
    """The status for what has become of standard output: that nobody reads it any more is no failure.

    Raises:
        FileError: Something could not be written, there or to `errors`.
    """
    for name, pump in ("output", output), ("errors", errors):
        if pump is not None and pump.failure is not None:
            raise FileError(f"Cannot write the {name}: {pump.failure.strerror}", "some of it is lost")
    return NO_READER_STATUS if output.is_broken else ExitStatus.DONE
