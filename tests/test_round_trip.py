"""What goes in comes out, at every size where the format has an edge."""


def test_a_small_bundle_comes_back(seal_bytes, unseal_bytes):
    assert unseal_bytes(seal_bytes(b"hello")) == b"hello"
