"""compare: the benchmarks start, banner, throughput, paced and echo, for our proxy and for other ProxyCommands.

For the official client, with the AWS CLI and its session-manager-plugin on PATH:

    python benchmarks compare --proxy-command "aws ssm start-session --target %h \\
        --document-name AWS-StartSSHSession --parameters portNumber=%p"

What it says of itself before the server's first line is skipped, and its WebSocket need not be signed, which releases
before 1.2.764.0 do not do.
"""

from benchmarks import banner, echo, paced, report, start, throughput


def run(plan: report.Plan) -> None:
    """Run them."""
    for benchmark in (start, banner, throughput, paced, echo):
        report.show_method(benchmark.__doc__)
        benchmark.run(plan)
