"""One command on several instances, beside each other: their lines with names before them, or files; and a summary.

Each has a session and a thread of its own, and all have the same caller, so that credentials are looked for once. The
outputs share two pumps, which get whole lines only. Signals are heard in the main thread and passed on.
"""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from ssmssh.commands._interrupts import Interrupts
from ssmssh.commands._places import find_places
from ssmssh.commands._reports import failures_of, tell
from ssmssh.commands._runoutputs import ClosedOutput, File, Lines
from ssmssh.commands._runstatus import status_of, told
from ssmssh.commands._target import Reached, TargetOptions, reach_each
from ssmssh.commands._written import status_of_writing
from ssmssh.errors import FileError, SsmsshError, TargetError
from ssmssh.lifecycle import Program
from ssmssh.nodes.filters import parse_filters
from ssmssh.nodes.node import alphabetical
from ssmssh.nodes.survey import Survey
from ssmssh.session.remote import RemoteSession
from ssmssh.session.remotecommand import Command, Outcome, run_command
from ssmssh.session.sides.command import CommandSide
from ssmssh.session.streams import OutputPump, Wakeup


class Order(NamedTuple):
    """What to run, and by which document, on how many at a time, and the directory for the outputs, or None."""

    command: Command
    document_name: str
    parallel: int
    directory: Path | None


class _Runs:
    """All of them: what they share. `on_side` is told of each."""

    def __init__(self, program: Program, order: Order) -> None:
        self.wakeup = Wakeup()
        self._program = program
        self._order = order
        self._wakeups: set[Wakeup] = set()
        self._changing = threading.Lock()
        self._pumps = OutputPump(1, self.wakeup), OutputPump(2, self.wakeup)
        for pump in self._pumps:
            pump.start()

    @property
    def status_of_writing(self) -> int:
        """What has become of what was written; raises FileError."""
        return status_of_writing(*self._pumps)

    def all(
        self, targets: Mapping[str, Reached | SsmsshError], on_side: Callable[[CommandSide], None]
    ) -> dict[str, Outcome | SsmsshError]:
        """Run it on each; what has become of each. Blocks; for the main thread."""
        with ThreadPoolExecutor(self._order.parallel, thread_name_prefix="run") as pool:
            futures = {name: pool.submit(self._one, name, each, on_side) for name, each in targets.items()}
            for future in futures.values():
                future.add_done_callback(lambda _: self.wakeup.wake())
            while not all(future.done() for future in futures.values()):
                self.wakeup.wait()
                self._wake_all()
        for pump in self._pumps:
            pump.drain(self._stopped)
        return {name: future.result() for name, future in futures.items()}

    def _stopped(self) -> bool:
        return bool(self._program.stop)

    def _one(
        self, name: str, reached: Reached | SsmsshError, on_side: Callable[[CommandSide], None]
    ) -> Outcome | SsmsshError:
        if isinstance(reached, SsmsshError):
            return reached
        if self._stopped():
            return Outcome(None, ["it was not begun"])
        wakeup = Wakeup()
        with self._changing:
            self._wakeups.add(wakeup)
        try:
            return self._with_outputs(name, reached, wakeup, on_side)
        except SsmsshError as error:
            return error
        finally:
            with self._changing:
                self._wakeups.discard(wakeup)
            wakeup.close()

    def _with_outputs(
        self, name: str, reached: Reached, wakeup: Wakeup, on_side: Callable[[CommandSide], None]
    ) -> Outcome:
        remote = RemoteSession(reached.caller, reached.session)
        outputs = self._outputs(name)
        try:
            return run_command(
                self._order.command,
                remote,
                *outputs,
                wakeup,
                stop_requested=self._stopped,
                on_side=on_side,
                tell=self._program.say,
            )
        finally:
            for output in outputs:
                output.close()

    def _outputs(self, name: str) -> tuple[ClosedOutput, ClosedOutput]:
        if self._order.directory is None:
            output, errors = self._pumps
            return Lines(output, name), Lines(errors, name)
        stem = name.replace("/", "_").lstrip(".")
        return File(self._order.directory / f"{stem}.out"), File(self._order.directory / f"{stem}.err")

    def _wake_all(self) -> None:
        with self._changing:
            for wakeup in self._wakeups:
                wakeup.wake()


def run(program: Program, order: Order, options: TargetOptions, names: Sequence[str], filters: Sequence[str]) -> int:
    """Run a command on the targets of these names, and on what passes the filters; the highest status. Blocks.

    Raises:
        UsageError: An option or a word cannot be used.
        TargetError: There is no target.
        FileError: The directory cannot be made.
        SsmsshError: Nothing could be listed.
    """
    if order.directory is not None:
        try:
            order.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise FileError(f"Cannot make {order.directory}: {error.strerror}") from None
    texts = dict.fromkeys([*filter(None, names), *(_passing(filters, options) if filters else ())])
    if not texts:
        raise TargetError("There is no target to run this on", "see what there is: ssmssh list")
    targets = _reached_once(program, order, options, texts)
    runs = _Runs(program, order)
    program.stop.wake(runs.wakeup.signal_fd)
    with Interrupts(program) as interrupts:
        results = runs.all(targets, interrupts.add)
    _tell(program, results)
    return runs.status_of_writing or max(map(status_of, results.values()))


def _reached_once(
    program: Program, order: Order, options: TargetOptions, texts: Iterable[str]
) -> dict[str, Reached | SsmsshError]:
    """What has become of each of `texts`, but for those that are another name of one before them."""
    targets: dict[str, Reached | SsmsshError] = {}
    names: dict[str, str] = {}
    parameters = order.command.parameters
    for text, reached in reach_each(texts, options, document_name=order.document_name, parameters=parameters):
        if not isinstance(reached, SsmsshError):
            first = names.setdefault(reached.instance_id, text)
            if first != text:
                program.say(f"{text} is {first}, where it is run once")
                continue
        targets[text] = reached
    return targets


def _passing(filters: Sequence[str], options: TargetOptions) -> list[str]:
    """The ids of the instances that are online and pass the filters, in the order in which people read them."""
    places = find_places(
        [options["profile"]] if options["profile"] else [],
        [options["region"]] if options["region"] else [],
        all_regions=False,
        endpoint_url=options["endpoint_url"],
        login=options["login"],
    )
    survey = Survey(places.clients, parse_filters(filters))
    nodes = [node for page in survey for node in page if node.is_online]
    failures = failures_of(survey, places)
    if failures and not nodes:
        raise failures[0]
    tell(survey, failures)
    return [node.instance_id for node in alphabetical(nodes)]


def _tell(program: Program, results: Mapping[str, Outcome | SsmsshError]) -> None:
    """What a person should know, and a summary."""
    failed = []
    for name, result in results.items():
        if isinstance(result, SsmsshError):
            program.say(f"{name}: {told(result)}")
        else:
            for note in result.notes:
                program.say(note)
        if status := status_of(result):
            failed.append(f"{name} ({status})")
    summary = f"{len(results) - len(failed)} of {len(results)} succeeded"
    program.say(f"{summary}; not: {', '.join(failed)}" if failed else summary)
