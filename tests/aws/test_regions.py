"""What is a region, and what its hosts end with."""

import pytest

from ssmssh.aws.client import known_partitions


@pytest.mark.parametrize(
    "name", ["us-east-1", "eu-west-1", "cn-north-1", "us-gov-west-1", "us-iso-east-1", "eusc-de-east-1"]
)
def test_regions_of_all_partitions_are_known(name: str) -> None:
    assert known_partitions().is_region(name)
    assert name in known_partitions().regions()


@pytest.mark.parametrize(
    "name", ["", "aws-global", "aws-cn-global", "us-east-99", "EU-WEST-1", "eu-west-1\n", "prod", "us-east"]
)
def test_other_words_are_not(name: str) -> None:
    assert not known_partitions().is_region(name)
    assert name not in known_partitions().regions()


@pytest.mark.parametrize(
    ("region", "suffixes"),
    [
        ("eu-west-1", {"amazonaws.com", "api.aws"}),
        ("cn-north-1", {"amazonaws.com.cn", "api.amazonwebservices.com.cn"}),
        ("us-gov-west-1", {"amazonaws.com", "api.aws"}),
        ("us-iso-east-1", {"c2s.ic.gov", "api.aws.ic.gov"}),
        ("cn-new-7", {"amazonaws.com.cn", "api.amazonwebservices.com.cn"}),  # newer than the data
        ("moon-1", {"amazonaws.com", "api.aws"}),
    ],
)
def test_suffixes(region: str, suffixes: set[str]) -> None:
    assert set(known_partitions().dns_suffixes(region)) == suffixes
