"""Where a database of RDS or Aurora listens, by its identifier."""

from ssmssh.aws.pages import Pager
from ssmssh.errors import TargetError
from ssmssh.target import excerpt


def endpoint_of(pager: Pager, identifier: str) -> tuple[str, int]:
    """The host and the port of a cluster's writer, or of an instance; blocks.

    Filters instead of identifiers: where there is none, the answer is an empty list and no failure.

    Raises:
        TargetError: There is no such database in the account and region, or it has no endpoint yet.
        SsmsshError: Of the class for the reason.
    """
    what = f"look for the database {excerpt(identifier)}"
    by_cluster = [{"Name": "db-cluster-id", "Values": [identifier]}]
    for cluster in pager.call("rds", "describe_db_clusters", what, Filters=by_cluster).get("DBClusters", []):
        if cluster.get("Endpoint"):
            return str(cluster["Endpoint"]), int(cluster["Port"])
    by_instance = [{"Name": "db-instance-id", "Values": [identifier]}]
    for instance in pager.call("rds", "describe_db_instances", what, Filters=by_instance).get("DBInstances", []):
        endpoint = instance.get("Endpoint", {})
        if endpoint.get("Address"):
            return str(endpoint["Address"]), int(endpoint["Port"])
    context = pager.client.context(what)
    raise TargetError(context.sentence("there is none with an endpoint"), "see: aws rds describe-db-instances")
