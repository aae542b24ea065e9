"""PyPI aws-encryption-sdk with a raw AES key, signing suite: encrypt|decrypt SOURCE TARGET FRAME_BYTES (0: default)."""

import shutil
import sys

import aws_encryption_sdk
from aws_cryptographic_material_providers.mpl import AwsCryptographicMaterialProviders
from aws_cryptographic_material_providers.mpl.config import MaterialProvidersConfig
from aws_cryptographic_material_providers.mpl.models import AesWrappingAlg, CreateRawAesKeyringInput

CHUNK_BYTES = 1024 * 1024

verb, source, target, frame_bytes = sys.argv[1:]
client = aws_encryption_sdk.EncryptionSDKClient()
keyring = AwsCryptographicMaterialProviders(config=MaterialProvidersConfig()).create_raw_aes_keyring(
    input=CreateRawAesKeyringInput(
        key_namespace="bench",
        key_name="bench",
        wrapping_key=bytes(32),
        wrapping_alg=AesWrappingAlg.ALG_AES256_GCM_IV12_TAG16,
    )
)
framing = {"frame_length": int(frame_bytes)} if verb == "encrypt" and int(frame_bytes) else {}
with (
    open(source, "rb") as plain_or_sealed,
    open(target, "wb") as out,
    client.stream(mode=verb[0], source=plain_or_sealed, keyring=keyring, **framing) as stream,
):
    shutil.copyfileobj(stream, out, CHUNK_BYTES)
