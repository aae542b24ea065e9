"""Who may vouch for what: roles, thresholds, certificate paths, revocation, updates, what a reader demands."""

from .mutant import Mutant

PATHS = "tests/trust/test_certificate_paths.py::"
CERTIFICATES = "tests/trust/test_certificates.py::"
STORE = "tests/trust/test_store.py::"
KEY_SETS = "tests/trust/test_key_sets.py::"
ROTATION = "tests/trust/test_rotation.py::"
HEADS = "tests/trust/test_heads.py::"
HEAD_VECTOR = HEADS + "test_a_vector_is_judged_as_it_says"
FETCHING = "tests/cli/test_head_commands.py::"
NOT_PUBLISHED = "tests/server/test_heads.py::test_what_a_head_has_withdrawn_or_recalled_is_not_published"

MUTANTS = (
    Mutant(
        "trust/head_chain.py",
        "if digest in gone and sequence not in recalled:",
        "if digest in gone and sequence in recalled:",
        HEADS + "test_what_has_the_payload_of_another_release_is_not_recalled_unless_both_are",
    ),
    Mutant(
        "trust/head_chain.py",
        "        if named.digest in gone:\n",
        "        if named.sequence in gone.values():\n",
        HEADS + "test_what_has_the_payload_of_a_release_that_is_named_is_not_recalled",
    ),
    Mutant(
        "trust/updates.py",
        "        if found.digest != digest:\n",
        "        if found.version != version:\n",
        ROTATION + "test_the_stores_of_before_are_those_whose_digests_the_updates_name",
    ),
    Mutant(
        "trust/updates.py",
        "        if previous is not None and not _is_by_own_root(data):\n",
        "        if previous is None and not found.root:\n",
        ROTATION + "test_what_an_update_says_of_the_store_before_is_believed_if_the_root_signed_it",
    ),
    Mutant(
        "trust/heads.py",
        "if found != digest:",
        "if not found:",
        "tests/device/test_heads.py::test_a_head_key_recalls_nothing_and_another_recall_is_not_the_one_that_is_named",
    ),
    Mutant(
        "trust/heads.py",
        "if statement.sequence in self.sequences:",
        "if statement.sequence in self.sequences and self.digests:",
        FETCHING + "test_fetch_takes_nothing_that_is_withdrawn_or_recalled_even_by_its_number",
    ),
    Mutant(
        "trust/heads.py",
        "if statement.payload.digest.hex() in self.digests:",
        "if statement.payload.digest.hex() in self.digests and statement.sequence in self.sequences:",
        NOT_PUBLISHED,
    ),
    Mutant(
        "trust/heads.py",
        "digests = {release.digest for recall in recalls for release in recall.releases}",
        "digests = {release.digest for recall in recalls for release in recall.releases[1:]}",
        NOT_PUBLISHED,
    ),
    Mutant(
        "trust/heads.py",
        "return Forbidden(head.number, frozenset(head.withdrawn), frozenset(digests))",
        "return Forbidden(head.number, frozenset(head.withdrawn[1:]), frozenset(digests))",
        NOT_PUBLISHED,
    ),
    Mutant("trust/heads.py", "if signed.head.role is not by:", "if signed.head.role is by is None:", HEAD_VECTOR),
    Mutant("trust/heads.py", "if head.expires > policy.until:", "if head.issued > policy.until:", HEAD_VECTOR),
    Mutant(
        "trust/heads.py",
        "if head.store != reference_to(store):",
        "if head.store.version != store.version:",
        HEAD_VECTOR,
    ),
    Mutant("trust/heads.py", "if head.epoch != store.epoch:", "if head.epoch < store.epoch:", HEAD_VECTOR),
    Mutant("trust/heads.py", "if now >= head.expires:", "if now > head.expires:", HEAD_VECTOR),
    Mutant(
        "trust/heads.py",
        "if role is Role.PRODUCTION or policy.development is None:",
        "if policy.development is None:",
        HEAD_VECTOR,
    ),
    Mutant(
        "trust/heads.py",
        "if taken is not None and taken.epoch == store.epoch:",
        "if taken is not None:",
        HEADS + "test_the_clock_is_never_behind_the_last_head_of_the_epoch_nor_the_store",
    ),
    Mutant(
        "trust/heads.py",
        "if new.number == old.number and before.digest != after.digest:",
        "if new.number == old.number and before.head.current != after.head.current:",
        HEADS + "test_two_heads_of_one_number_are_noticed",
    ),
    Mutant(
        "trust/heads.py",
        "lost = sorted(set(old.recalls) - set(new.recalls))",
        "lost = sorted(set(old.recalls) - set(new.recalls))[1:]",
        HEADS + "test_no_head_takes_back_role_time_recalls_log_or_salt",
    ),
    Mutant(
        "trust/heads.py",
        "store.check(envelope.message, envelope.signatures, role=Role.PRODUCTION, now=now)",
        "store.check(envelope.message, envelope.signatures, role=role, now=now)",
        HEADS + "test_a_development_key_recalls_nothing_in_a_development_build_either",
    ),
    Mutant(
        "trust/heads.py",
        "if any(named.digest == digest and named.sequence == statement.sequence for named in self.releases):",
        "if any(named.sequence == statement.sequence for named in self.releases):",
        HEADS + "test_a_head_names_a_payload_and_not_only_a_sequence",
    ),
    Mutant(
        "trust/head_chain.py",
        "if release.digest not in known and release.sequence <= highest:",
        "if release.digest not in known and release.sequence < min(one.sequence for one in kept):",
        HEADS + "test_what_is_current_is_never_lowered",
    ),
    Mutant(
        "trust/head_chain.py",
        "dropped = sorted(set(old.withdrawn) - set(new.withdrawn) - set(restored))",
        "dropped = sorted(set(old.withdrawn) - set(new.withdrawn)) if not restored else []",
        HEADS + "test_a_withdrawal_may_lower_what_is_current_and_stays_unless_asked",
    ),
    Mutant(
        "trust/expect.py",
        "if now - statement.created > most:",
        "if now - statement.created > 2 * most:",
        "tests/device/test_heads.py::test_a_reader_without_heads_may_demand_that_a_bundle_is_young",
    ),
    Mutant(
        "trust/store.py",
        "return Role.PRODUCTION if development.isdisjoint(chain.fingerprints) else Role.DEVELOPMENT",
        "return Role.PRODUCTION",
        PATHS + "test_swapping_the_unsigned_certificates_makes_no_production_signature_of_a_development_one",
    ),
    Mutant(
        "trust/store.py",
        "development = {t.key.fingerprint for t in self.keys if t.role is Role.DEVELOPMENT}",
        "development = set()",
        PATHS + "test_a_key_that_is_for_development_anywhere_in_the_chain_is_for_development_only",
    ),
    Mutant(
        "trust/store.py",
        "signers[signature.keyid] = trusted",
        "signers[signature.sig] = trusted",
        STORE + "test_one_key_signing_many_times_counts_once",
    ),
    Mutant(
        "trust/store.py",
        "                trusted.key.verify(signature.sig, message)\n",
        "                pass\n",
        STORE + "test_a_bad_signature_by_a_trusted_key_is_refused_even_beside_good_ones",
    ),
    Mutant(
        "trust/store.py",
        "                chain.key.verify(signature.sig, message)\n",
        "",
        CERTIFICATES + "test_a_signature_by_another_key_than_the_certified_one_is_refused",
    ),
    Mutant(
        "trust/store.py",
        "if chain.key.fingerprint != signature.keyid:",
        "if chain.key.fingerprint[:2] == signature.keyid[:2] + '?':",
        CERTIFICATES + "test_a_certificate_for_another_key_is_refused",
    ),
    Mutant(
        "trust/store.py",
        "if production >= self.threshold or (role is Role.DEVELOPMENT and production < len(signers)):",
        "if len(signers) >= self.threshold or (role is Role.DEVELOPMENT and production < len(signers)):",
        STORE + "test_development_keys_do_not_count_for_the_production_threshold",
    ),
    Mutant(
        "trust/store.py",
        "if len(unique) != len(self.keys):",
        "if len(unique) > len(self.keys):",
        STORE + "test_stores_that_could_never_be_satisfied_are_refused",
    ),
    Mutant(
        "trust/store.py",
        "elif anchors := _dated(trusted.chain, trusted.anchors, created, refused):",
        "elif anchors := trusted.anchors:",
        PATHS + "test_the_dates_of_the_stored_certificate_applied_when_the_bundle_was_made",
    ),
    Mutant(
        "trust/store.py",
        "if len(certificates) != 1:",
        "if not certificates:",
        CERTIFICATES + "test_a_pem_file_of_one_certificate_is_a_store_and_one_of_a_chain_is_not",
    ),
    Mutant(
        "trust/certificates.py",
        "return one.subject == other.subject and fingerprint_of(one) == fingerprint_of(other)",
        "return one.subject == other.subject",
        PATHS + "test_a_ca_of_the_same_name_with_another_key_is_a_stranger",
    ),
    Mutant(
        "trust/certificates.py",
        "return (*self.certificates[:count], anchor)",
        "return self.certificates[: count + 1]",
        PATHS + "test_the_stored_certificate_limits_its_ca_whatever_copy_of_it_is_shown",
    ),
    Mutant(
        "trust/certificates.py",
        'if not der.endswith(b"\\0" + certificate.signature):',
        "if not der.endswith(certificate.signature):",
        CERTIFICATES + "test_the_signature_of_a_certificate_is_whole_bytes",
    ),
    Mutant(
        "trust/certificates.py",
        "if certificate is not issuer and _issued(certificate, certificate):",
        "if certificate is issuer and not _issued(certificate, certificate) and False:",
        CERTIFICATES + "test_a_chain_ends_with_its_first_self_signed_certificate",
    ),
    Mutant(
        "trust/certificates.py",
        "_HASHES = (hashes.SHA256, hashes.SHA384, hashes.SHA512)",
        "_HASHES = (hashes.SHA224, hashes.SHA256, hashes.SHA384, hashes.SHA512)",
        CERTIFICATES + "test_weak_keys_and_digests_are_refused_anywhere_in_the_chain",
    ),
    Mutant(
        "trust/_certificate_path.py",
        'check_dates(path, now, "it is now")',
        'check_dates(path[:-1], now, "it is now")',
        CERTIFICATES + "test_a_self_signed_certificate_is_trusted_by_itself_for_as_long_as_it_is_valid",
    ),
    Mutant(
        "trust/_certificate_path.py",
        "    check_usage(path[0])\n",
        "",
        PATHS + "test_any_usage_is_no_usage_for_code_signing",
    ),
    Mutant(
        "trust/_certificate_path.py",
        "if constraints is not None and constraints.ca:",
        "if False:",
        PATHS + "test_a_ca_does_not_sign_bundles_itself",
    ),
    Mutant(
        "trust/_certificate_path.py",
        "    _check_anchor_revocation(path[-1], crls)\n",
        "",
        PATHS + "test_a_trusted_certificate_that_a_list_in_the_store_names_is_revoked",
    ),
    Mutant(
        "trust/_certificate_path.py",
        "        .may_be_present(x509.ExtendedKeyUsage, Criticality.AGNOSTIC, _check_issuer_purpose)\n",
        "",
        PATHS + "test_a_ca_that_may_not_certify_code_signers_vouches_for_none",
    ),
    Mutant(
        "trust/_certificate_path.py",
        ".may_be_present(x509.NameConstraints, Criticality.CRITICAL, check_constraints)",
        ".may_be_present(x509.NameConstraints, Criticality.AGNOSTIC, check_constraints)",
        PATHS + "test_name_constraints_that_are_not_critical_are_refused",
    ),
    Mutant(
        "trust/_certificate_path.py",
        "if not kinds <= set(_APPLICABLE_NAMES):",
        "if False:",
        PATHS + "test_name_constraints_are_enforced_or_the_path_is_refused",
    ),
    Mutant(
        "trust/_certificate_path.py",
        "if not any(type(name) in kinds for name in names):",
        "if False:",
        PATHS + "test_name_constraints_are_enforced_or_the_path_is_refused",
    ),
    Mutant(
        "trust/_certificate_path.py",
        "    _judge(path, now)\n",
        "    if len(path) > 1:\n        _judge(path, now)\n",
        PATHS + "test_a_trusted_certificate_of_a_signer_is_judged_like_any_other",
    ),
    Mutant(
        "trust/_certificate_path.py",
        "if by_name and not own:",
        "if by_name and own is None:",
        CERTIFICATES + "test_a_revocation_list_must_be_current_and_the_issuers_own",
    ),
    Mutant(
        "trust/_certificate_path.py",
        "if ends and max(ends) < now:",
        "if ends and max(ends) == now:",
        CERTIFICATES + "test_a_revocation_list_must_be_current_and_the_issuers_own",
    ),
    Mutant(
        "trust/updates.py",
        "    store.root.check(\n        envelope.message, envelope.signatures, what=",
        "    parse_store(strictjson.parse(content, 'trust update')['store']).root.check(\n"
        "        envelope.message, envelope.signatures, what=",
        ROTATION + "test_an_update_of_the_new_roots_alone_is_refused",
    ),
    Mutant(
        "trust/updates.py",
        "    _check_own_root(envelope, new)\n",
        "    _check_own_root(envelope, store)\n",
        ROTATION + "test_a_threshold_of_the_old_root_and_of_the_new_one_must_have_signed",
    ),
    Mutant(
        "trust/updates.py",
        "    if new.epoch != next_epoch(store, new):\n        raise FormatError",
        "    if new.epoch < next_epoch(store, new):\n        raise FormatError",
        ROTATION + "test_the_epoch_rises_by_one_with_the_keys_of_heads_and_with_nothing_else",
    ),
    Mutant(
        "trust/updates.py",
        "if new.root is None:\n        raise FormatError",
        "if new.root is None:\n        return new\n        raise FormatError",
        ROTATION + "test_an_update_must_leave_a_root",
    ),
    Mutant(
        "trust/key_sets.py",
        "if len(signers) < self.threshold:",
        "if len(signatures) < self.threshold or not signers:",
        KEY_SETS + "test_a_threshold_of_different_keys_must_have_signed",
    ),
    Mutant(
        "trust/key_sets.py",
        "                key.verify(signature.sig, message)\n",
        "                if len(found) < self.threshold:\n                    key.verify(signature.sig, message)\n",
        KEY_SETS + "test_a_signature_that_names_a_key_of_the_set_must_verify_or_all_are_refused",
    ),
    Mutant(
        "trust/key_sets.py",
        "            and self.threshold == other.threshold\n",
        "",
        ROTATION + "test_the_threshold_of_heads_is_part_of_their_keys_and_their_order_is_not",
    ),
    Mutant(
        "trust/key_sets.py",
        "            if other != purpose:\n",
        "            if other != purpose and 'heads' in purpose and purpose != 'development heads':\n",
        KEY_SETS + "test_no_key_has_two_purposes",
    ),
    Mutant(
        "trust/store.py",
        "            if not chain.fingerprints.isdisjoint(fingerprints):",
        "            if purpose == 'root' and not chain.fingerprints.isdisjoint(fingerprints):",
        KEY_SETS + "test_a_key_that_a_ca_certifies_vouches_for_no_release_where_the_store_has_it_for_something_else",
    ),
    Mutant(
        "trust/updates.py",
        "if new.version != store.version + 1 or previous != store.digest:",
        "if previous != store.digest and new.version != store.version + 1:",
        ROTATION + "test_an_update_is_for_one_store_only",
    ),
    Mutant(
        "trust/expect.py",
        "if self.role is Role.PRODUCTION and statement.role is not Role.PRODUCTION:",
        "if self.role is Role.DEVELOPMENT and statement.role is not Role.PRODUCTION and False:",
        "tests/format/test_statement.py::test_a_reader_that_demands_production_refuses_a_statement_for_development",
    ),
    Mutant(
        "trust/expect.py",
        "if sequence <= floor:",
        "if sequence < floor:",
        "tests/format/test_seal.py::test_the_sequence_must_be_above_the_floor",
    ),
    Mutant(
        "trust/expect.py",
        "if wanted is not None and wanted != found:",
        "if wanted is not None and not found.startswith(wanted):",
        "tests/format/test_seal.py::test_what_a_reader_expects_is_checked",
    ),
    Mutant(
        "trust/signing.py",
        "        signer.public_key.verify(sig, message)\n",
        "        pass\n",
        "tests/trust/test_signing.py::test_a_signature_that_its_own_key_does_not_verify_is_not_used",
    ),
)
