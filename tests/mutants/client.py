"""What a client believes of a server, and what it lets it take."""

from .mutant import Mutant

CLIENT = "tests/client/test_client.py::"
ANSWERS = "tests/client/test_answers.py::"
SLOW = "tests/client/test_slow_documents.py::"
FETCHING = "tests/cli/test_head_commands.py::"

MUTANTS = (
    Mutant(
        "client/_connection.py",
        "if not response.is_success:",
        "if response.is_server_error:",
        ANSWERS + "test_an_answer_other_than_success_is_an_error_whatever_it_holds",
    ),
    Mutant(
        "client/_documents.py",
        "        return connection.in_time(lambda: read_small(",
        "        return (lambda transfer, what: connection.retried(transfer))(lambda: read_small(",
        SLOW + "test_a_head_that_trickles_is_given_up_wherever_it_trickles",
    ),
    Mutant(
        "client/_connection.py",
        "            if late.is_set():  # cut off, it may have looked whole\n",
        "            if late.is_set() and error is not None:\n",
        SLOW + "test_a_head_that_trickles_is_given_up_wherever_it_trickles",
    ),
    Mutant(
        "client/_remote.py",
        "            self._left_s -= time.monotonic() - began_s\n",
        "            pass\n",
        SLOW + "test_whatever_small_document_trickles_is_given_up",
    ),
    Mutant(
        "client/_deadline.py",
        "            wait_s = _AGAIN_S\n",
        "            break\n",
        SLOW + "test_transfers_are_ended_again_until_the_block_is_left",
    ),
    Mutant(
        "client/_current.py",
        "check_fresh(head, time_of(trust, head, now))",
        "check_fresh(head, time_of(trust, head, head.issued))",
        FETCHING + "test_fetch_notices_a_head_that_has_expired",
    ),
    Mutant(
        "client/_current.py",
        "return Said(replace(expect, head=forbidden), sequence, uncertain)",
        "return Said(expect, sequence, uncertain)",
        FETCHING + "test_fetch_takes_nothing_that_is_withdrawn_or_recalled_even_by_its_number",
    ),
    Mutant(
        "client/_current.py",
        "for one in current.releases if one.digest not in forbidden.digests)",
        "for one in current.releases if one.sequence not in forbidden.sequences)",
        FETCHING + "test_fetch_takes_no_recalled_release_though_a_later_head_names_it",
    ),
    Mutant(
        "client/_connection.py",
        "self._follows = token is None and not self._client.base_url.userinfo",
        "self._follows = not self._client.base_url.userinfo",
        ANSWERS + "test_a_redirect_is_followed_by_a_get_without_a_token_and_to_https_only",
    ),
    Mutant(
        "client/_connection.py",
        "if url.port is not None and not 0 < url.port < 65536:",
        "if False:",
        CLIENT + "test_an_address_that_cannot_be_is_the_callers_mistake",
    ),
    Mutant(
        "client/_connection.py",
        "if not (token.isascii() and token.isprintable()):",
        "if False:",
        CLIENT + "test_a_token_that_no_header_can_hold_is_the_callers_mistake",
    ),
    Mutant(
        "client/_connection.py",
        "        if len(body) > most:\n",
        "        if len(body) > most + 64 * 1024:\n",
        "tests/http/test_shapes.py::test_an_answer_is_read_to_its_cap_and_no_further",
    ),
    Mutant(
        "client/_remote.py",
        "                if len(wanted) > left:\n",
        "                if len(wanted) > left + 1:\n",
        ANSWERS + "test_an_answer_to_another_range_is_a_failed_transfer",
    ),
    Mutant(
        "client/_remote.py",
        'response.status_code == 206 and response.headers.get("content-range", "").startswith(expected)',
        "response.status_code == 206",
        ANSWERS + "test_an_answer_to_another_range_is_a_failed_transfer",
    ),
    Mutant(
        "client/_fetching.py",
        "expect = replace(expect, app=app, channel=channel)",
        "pass",
        ANSWERS + "test_a_release_of_another_app_or_channel_is_refused",
    ),
    Mutant(
        "client/_fetching.py",
        "if sequence not in (None, verified.statement.sequence):",
        "if sequence not in (None, verified.statement.sequence, 2):",
        CLIENT + "test_another_release_than_the_one_asked_for_is_refused",
    ),
    Mutant(
        "client/_fetching.py",
        "        self._index.check_run(segment, data)\n",
        "",
        CLIENT + "test_a_byte_altered_on_the_way_is_never_written",
    ),
    Mutant(
        "client/_fetching.py",
        "len(data) == length and _matches(index, segment, data) else None",
        "len(data) == length else None",
        CLIENT + "test_fetching_again_verifies_and_mends_what_is_there",
    ),
    Mutant(
        "client/_fetching.py",
        "return match is not None and int(match[1]) <= statement.sequence",
        "return match is not None",
        CLIENT + "test_an_unfinished_fetch_of_an_older_release_is_cleared_away",
    ),
    Mutant(
        "client/_fetching.py",
        "index = SignedIndex.checked(one.payload, fetch_index(connection, index_path, one.size))",
        "index = SignedIndex(one.payload, fetch_index(connection, index_path, one.size))",
        "tests/server/test_companions.py::test_a_client_believes_no_index_that_does_not_give_the_signed_digest",
    ),
    Mutant(
        "client/_connection.py",
        'if not (response.has_redirect_location and self._follows and method == "GET"):',
        "if not (response.has_redirect_location and self._follows):",
        ANSWERS + "test_a_redirect_is_followed_by_a_get_without_a_token_and_to_https_only",
    ),
    Mutant(
        "client/_connection.py",
        'if _mistake_in(there) is not None or not (there.scheme == "https" or same):',
        "if _mistake_in(there) is not None:",
        ANSWERS + "test_a_redirect_is_followed_by_a_get_without_a_token_and_to_https_only",
    ),
    Mutant(
        "client/_connection.py",
        'if encoding != "identity":',
        'if encoding not in ("identity", "gzip"):',
        ANSWERS + "test_what_was_packed_on_the_way_is_refused_by_its_name",
    ),
    Mutant(
        "client/_remote.py",
        "if start and etag != self._etag:",
        "if start and not etag:",
        ANSWERS + "test_a_seal_that_changes_while_it_is_read_is_no_seal",
    ),
    Mutant(
        "client/_fetching.py",
        "        remove_file(result.seal)\n",
        "        pass\n",
        "tests/cli/test_kills.py::test_a_fetch_over_another_release_never_leaves_a_payload_beside_its_seal",
    ),
    Mutant(
        "client/_remote.py",
        "described_bytes is not None and statement.payload.size != described_bytes:",
        "described_bytes is not None and statement.payload.size < described_bytes:",
        "tests/client/test_answers.py::test_of_a_seal_without_end_no_more_is_read_than_it_justifies",
    ),
)
