"""Set-ups that are broken on this computer: the ssh config and its files, the way to AWS."""

from ssmssh.sandbox.broken.setup import HYBRID_TARGET, Broken, Kind, Mending
from ssmssh.sandbox.broken.world import World
from ssmssh.sandbox.certificates import make_server_certificate

_NOBODY = "127.0.0.1:9"
"""Where nothing listens: the port of ``discard``, which no system has had in service for decades."""
_GONE = "/opt/old-python/bin/ssmssh-proxy"
_PLUGIN_BLOCK = """\
Host i-* mi-*
    ProxyCommand sh -c "aws ssm start-session --target %h --document-name AWS-StartSSHSession"

"""


def _shadow(world: World) -> None:
    world.edit("ssh_config", lambda text: _PLUGIN_BLOCK + text)


def _lose_proxy(world: World) -> None:
    world.edit("ssh_config", lambda text: _with_proxy(text, _GONE))


def _with_proxy(text: str, program: str) -> str:
    lines = [_replaced(line, program) if "ProxyCommand" in line else line for line in text.splitlines(keepends=True)]
    return "".join(lines)


def _replaced(line: str, program: str) -> str:
    before, _, after = line.partition("ProxyCommand ")
    return f"{before}ProxyCommand {program} {after.partition(' ')[2]}"


def _open_include(world: World) -> None:
    path = world.write("team.conf", "Host build\n    HostName build.example.internal\n")
    path.chmod(0o666)
    world.edit("ssh_config", lambda text: f"Include {path}\n{text}")


def _open_key(world: World) -> None:
    world.path("id_ed25519").chmod(0o644)


def _dead_proxy(world: World) -> None:
    world.set_environment(HTTPS_PROXY=f"http://{_NOBODY}", NO_PROXY=None, no_proxy=None)


def _wrong_bundle(world: World) -> None:
    path = world.write("company.pem", make_server_certificate("Example Corp").authority.decode())
    world.set_environment(AWS_CA_BUNDLE=str(path))


def _no_bundle(world: World) -> None:
    world.set_environment(AWS_CA_BUNDLE=str(world.path("old-company.pem")))


LOCAL = (
    Broken(
        "no-block",
        Kind.LOCAL,
        "the ssh config has no block of ssmssh's, so ssh looks for a host of that name",
        World.remove_block,
        cause=r"does not know of ssmssh|no block",
        next_step=r"^ssmssh install-config",
        mending=Mending.COMMAND,
    ),
    Broken(
        "stale-block",
        Kind.LOCAL,
        "the block has an option that the proxy of today does not know",
        lambda world: world.replace("ssh_config", " %h %p", " --fast %h %p"),
        cause=r"block of ssmssh .* is not as .*--fast",
        next_step=r"^ssmssh install-config",
        mending=Mending.COMMAND,
    ),
    Broken(
        "block-too-narrow",
        Kind.LOCAL,
        "the block is one for EC2 instances alone, and a machine outside EC2 is none of its hosts",
        lambda world: world.replace("ssh_config", "Host i-* mi-*", "Host i-*"),
        cause=rf"will not come to ssmssh.*{HYBRID_TARGET}",
        next_step=r"^ssmssh install-config",
        mending=Mending.COMMAND,
        target=HYBRID_TARGET,
    ),
    Broken(
        "shadowed-block",
        Kind.LOCAL,
        "a Host block above ours has a ProxyCommand of its own, that of the AWS CLI's documentation",
        _shadow,
        cause=r"ssh_config|ProxyCommand",
        next_step=r"^ssmssh install-config",
        mending=Mending.COMMAND,
    ),
    Broken(
        "proxy-gone",
        Kind.LOCAL,
        "the ProxyCommand of the block is a program that is not there any more, as after an upgrade of Python",
        _lose_proxy,
        cause=rf"{_GONE}|block of ssmssh",
        next_step=r"^ssmssh install-config",
        mending=Mending.COMMAND,
    ),
    Broken(
        "config-modes",
        Kind.LOCAL,
        "a file that the ssh config includes may be written by others, so that ssh refuses to start",
        _open_include,
        cause=r"team\.conf",
        next_step=r"^chmod .*team\.conf",
        mending=Mending.COMMAND,
    ),
    Broken(
        "key-modes",
        Kind.LOCAL,
        "the private key may be read by others, so that ssh does not use it",
        _open_key,
        cause=r"id_ed25519",
        next_step=r"^chmod 600 .*id_ed25519",
        mending=Mending.COMMAND,
    ),
    Broken(
        "clock-wrong",
        Kind.LOCAL,
        "this computer's clock is 20 minutes slow, so that AWS takes no signature",
        lambda world: world.fault("clock:1200"),
        cause=r"clock",
        next_step=r"clock|time",
        mending=Mending.ELSEWHERE,
    ),
    Broken(
        "dead-proxy",
        Kind.LOCAL,
        "HTTPS_PROXY names a proxy that is not there",
        _dead_proxy,
        cause=r"proxy.*127\.0\.0\.1:9\b",
        next_step=r"HTTPS_PROXY",
        mending=Mending.COMMAND,
    ),
    Broken(
        "wrong-ca",
        Kind.LOCAL,
        "AWS_CA_BUNDLE has the certificate of a company through which the way no longer leads",
        _wrong_bundle,
        cause=r"company\.pem does not have",
        next_step=r"company\.pem",
        mending=Mending.ELSEWHERE,
    ),
    Broken(
        "ca-missing",
        Kind.LOCAL,
        "AWS_CA_BUNDLE names a file that is not there",
        _no_bundle,
        cause=r"old-company\.pem",
        next_step=r"AWS_CA_BUNDLE",
        mending=Mending.ELSEWHERE,
    ),
    Broken(
        "endpoint-unresolvable",
        Kind.LOCAL,
        "AWS_ENDPOINT_URL_SSM names a host that does not exist, that of another VPC",
        lambda world: world.set_environment(AWS_ENDPOINT_URL_SSM="https://vpce-0123456789abcdef0.invalid"),
        cause=r"vpce-0123456789abcdef0\.invalid",
        next_step=r"AWS_ENDPOINT_URL_SSM",
        mending=Mending.COMMAND,
    ),
    Broken(
        "endpoint-closed",
        Kind.LOCAL,
        "AWS_ENDPOINT_URL_SSM names a port at which nothing listens, that of a tunnel that has ended",
        lambda world: world.set_environment(AWS_ENDPOINT_URL_SSM=f"https://{_NOBODY}"),
        cause=r"AWS_ENDPOINT_URL_SSM|127\.0\.0\.1(:| port )9\b",
        next_step=r"AWS_ENDPOINT_URL_SSM",
        mending=Mending.COMMAND,
    ),
    Broken(
        "intercepted",
        Kind.LOCAL,
        "something on the way inspects TLS, with a certificate that this computer's AWS programs do not trust",
        lambda world: world.intercept("Example Corp Inspection"),
        cause=r"certificate of Example Corp Inspection",
        next_step=r"inspects TLS, add that certificate",
        mending=Mending.ELSEWHERE,
    ),
)
