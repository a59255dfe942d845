"""Prices: the table in the package, AWS's Price List from a server that answers as AWS does, and offer files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from sagehound.errors import StepFailed
from sagehound.pipeline.clients import connect_endpoint
from sagehound.pipeline.cost.bill import price_usages
from sagehound.pipeline.cost.summarising import chosen, from_aws
from sagehound.pipeline.cost.usage import Usage, Usages
from sagehound.pipeline.pricing.hardware import Hardware, burstable, hardware_of, has_local_storage
from sagehound.pipeline.pricing.offers import prices_of, products_of_answer
from sagehound.pipeline.pricing.packaged import DamagedTable, packaged_prices, parse_table
from sagehound.pipeline.pricing.prices import UNITS, Use
from sagehound.pipeline.pricing.query import ask_prices, connect_price_list, read_offers
from tests.pipeline.function_shop import Endpoint, Reply, aws_error, endpoint, json_reply

REGION = "us-east-1"


def product(sku: str, service: str, usage_type: str, usd: str, **attributes: str) -> dict[str, Any]:
    """A product as GetProducts has it."""
    code, rate = f"{sku}.JRTCKXETXF", f"{sku}.JRTCKXETXF.6YS6EN2CT7"
    return {
        "product": {
            "productFamily": "ML Instance",
            "attributes": {
                "regionCode": REGION,
                "servicecode": service,
                "location": "US East (N. Virginia)",
                "locationType": "AWS Region",
                "usagetype": usage_type,
                "operation": "RunInstance",
                **attributes,
            },
            "sku": sku,
        },
        "serviceCode": service,
        "terms": {
            "OnDemand": {
                code: {
                    "priceDimensions": {
                        rate: {
                            "unit": "Hrs",
                            "endRange": "Inf",
                            "description": f"${usd} per hour",
                            "appliesTo": [],
                            "rateCode": rate,
                            "beginRange": "0",
                            "pricePerUnit": {"USD": usd},
                        }
                    },
                    "sku": sku,
                    "effectiveDate": "2026-09-01T00:00:00Z",
                    "offerTermCode": "JRTCKXETXF",
                    "termAttributes": {},
                }
            }
        },
        "version": "20260924235959",
        "publicationDate": "2026-09-24T23:59:59Z",
    }


LINUX = {"operatingSystem": "Linux", "tenancy": "Shared", "preInstalledSw": "NA", "capacitystatus": "Used"}
LIST = [
    product(
        "JMCWJEAPVJNFJ5P4", "AmazonSageMaker", "USE1-Train:ml.m5.large", "0.1150000000", instanceName="ml.m5.large"
    ),
    product("HOST000000000001", "AmazonSageMaker", "USE1-Host:ml.m5.large", "0.1160000000", instanceName="ml.m5.large"),
    product(
        "STUDIO0000000001", "AmazonSageMaker", "USE1-Studio:JupyterLab-ml.m5.large", "9.9", instanceName="ml.m5.large"
    ),
    product("EC20000000000001", "AmazonEC2", "BoxUsage:m5.large", "0.0960000000", instanceType="m5.large", **LINUX),
    product(
        "EC20000000000002",
        "AmazonEC2",
        "BoxUsage:m5.large",
        "0.1880000000",
        instanceType="m5.large",
        **(LINUX | {"operatingSystem": "Windows"}),
    ),
    product("LAMBDA0000000001", "AWSLambda", "Lambda-GB-Second", "0.0000166667"),
    product("LAMBDA0000000002", "AWSLambda", "Global-Request", "0.0000000000"),
    product("LAMBDA0000000003", "AWSLambda", "Request", "0.0000002000"),
    product("S300000000000001", "AmazonS3", "TimedStorage-ByteHrs", "0.023", volumeType="Standard"),
    product("S300000000000002", "AmazonS3", "TimedStorage-ByteHrs", "0", volumeType="Intelligent-Tiering"),
]


def matching(filters: list[dict[str, str]], service: str) -> list[str]:
    return [
        json.dumps(one)
        for one in LIST
        if one["serviceCode"] == service
        and all(one["product"]["attributes"].get(item["Field"], item["Value"]) == item["Value"] for item in filters)
    ]


def answer(headers: dict[str, str], body: bytes) -> Reply:
    """GetProducts, one product a page."""
    assert headers["x-amz-target"] == "AWSPriceListService.GetProducts"
    asked = json.loads(body)
    found = matching(asked["Filters"], asked["ServiceCode"])
    place = int(asked.get("NextToken", 0))
    more = {"NextToken": str(place + 1)} if place + 1 < len(found) else {}
    return json_reply({"FormatVersion": "aws_v1", "PriceList": found[place : place + 1], **more})


@pytest.fixture
def price_list() -> Iterator[Endpoint]:
    with endpoint(answer) as server:
        yield server


def client(server: Endpoint) -> Any:
    return connect_endpoint(server.url, "AKIATEST", "secret", REGION).client("pricing")


def test_every_use_has_a_price_in_the_package_and_every_price_a_source() -> None:
    table = packaged_prices()
    assert {use for use, _ in table.prices} == set(Use)
    assert all(price.usd > 0 and len(price.source) > 20 for price in table.prices.values())
    assert table.region == REGION


@pytest.mark.parametrize(
    ("use", "item", "usd"),
    [
        (Use.TRAINING, "ml.m5.large", "0.115"),
        (Use.TRAINING, "ml.m5.xlarge", "0.230"),
        (Use.TRAINING, "ml.g4dn.xlarge", "0.736"),
        (Use.TRAINING, "ml.p3.2xlarge", "3.825"),
        (Use.HOSTING, "ml.m5.large", "0.115"),
        (Use.NOTEBOOK, "ml.m5.xlarge", "0.230"),
        (Use.EC2, "t2.small", "0.023"),
        (Use.EC2, "g6.xlarge", "0.8048"),
    ],
)
def test_the_types_that_people_use_have_their_price(use: Use, item: str, usd: str) -> None:
    found = packaged_prices().find(use, item)
    assert found is not None
    assert found.usd == Decimal(usd)


@pytest.mark.parametrize("use", [Use.TRAINING, Use.HOSTING, Use.NOTEBOOK, Use.EC2])
def test_within_a_family_a_larger_instance_costs_more(use: Use) -> None:
    table = packaged_prices()
    sizes: dict[str, list[tuple[int, Decimal]]] = {}
    for item in table.items(use):
        found, price = hardware_of(item), table.find(use, item)
        assert found is not None
        assert price is not None
        if not burstable(item):  # those of one family may have as many processors, and more memory
            sizes.setdefault(item.rpartition(".")[0], []).append((found.vcpus, price.usd))
    assert sizes
    for family, of_family in sizes.items():
        if family not in ("g4dn", "ml.g4dn"):  # 12xlarge has four GPUs, 16xlarge one
            amounts = [usd for _, usd in sorted(of_family)]
            assert amounts == sorted(set(amounts)), family


def test_the_same_machine_is_cheaper_on_ec2() -> None:
    table = packaged_prices()
    compared = 0
    for item in table.items(Use.TRAINING):
        ec2, here = table.find(Use.EC2, item.removeprefix("ml.")), table.find(Use.TRAINING, item)
        if ec2 is not None and here is not None:
            assert ec2.usd < here.usd, item
            compared += 1
    assert compared > 10


def toml(use: str = "ec2", unit: str = "hour", usd: str = '"1.5"', sources: str = 'a = "b"') -> str:
    group = f'use = "{use}"\nunit = "{unit}"\nsource = "a"\nusd = {{ x = {usd} }}'
    return f'region = "r"\ntable = "t"\n[sources]\n{sources}\n[[prices]]\n{group}\n'


def test_a_table_is_read() -> None:
    price = parse_table(toml()).find(Use.EC2, "x")
    assert price is not None
    assert price.usd == Decimal("1.5")
    assert price.source == "b"


@pytest.mark.parametrize(
    "text",
    [
        "",
        toml(sources=""),
        toml(use="fun"),
        toml(unit="month"),
        toml(usd="1.5"),
        toml(usd='"-1"'),
        toml(usd='"a"'),
        toml().removeprefix('region = "r"\n'),
    ],
)
def test_a_table_that_is_damaged_is_refused(text: str) -> None:
    with pytest.raises(DamagedTable):
        parse_table(text)


def test_prices_are_asked_of_aws_page_by_page(price_list: Endpoint) -> None:
    wanted = [
        (Use.TRAINING, "ml.m5.large"),
        (Use.HOSTING, "ml.m5.large"),
        (Use.EC2, "m5.large"),
        (Use.LAMBDA_REQUESTS, ""),
        (Use.LAMBDA_DURATION, ""),
        (Use.S3_STORAGE, "STANDARD"),
        (Use.TRAINING, "ml.x9.huge"),
    ]
    table = ask_prices(client(price_list), REGION, wanted)
    told = {(use, item): str(price.usd.normalize()) for (use, item), price in table.prices.items()}
    assert told == {
        (Use.TRAINING, "ml.m5.large"): "0.115",
        (Use.HOSTING, "ml.m5.large"): "0.116",
        (Use.EC2, "m5.large"): "0.096",
        (Use.LAMBDA_REQUESTS, ""): "2E-7",
        (Use.LAMBDA_DURATION, ""): "0.0000166667",
        (Use.S3_STORAGE, "STANDARD"): "0.023",
    }
    assert table.find(Use.TRAINING, "ml.x9.huge") is None
    # Who has asked AWS already is not told to.
    assert "--prices aws" not in table.why_missing(Use.TRAINING, "ml.x9.huge")
    assert "JMCWJEAPVJNFJ5P4" in table.prices[Use.TRAINING, "ml.m5.large"].source
    assert "now" in table.origin
    # Training and hosting of one type are one question, of which three pages came.
    asked = [json.loads(body) for _, _, body in price_list.asked]
    assert (
        sum({"Type": "TERM_MATCH", "Field": "instanceName", "Value": "ml.m5.large"} in one["Filters"] for one in asked)
        == 3
    )
    assert all({"Type": "TERM_MATCH", "Field": "regionCode", "Value": REGION} in one["Filters"] for one in asked)


def test_a_refusal_of_the_price_list_is_told() -> None:
    refusal = aws_error(400, "AccessDeniedException", "not authorized: pricing:GetProducts")
    with endpoint(lambda *_: refusal) as server, pytest.raises(StepFailed, match="pricing:GetProducts"):
        ask_prices(client(server), REGION, [(Use.ALARM, "")])


def test_an_answer_that_is_no_price_list_is_told() -> None:
    strange = json_reply({"PriceList": ["{}"]})
    with endpoint(lambda *_: strange) as server, pytest.raises(StepFailed, match="Price List"):
        ask_prices(client(server), REGION, [(Use.ALARM, "")])


def test_every_use_can_be_asked_for(price_list: Endpoint) -> None:
    items = {Use.EC2: "m5.large", Use.EBS: "gp3"} | dict.fromkeys(
        (Use.TRAINING, Use.HOSTING, Use.NOTEBOOK), "ml.m5.large"
    )
    for use in UNITS:
        before = len(price_list.asked)
        ask_prices(client(price_list), REGION, [(use, items.get(use, ""))])
        assert len(price_list.asked) > before


def test_of_tiers_the_first_holds() -> None:
    tiered = product("S3", "AmazonS3", "EUC1-TimedStorage-ByteHrs", "0.0245", volumeType="Standard")
    (term,) = tiered["terms"]["OnDemand"].values()
    (first,) = term["priceDimensions"].values()
    term["priceDimensions"] = {
        "later": first | {"beginRange": "51200", "pricePerUnit": {"USD": "0.0235"}},
        "first": first | {"endRange": "51200"},
    }
    tiered["product"]["attributes"]["regionCode"] = "eu-central-1"
    (price,) = prices_of(products_of_answer([json.dumps(tiered)]), "eu-central-1")
    assert (price.use, price.item, price.usd) == (Use.S3_STORAGE, "STANDARD", Decimal("0.0245"))
    assert list(prices_of(products_of_answer([json.dumps(tiered)]), REGION)) == []


def test_an_offer_file_of_the_bulk_list_is_read(tmp_path: Path) -> None:
    sagemaker = [one for one in LIST if one["serviceCode"] == "AmazonSageMaker"]
    offer = {
        "formatVersion": "v1.0",
        "offerCode": "AmazonSageMaker",
        "publicationDate": "2026-09-24T23:59:59Z",
        "products": {one["product"]["sku"]: one["product"] for one in sagemaker},
        "terms": {"OnDemand": {one["product"]["sku"]: one["terms"]["OnDemand"] for one in sagemaker}},
    }
    path = tmp_path / "index.json"
    path.write_text(json.dumps(offer))
    table = read_offers([path], REGION)
    assert {key: price.usd for key, price in table.prices.items()} == {
        (Use.TRAINING, "ml.m5.large"): Decimal("0.115"),
        (Use.HOSTING, "ml.m5.large"): Decimal("0.116"),
    }
    assert table.dated == "2026-09-24"
    # Over the table in the package, the file's prices hold and the rest stays.
    both = table.over(packaged_prices())
    assert both.prices[Use.HOSTING, "ml.m5.large"].usd == Decimal("0.116")
    assert both.prices[Use.EC2, "t2.small"].usd == Decimal("0.023")
    assert "what they lack came with the package" in both.origin


@pytest.mark.parametrize("content", ["", "[]", '{"products": {}}', '{"products": {}, "terms": {}}', "\x00"])
def test_a_file_that_is_no_offer_is_refused(content: str, tmp_path: Path) -> None:
    path = tmp_path / "index.json"
    path.write_text(content)
    with pytest.raises(StepFailed, match=r"index\.json") as refused:
        read_offers([path], REGION)
    assert "offers/v1.0/aws" in refused.value.hint


@pytest.mark.parametrize(
    ("instance_type", "expected"),
    [
        ("ml.m5.large", Hardware(2, 0, "")),
        ("ml.m5.xlarge", Hardware(4, 0, "")),
        ("m5.24xlarge", Hardware(96, 0, "")),
        ("ml.g4dn.12xlarge", Hardware(48, 4, "NVIDIA T4")),
        ("ml.p3.2xlarge", Hardware(8, 1, "NVIDIA V100")),
        ("t2.small", Hardware(1, 0, "")),
        ("t3.small", Hardware(2, 0, "")),
        ("ml.m5.metal", None),
    ],
)
def test_hardware_by_type(instance_type: str, expected: Hardware | None) -> None:
    assert hardware_of(instance_type) == expected


def test_types_with_a_disk_of_their_own_have_no_volume() -> None:
    assert has_local_storage("ml.g4dn.xlarge")
    assert not has_local_storage("ml.m5.xlarge")
    assert not has_local_storage("ml.p3.2xlarge")


def test_the_persons_own_keys_ask_for_what_was_used_and_for_what_it_is_compared_with(
    price_list: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "AWS_ENDPOINT_URL_PRICING": price_list.url,
        "AWS_ACCESS_KEY_ID": "AKIATEST",
        "AWS_SECRET_ACCESS_KEY": "secret",
    }.items():
        monkeypatch.setenv(name, value)
    entry = Usage("train", "job", Use.TRAINING, "ml.m5.large", Decimal(3600))
    table = from_aws(REGION, "")(Usages([entry]))
    bill = price_usages(Usages([entry]), table, charged=True)
    # an hour of 0.115
    assert bill.usd == Decimal("0.115")
    assert bill.missing == []
    assert table.find(Use.EC2, "m5.large") is not None
    asked = {item["Value"] for _, _, body in price_list.asked for item in json.loads(body)["Filters"]}
    assert {"ml.m5.large", "m5.large", "ml.g4dn.xlarge", REGION} <= asked


def test_without_keys_the_price_list_is_not_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(StepFailed, match="credentials") as refused:
        connect_price_list("")
    assert "without --prices" in refused.value.hint
    with pytest.raises(StepFailed, match="nobody"):
        connect_price_list("nobody")


def test_prices_may_be_a_folder_of_offer_files(tmp_path: Path) -> None:
    assert chosen("table", REGION, "") is None
    with pytest.raises(StepFailed, match="no offer file"):
        chosen(str(tmp_path), REGION, "")
    (sku,) = [one for one in LIST if one["product"]["sku"].startswith("HOST")]
    offer = {
        "publicationDate": "2026-09-24T23:59:59Z",
        "products": {"HOST000000000001": sku["product"]},
        "terms": {"OnDemand": {"HOST000000000001": sku["terms"]["OnDemand"]}},
    }
    (tmp_path / "sagemaker.json").write_text(json.dumps(offer))
    prices = chosen(str(tmp_path), REGION, "")
    assert prices is not None
    table = prices(Usages())
    assert table.prices[Use.HOSTING, "ml.m5.large"].usd == Decimal("0.116")
    # of another region than the table's only what the files say is known
    elsewhere = chosen(str(tmp_path), "eu-west-1", "")
    assert elsewhere is not None
    assert elsewhere(Usages()).prices == {}
