"""Keys that sign checkpoints: Ed25519, ML-DSA-65 and SM2 with SM3, each by a library; none is written here.

A signature type is named in a note by a byte, or by 0xff and a text of its own where C2SP signed-note assigns none.
ML-DSA-65 (FIPS 204) is signed with the empty context. SM2 (GB/T 32918.2, digest SM3 of GB/T 32905) has the
distinguishing identifier that GM/T 0009 gives for use where none was agreed, and stands as r || s, 32 bytes each.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from quanheng.kernel.errors import ConfigurationError, InputError, MissingExtra

if TYPE_CHECKING:
    from collections.abc import Sequence

SEED_BYTES = 32
SM2_SIGNER_ID = b"1234567812345678"
_HALF = 32  # Bytes of r, and of s.


class SignatureType(NamedTuple):
    """How a kind of signature stands in notes and keys: sizes in bytes, `code` as C2SP signed-note says."""

    name: str
    code: bytes
    public_bytes: int
    signature_bytes: int


ED25519 = SignatureType("ed25519", b"\x01", 32, 64)
ML_DSA_65 = SignatureType("ml-dsa-65", b"\xffquanheng/ml-dsa-65\n", 1_952, 3_309)
SM2 = SignatureType("sm2", b"\xffquanheng/sm2-sm3\n", 64, 64)
TYPES = {one.name: one for one in (ED25519, ML_DSA_65, SM2)}


class SigningKey(NamedTuple):
    """A private key that is ready to sign. `sign` takes the message and gives `type.signature_bytes` bytes."""

    type: SignatureType
    public: bytes
    sign: Callable[[bytes], bytes]


def ed25519_key(seed: bytes) -> SigningKey:
    """The Ed25519 key (RFC 8032) of a seed of 32 bytes."""
    key = Ed25519PrivateKey.from_private_bytes(seed)
    return SigningKey(ED25519, key.public_key().public_bytes_raw(), key.sign)


def ml_dsa_65_key(seed: bytes) -> SigningKey:
    """The ML-DSA-65 key of a seed of 32 bytes (xi of FIPS 204, algorithm 1). Signatures are hedged: no two are equal.

    Raises
    ------
    ConfigurationError : the OpenSSL that `cryptography` stands on has no ML-DSA
    """
    from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey

    try:
        key = MLDSA65PrivateKey.from_seed_bytes(seed)
    except UnsupportedAlgorithm as error:
        raise _no_ml_dsa() from error
    return SigningKey(ML_DSA_65, key.public_key().public_bytes_raw(), key.sign)


def sm2_key(stored: bytes) -> SigningKey:
    """The SM2 key whose private (32 bytes) and public part (x || y, 64 bytes) follow each other in `stored`.

    Raises
    ------
    MissingExtra : the package gmssl-pyx is not installed
    """
    library = _gmssl("signing with SM2")
    private, public = stored[:_HALF], stored[_HALF:]

    def sign(message: bytes) -> bytes:
        from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

        halves: Sequence[int] = decode_dss_signature(library.sm2_sign(private, public, message, SM2_SIGNER_ID))
        return b"".join(half.to_bytes(_HALF, "big") for half in halves)

    return SigningKey(SM2, public, sign)


def new_sm2_key() -> bytes:
    """A fresh SM2 key from the random source of GmSSL, as `sm2_key` takes it (96 bytes).

    Raises
    ------
    MissingExtra : the package gmssl-pyx is not installed
    """
    public, private = _gmssl("signing with SM2").sm2_key_generate()
    return bytes(private) + bytes(public)


def verifies(kind: SignatureType, public: bytes, signature: bytes, message: bytes) -> bool:
    """Whether `signature` is one of `message` by the owner of `public`; a signature in another form is none.

    Raises
    ------
    InputError : `public` is no public key of this kind
    MissingExtra, ConfigurationError : this machine cannot check signatures of this kind
    """
    if len(public) != kind.public_bytes:
        raise InputError(
            "not a public key of its kind",
            where=kind.name,
            found=f"{len(public)} bytes",
            allowed=f"{kind.public_bytes} bytes",
        )
    if len(signature) != kind.signature_bytes:
        return False
    return _VERIFIERS[kind.name](public, signature, message)


def _ed25519(public: bytes, signature: bytes, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def _ml_dsa_65(public: bytes, signature: bytes, message: bytes) -> bool:
    from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PublicKey

    try:
        MLDSA65PublicKey.from_public_bytes(public).verify(signature, message)
    except UnsupportedAlgorithm as error:
        raise _no_ml_dsa() from error
    except InvalidSignature:
        return False
    return True


def _sm2(public: bytes, signature: bytes, message: bytes) -> bool:
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    library = _gmssl("checking an SM2 signature")
    encoded = encode_dss_signature(*(int.from_bytes(half, "big") for half in (signature[:_HALF], signature[_HALF:])))
    try:
        return bool(library.sm2_verify(public, message, encoded, SM2_SIGNER_ID))
    except library.InvalidValueError as error:
        raise InputError("the public key is no point of the curve", where=SM2.name, found=public.hex()[:32]) from error


_VERIFIERS = {ED25519.name: _ed25519, ML_DSA_65.name: _ml_dsa_65, SM2.name: _sm2}


def _gmssl(purpose: str) -> Any:
    try:
        import gmssl_pyx
    except ImportError as error:
        raise MissingExtra("gmssl-pyx", "proofs", purpose) from error
    return gmssl_pyx


def _no_ml_dsa() -> ConfigurationError:
    return ConfigurationError(
        "this build of the package cryptography has no ML-DSA",
        where=ML_DSA_65.name,
        cure="Install its wheel, which brings an OpenSSL of version 3.5 or newer.",
    )
