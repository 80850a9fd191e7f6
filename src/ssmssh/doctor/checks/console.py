"""The serial console: what the machine printed last, and what that means (`ssmssh.doctor.consolesigns`)."""

from ssmssh.aws.ec2 import console_output
from ssmssh.doctor.check import Check, Finding, failed, ok, unknown
from ssmssh.doctor.checks.instance import ASKABLE, of_ec2
from ssmssh.doctor.consolesigns import read
from ssmssh.doctor.examination import Examination
from ssmssh.doctor.facts.asking import options, pager
from ssmssh.doctor.facts.instance import is_online, node_id

PAGE = "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/TroubleshootingInstances.html"


@of_ec2
def _look(examination: Examination) -> Finding:
    instance_id = examination.fact(node_id)
    printed = console_output(pager(examination), instance_id)
    if not printed:
        return unknown("nothing printed as yet: it comes minutes after the start")
    found = read(printed)
    if not found:
        return ok(f"{len(printed.splitlines())} lines, nothing wrong in them")
    evidence = "; ".join(f"{each.sign.meaning}: {each.line!r}" for each in found)
    if is_online(examination):
        return ok(f"in touch, though once: {evidence}")
    first = found[0]
    return failed(
        evidence,
        f"{instance_id} needs help: {first.sign.meaning}, its serial console says ({first.line!r})",
        f"{PAGE} (read all of it: aws ec2 get-console-output --latest --output text --instance-id {instance_id}"
        f"{options(examination)})",
    )


CHECKS = (Check("serial-console", "serial console", _look, ASKABLE, ("instance-state",), needs_target=True),)
