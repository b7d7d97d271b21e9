"""Secrets in URIs are masked, whatever stands around them; what is no secret stays as it is."""

import pytest

from unisid.artifacts.store import Place
from unisid.errors import ArtifactError, ConfigError, UnisidError
from unisid.masked import masked


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://shop:hunter2@db:5432/mlflow", "postgresql://***@db:5432/mlflow"),
        ("postgresql+psycopg2://shop:hun%40ter2@db/mlflow", "postgresql+psycopg2://***@db/mlflow"),
        ("postgresql://shop:hun@ter2@db/mlflow", "postgresql://***@db/mlflow"),
        ("postgresql://shop:hun/ter2@db/mlflow", "postgresql://***@db/mlflow"),
        ("https://hunter2@host/path", "https://***@host/path"),
        ("s3://AKIA:hunter2@bucket/runs?region=eu", "s3://***@bucket/runs?region=eu"),
        (
            "s3://bucket/runs?region=eu&secret_key=hunter2&access_key=hunter2",
            "s3://bucket/runs?region=eu&secret_key=***&access_key=***",
        ),
        ("s3://bucket/runs?session%5Ftoken=hunter2", "s3://bucket/runs?session%5Ftoken=***"),
        (
            "https://b.s3.amazonaws.com/x?X-Amz-Credential=hunter2%2Feu&X-Amz-Signature=hunter2&X-Amz-Date=1",
            "https://b.s3.amazonaws.com/x?X-Amz-Credential=***&X-Amz-Signature=***&X-Amz-Date=1",
        ),
        ("https://b/x?AWSAccessKeyId=hunter2&Expires=1", "https://b/x?AWSAccessKeyId=***&Expires=1"),
        ("abfs://c@account/x?sig=hunter2&account_key=hunter2", "abfs://***@account/x?sig=***&account_key=***"),
        ("mysql://db/x?ssl_ca=/ca.pem&password=hunter2", "mysql://db/x?ssl_ca=/ca.pem&password=***"),
        (
            "s3://bucket/runs?secret_key=hunter2: no file, (s3://b?token=hunter2)",
            "s3://bucket/runs?secret_key=***: no file, (s3://b?token=***)",
        ),
        ("/invocations?api_key=hunter2 failed", "/invocations?api_key=*** failed"),
        (
            "cannot reach 's3://A:hunter2@b/x' or \"ftp://u:hunter2@h\"",
            "cannot reach 's3://***@b/x' or \"ftp://***@h\"",
        ),
    ],
)
def test_secrets_are_masked(text, shown):
    assert masked(text) == shown
    assert "hunter2" not in masked(text)
    assert masked(shown) == shown


@pytest.mark.parametrize(
    "text",
    [
        "sqlite:////store/mlflow.db",
        "http://mlflow:5000/#/experiments/1",
        "http://mlflow:5000/a@b",
        "me@example.com",
        "s3://bucket/runs?region=eu-west-1&endpoint_override=http://host:9000",
        "/data/a@b/c:d@e",
        "rate=0.1 key=value",
        "http://host/x?keyboard=1&monkey=2",
        "fused.loss.temperature=0.1",
    ],
)
def test_what_is_no_secret_stays(text):
    assert masked(text) == text


@pytest.mark.parametrize("kind", [UnisidError, ConfigError, ArtifactError])
def test_the_text_of_an_error_is_masked(kind):
    assert str(kind("s3://A:hunter2@b/x: cannot be read")) == "s3://***@b/x: cannot be read"
    assert "hunter2" not in repr(kind("s3://A:hunter2@b/x: cannot be read"))


def test_a_place_is_shown_without_its_secrets_and_used_with_them():
    place = Place.of("memory://key:hunter2@shop/runs?secret_key=hunter2") / "codes"
    assert str(place) == f"{place}" == "memory://***@shop/runs/codes?secret_key=***"
    assert "hunter2" not in repr(place)
    assert place.uri == "memory://key:hunter2@shop/runs/codes?secret_key=hunter2"
