"""AWS KMS by boto3: one GetPublicKey. Imported only where an ``awskms:`` key is named; credentials are boto3's."""

from __future__ import annotations

from plimsoll import limits
from plimsoll.errors import UnreadableKeyError
from plimsoll.model.key_reference import AwsKey
from plimsoll.model.trust import PublicKey
from plimsoll.transport.origins import is_loopback

try:
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError
except ModuleNotFoundError as missing:
    if (missing.name or "").partition(".")[0] not in ("boto3", "botocore"):
        raise
    raise UnreadableKeyError("awskms: keys need boto3: install plimsoll[aws]") from None


def fetch_aws_key(reference: AwsKey) -> PublicKey:
    """The public key; raises UnreadableKeyError for one that is not had, or is not for signing.

    An endpoint is spoken to by https, and on this machine by plain http (LocalStack).
    """
    endpoint = None
    if reference.endpoint:
        endpoint = f"{'http' if is_loopback(reference.endpoint) else 'https'}://{reference.endpoint}"
    config = Config(
        connect_timeout=limits.KEY_SERVICE_S,
        read_timeout=limits.KEY_SERVICE_S,
        retries={"mode": "standard", "total_max_attempts": limits.KEY_SERVICE_RETRIES + 1},
    )
    try:
        client = boto3.session.Session().client(
            "kms", endpoint_url=endpoint, region_name=reference.region, config=config, verify=True
        )
        try:
            reply = client.get_public_key(KeyId=reference.key_id)
        finally:
            client.close()
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "an error without a code")
        raise UnreadableKeyError(f"AWS KMS refuses it: {str(code)[:64]!r}") from None
    except (BotoCoreError, ValueError) as error:
        raise UnreadableKeyError(f"AWS KMS cannot be asked: {str(error)[: limits.TEXT_CHARS]}") from None
    if reply.get("KeyUsage") != "SIGN_VERIFY":
        raise UnreadableKeyError("AWS KMS has it, but it is no key for signing (KeyUsage is not SIGN_VERIFY)")
    der = reply.get("PublicKey")
    if not isinstance(der, bytes) or not der:
        raise UnreadableKeyError("AWS KMS gave no public key")
    return PublicKey(der)
