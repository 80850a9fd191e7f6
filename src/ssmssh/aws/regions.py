"""AWS's partitions and regions, from the data that botocore installs.

``partitions.json`` is the small file of the two that name regions, and the more recent one: ``endpoints.json``
is 170 times its size and lags behind. A region that is newer than the installed botocore is not *known* here,
so it is no word of a target; given explicitly it still works, with the suffixes of the partition whose pattern
its name fits, as in botocore's own endpoint rules.
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol


class DataLoader(Protocol):
    """The part of botocore's data loader that is used here."""

    def load_data(self, name: str) -> Mapping[str, Any]:
        """The parsed JSON of one data file."""


class Partitions(NamedTuple):
    """What is known about partitions; make it with `load_partitions`."""

    partitions: tuple[Mapping[str, Any], ...]

    def is_region(self, name: str) -> bool:
        """Whether `name` is a region that botocore's data knows, of any partition.

        Pseudo regions (``aws-global``) are not: they do not fit their partition's pattern.
        """
        return any(name in p["regions"] and re.search(p["regionRegex"], name) for p in self.partitions)

    def regions(self) -> list[str]:
        """The names of all known regions."""
        return [name for p in self.partitions for name in p["regions"] if self.is_region(name)]

    def regions_beside(self, region: str) -> list[str]:
        """The names of the known regions of `region`'s partition, sorted."""
        return sorted(name for name in self._of(region)["regions"] if self.is_region(name))

    def dns_suffixes(self, region: str) -> tuple[str, str]:
        """The suffixes of service host names in `region`'s partition: the plain and the dual-stack one.

        A region of no partition is taken for one of ``aws``, as botocore does.
        """
        outputs = self._of(region)["outputs"]
        return outputs["dnsSuffix"], outputs["dualStackDnsSuffix"]

    def partition_of(self, region: str) -> str:
        """What ARNs call the partition of `region`, as `dns_suffixes` finds it: ``aws``, ``aws-cn``."""
        return str(self._of(region)["id"])

    def _of(self, region: str) -> Mapping[str, Any]:
        for partition in self.partitions:
            if region in partition["regions"] or re.search(partition["regionRegex"], region):
                return partition
        return self.partitions[0]


def load_partitions(loader: DataLoader) -> Partitions:
    """Read the partitions through botocore's `loader`."""
    return Partitions(tuple(loader.load_data("partitions")["partitions"]))
