"""What is not there yet of what a block names, and what can never be.

A key may be made and a profile be configured later, and a region be newer than the installed botocore: these are
only mentioned.
"""

import re
from collections.abc import Iterator

from ssmssh import settings
from ssmssh.errors import UsageError
from ssmssh.sshconfig import loginname, verify
from ssmssh.sshconfig.block import BlockText
from ssmssh.sshconfig.options import BlockOptions
from ssmssh.sshconfig.patterns import SAMPLE_IDS, is_concrete
from ssmssh.target import parse_target


def about_options(options: BlockOptions) -> Iterator[str]:
    """About the key, the region and the profile; UsageError for what can be no region."""
    if options.identity_file and not settings.path_for_ssh(options.identity_file).exists():
        yield f"there is no file {options.identity_file} yet; ssh will not offer that key until there is"
    if options.needs_user and not loginname.can_be_passed(verify.find_ssh()):
        consequence = f"so it takes {options.user} for it" if options.user else "so give --user, too"
        yield (
            "the installed ssh does not refuse user names that a shell would act upon (CVE-2023-51385; 9.6 does), and "
            f"the proxy is not told whom ssh logs in as, {consequence}"
        )
    if not (options.region or options.profile):
        return
    from ssmssh.aws.client import known_partitions, profile_names

    partitions = known_partitions()
    if options.region and not partitions.is_region(options.region):
        if not any(re.search(each["regionRegex"], options.region) for each in partitions.partitions):
            raise UsageError(f"--region {options.region!r} is not an AWS region", "it is written like eu-west-1")
        yield f"the region {options.region} is not known to the installed botocore; it is written all the same"
    if options.profile and options.profile not in profile_names():
        yield f"there is no AWS profile {options.profile} yet; connections will fail until it is configured"


def about_block(text: BlockText) -> Iterator[str]:
    """As `about_options`, and about the words in the patterns of a block and its suffix."""
    options = text.options
    yield from about_options(options)
    dropped = {options.suffix, text.drop_word or None, f"{text.drop_word}.{options.suffix}"}
    words = {pattern.partition(".")[2] for pattern in text.patterns} - dropped
    if not any(words) and not options.suffix:
        return
    from ssmssh.aws.client import known_partitions, profile_names

    is_region = known_partitions().is_region
    if options.suffix and (is_region(options.suffix) or options.suffix in map(str.lower, profile_names())):
        raise UsageError(
            f"--suffix {options.suffix} is the name of a region or a profile, which host names have, too",
            "take another word",
        )
    for each in sorted(word for word in words if word and is_concrete(word)):
        try:
            target = parse_target(f"{SAMPLE_IDS[0]}.{each}", is_region=is_region, profile_names=profile_names)
        except UsageError as error:
            yield f"connections to i-*.{each} will fail for now: {error}"
        else:
            for name, typed in (("profile", target.profile), ("region", target.region)):
                chosen = getattr(options, name)
                if typed and chosen and typed != chosen:
                    yield f"--{name} {chosen} will not be used for i-*.{each}: the word in the host name wins"
