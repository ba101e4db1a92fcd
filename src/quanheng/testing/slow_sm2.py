"""The law of SM2 signatures in the fewest lines, as the judge of the library that signs: GB/T 32918.2, curve of .5.

Plain integers and points of the curve: slow, and its time depends on the key. It must never sign anything of value.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.hashes import SM3, Hash

P = 0xFFFFFFFE_FFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFF_00000000_FFFFFFFF_FFFFFFFF
A = P - 3
B = 0x28E9FA9E_9D9F5E34_4D5A9E4B_CF6509A7_F39789F5_15AB8F92_DDBCBD41_4D940E93
N = 0xFFFFFFFE_FFFFFFFF_FFFFFFFF_FFFFFFFF_7203DF6B_21C6052B_53BBF409_39D54123
G = (
    0x32C4AE2C_1F198119_5F990446_6A39C994_8FE30BBF_F2660BE1_715A4589_334C74C7,
    0xBC3736A2_F4F6779C_59BDCEE3_6B692153_D0A9877C_C62A4740_02DF32E5_2139F0A0,
)
Point = tuple[int, int] | None
"""None is the point at infinity."""


def on_curve(point: Point) -> bool:
    """Whether the point satisfies y² = x³ + ax + b."""
    return point is not None and (point[1] ** 2 - point[0] ** 3 - A * point[0] - B) % P == 0


def add(one: Point, other: Point) -> Point:
    """Sum of two points."""
    if one is None or other is None:
        return one or other
    if one[0] == other[0] and (one[1] + other[1]) % P == 0:
        return None
    if one == other:
        slope = (3 * one[0] ** 2 + A) * pow(2 * one[1], -1, P) % P
    else:
        slope = (other[1] - one[1]) * pow(other[0] - one[0], -1, P) % P
    x = (slope**2 - one[0] - other[0]) % P
    return x, (slope * (one[0] - x) - one[1]) % P


def times(factor: int, point: Point) -> Point:
    """The point added to itself `factor` times."""
    total: Point = None
    while factor:
        if factor & 1:
            total = add(total, point)
        point, factor = add(point, point), factor >> 1
    return total


def sm3(data: bytes) -> bytes:
    """SM3 (GB/T 32905), 32 bytes."""
    hasher = Hash(SM3())
    hasher.update(data)
    return hasher.finalize()


def digest(public: tuple[int, int], message: bytes, identifier: bytes) -> int:
    """e = SM3(Z || M), where Z binds identifier, curve and public key (GB/T 32918.2, 5.5 and 6.1)."""
    numbers = b"".join(one.to_bytes(32, "big") for one in (A, B, *G, *public))
    z = sm3((8 * len(identifier)).to_bytes(2, "big") + identifier + numbers)
    return int.from_bytes(sm3(z + message), "big")


def sign(private: int, k: int, message: bytes, identifier: bytes) -> tuple[int, int]:
    """(r, s) with the nonce `k` (6.1).

    Raises
    ------
    ValueError : the nonce must be drawn again
    """
    public, point = times(private, G), times(k, G)
    assert public is not None, "a private key is no multiple of the order"
    assert point is not None, "a nonce is no multiple of the order"
    r = (digest(public, message, identifier) + point[0]) % N
    s = pow(1 + private, -1, N) * (k - r * private) % N
    if r == 0 or r + k == N or s == 0:
        raise ValueError("the nonce must be drawn again")
    return r, s


def verifies(public: tuple[int, int], r: int, s: int, message: bytes, identifier: bytes) -> bool:
    """Whether (r, s) is a signature of the message (7.1)."""
    t = (r + s) % N
    if not (0 < r < N and 0 < s < N and t):
        return False
    point = add(times(s, G), times(t, public))
    return point is not None and (digest(public, message, identifier) + point[0]) % N == r
