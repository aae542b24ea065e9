"""Keys and ciphers: strengths, padding, salts, nonces, what a key is bound to."""

from .mutant import Mutant

KEYS = "tests/crypto/test_keys.py::"
CIPHER = "tests/crypto/test_segment_cipher.py::"

MUTANTS = (
    Mutant(
        "crypto/keys.py",
        "self.rsa.verify(signature, message, _PSS, hashes.SHA256())",
        "self.rsa.verify(signature, message, padding.PSS(_PSS.mgf, padding.PSS.AUTO), hashes.SHA256())",
        KEYS + "test_pss_salts_of_any_length_but_32_are_refused",
    ),
    Mutant(
        "crypto/keys.py",
        "_OAEP = padding.OAEP(mgf=padding.MGF1(hashes.SHA256()), algorithm=hashes.SHA256(), label=None)",
        '_OAEP = padding.OAEP(mgf=padding.MGF1(hashes.SHA256()), algorithm=hashes.SHA256(), label=b"capseal")',
        "tests/bundle/test_independent_tools.py::test_openssl_opens_the_wrapped_key",
    ),
    Mutant(
        "crypto/keys.py",
        "if len(session_key) != KEY_BYTES:",
        "if len(session_key) < 16:",
        KEYS + "test_an_unwrapped_key_of_another_size_is_refused",
    ),
    Mutant(
        "crypto/keys.py",
        "if not MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:",
        "if not 2048 <= key.key_size <= MAX_RSA_BITS:",
        KEYS + "test_rsa_2048_is_refused_in_every_form",
    ),
    Mutant(
        "crypto/keys.py",
        "if exponent != RSA_EXPONENT:",
        "if exponent > RSA_EXPONENT:",
        KEYS + "test_exponent_3_is_refused_in_every_form",
    ),
    Mutant(
        "crypto/keys.py",
        "return modulus if _pem_of(modulus) == pem else None",
        "return modulus if _pem_of(modulus)[:-60] == pem[:-60] else None",
        KEYS + "test_a_public_key_with_one_byte_altered_is_read_as_the_library_reads_it",
    ),
    Mutant(
        "crypto/keys.py",
        "    _check_pair(name, private_key)\n",
        "",
        KEYS + "test_a_key_whose_private_half_does_not_fit_is_refused",
    ),
    Mutant(
        "crypto/keys.py",
        'if passphrase == b"":\n            raise KeyFileError("passphrase is empty: it would not protect the key")\n',
        "passphrase = passphrase or None\n",
        KEYS + "test_an_empty_passphrase_does_not_silently_leave_the_key_unencrypted",
    ),
    Mutant(
        "crypto/keys.py",
        "rsa: RSAPrivateKey = field(repr=False)",
        "rsa: RSAPrivateKey = field()",
        KEYS + "test_no_representation_shows_the_private_key",
    ),
    Mutant(
        "crypto/keys.py",
        "write_new(path, self.pem(passphrase=passphrase), mode=0o600)",
        "write_new(path, self.pem(passphrase=passphrase), mode=0o640)",
        KEYS + "test_a_saved_key_loads_again_and_only_its_owner_can_read_it",
    ),
    Mutant(
        "crypto/segment_cipher.py",
        'return self._prefix + segment.to_bytes(4, "big") + (b"\\x01" if last else b"\\x00")',
        'return self._prefix + segment.to_bytes(4, "big") + b"\\x00"',
        CIPHER + "test_a_segment_opens_only_at_its_own_place",
    ),
    Mutant(
        "crypto/segment_cipher.py",
        "if not hmac.compare_digest(commitment(session_key, header, app), expected):",
        "if not hmac.compare_digest(commitment(session_key, header, app)[:4], expected[:4]):",
        "tests/crypto/test_segment_cipher.py::test_a_commitment_is_compared_to_its_last_byte",
    ),
    Mutant(
        "crypto/segment_cipher.py",
        "if len(data) < HEADER_BYTES or data[0] != HEADER_BYTES:",
        "if len(data) < HEADER_BYTES:",
        CIPHER + "test_a_header_comes_back_and_bad_ones_are_rejected",
    ),
    Mutant(
        "crypto/segment_cipher.py",
        "info = ASSOCIATED_DATA_PREFIX + app.encode()",
        "info = ASSOCIATED_DATA_PREFIX",
        CIPHER + "test_another_app_or_salt_gives_other_keys",
    ),
    Mutant(
        "crypto/segment_cipher.py",
        'info = COMPANION_PREFIX + f"{app} {companion}".encode()',
        'info = COMPANION_PREFIX + f"{app}".encode()',
        CIPHER + "test_another_companion_gives_other_keys",
    ),
    Mutant(
        "crypto/segment_cipher.py",
        "return _hkdf(session_key, header.salt, COMMITMENT_PREFIX + app.encode())",
        "return _hkdf(session_key, bytes(SALT_BYTES), COMMITMENT_PREFIX + app.encode())",
        CIPHER + "test_the_commitment_depends_on_key_salt_and_app",
    ),
    Mutant(
        "crypto/pem.py",
        'rb"^(-----BEGIN [A-Z0-9 ]+-----)[ ',
        'rb"(-----BEGIN [A-Z0-9 ]+-----)[ ',
        "tests/crypto/test_pem.py::test_of_a_file_in_which_openssl_finds_a_key_no_other_is_used",
    ),
    Mutant(
        "crypto/pem.py",
        "    if not _BEGIN_LINE.search(data):\n",
        "    if data:\n",
        "tests/crypto/test_pem.py::test_a_key_that_is_commented_out_is_not_used",
    ),
)
