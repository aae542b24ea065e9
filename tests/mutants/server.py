"""What a server takes, keeps and gives out."""

from .mutant import Mutant

PUBLISHING = "tests/server/test_publishing.py::"
READING = "tests/server/test_reading.py::"
LIMITS = "tests/server/test_limits.py::"
KILL = "tests/server/test_kill.py::"
MANY = "tests/server/test_many_servers.py::"
COMPANIONS = "tests/server/test_companions.py::"
CLIENTS = "tests/server/test_clients.py::"
TOKENS = "tests/server/test_tokens.py::"
PROXIES = "tests/server/test_proxies.py::"
OPERATION = "tests/server/test_operation.py::"
PARTS = "tests/server/test_parts.py::"
CORS = "tests/server/test_cors.py::"
RETENTION = "tests/server/test_retention.py::"
EXPORT = "tests/server/test_export.py::"
RELOADING = "tests/server/test_reloading.py::"
SETTINGS = "tests/cli/test_serve_settings.py::"
VERSIONS = "tests/server/test_trust_versions.py::"
UPDATES = "tests/server/test_trust_updates.py::"
CAPGO = "tests/capgo/test_serving.py::"
SEALED_PARTS = "tests/fleet/test_serving.py::"
TOKEN = PUBLISHING + "test_no_step_of_an_upload_goes_without_the_token"

MUTANTS = (
    Mutant(
        "server/storage/pointers.py",
        "forbidden_by(head, recalls).check(statement)",
        "forbidden_by(head, ()).check(statement)",
        "tests/server/test_heads.py::test_what_a_head_has_withdrawn_or_recalled_is_not_published",
    ),
    Mutant(
        "server/storage/pointers.py",
        "for digest in head.recalls if digest in self.recalls)",
        "for digest in self.recalls)",
        "tests/server/test_heads.py::test_a_recall_that_no_head_names_forbids_nothing",
    ),
    Mutant(
        "server/routes/reading.py",
        "    if not start < stop <= described.size:",
        "    if not start <= stop <= described.size:",
        "tests/capgo/test_plugin_deltas.py::test_a_slice_is_a_resource_of_its_own",
    ),
    Mutant(
        "server/catalogue/catalogue.py",
        "        return bool(pointer.entries or pointer.removed) and pointer.latest() is None",
        "        return bool(pointer.entries or pointer.removed)",
        CAPGO + "test_a_release_that_storage_damaged_was_not_withdrawn",
    ),
    Mutant(
        "server/catalogue/_trusted.py",
        "            if stores is not self._stores:\n                continue\n",
        "",
        UPDATES + "test_a_reload_while_updates_are_looked_for_counts",
    ),
    Mutant(
        "server/catalogue/_trusted.py",
        "            return accept_update(store, update)",
        "            return read_update(update)[1]",
        UPDATES + "test_an_update_in_the_storage_that_no_root_signed_is_not_followed",
    ),
    Mutant(
        "server/catalogue/_trusted.py",
        "        await self._storage.sync([path])",
        "        await self._storage.sync([])",
        UPDATES + "test_an_update_is_on_disk_when_it_is_acknowledged_and_again_when_it_was_here",
    ),
    Mutant(
        "server/catalogue/_trusted.py",
        "    check_by_own_root(update)\n",
        "    if after is None:\n        check_by_own_root(update)\n",
        UPDATES + "test_whence_the_present_store_came_is_not_for_a_token_to_say",
    ),
    Mutant(
        "server/storage/pointers.py",
        "return self.trust_version > max(store.version, known)",
        "return self.trust_version > max(store.version, known) + 1",
        VERSIONS + "test_a_removed_key_publishes_nothing_once_another_server_published_by_the_update",
    ),
    Mutant(
        "server/catalogue/_heads.py",
        "is not trust or pointer.is_past(trust, known=known):",
        "is not trust:",
        VERSIONS + "test_a_recall_by_a_store_that_another_server_is_past_is_not_taken",
    ),
    Mutant(
        "server/catalogue/catalogue.py",
        "and await self.trusted.follow(of.app) is not trust:",
        "and self.trusted.of(of.app) is not trust:",
        VERSIONS + "test_what_was_published_while_another_server_took_the_update_is_taken_back",
    ),
    Mutant(
        "server/storage/pointers.py",
        "        if store.restart is None or store.restart == self.restarted:",
        "        if store.restart is None:",
        UPDATES + "test_a_restart_counts_once_on_every_server_of_a_store",
    ),
    Mutant(
        "trust/expect.py",
        "            min(self.newest, shown_time(restart.created)),",
        "            self.newest,",
        UPDATES + "test_what_a_stolen_release_key_did_with_the_highest_sequence_ends_on_servers_too",
    ),
    Mutant(
        "server/catalogue/_trusted.py",
        "        leads_here = version == trust.version and brought.digest == trust.digest",
        "        leads_here = version == trust.version",
        UPDATES + "test_another_history_is_refused_whoever_has_the_token",
    ),
    Mutant(
        "server/catalogue/_trusted.py",
        "        leads_here = read_update(after)[0] == brought.digest",
        "        leads_here = True",
        UPDATES + "test_another_history_is_refused_whoever_has_the_token",
    ),
    Mutant(
        "server/storage/objects.py",
        "            await asyncio.to_thread(self._folder.check_has, self.cornerstone)",
        "            await asyncio.to_thread(self._folder.check_there)",
        OPERATION + "test_nothing_is_written_where_the_store_was",
    ),
    Mutant(
        "server/storage/verified_cache.py",
        "while self._held_bytes > self._most_bytes:",
        "while self._held_bytes > 2 * self._most_bytes:",
        "tests/server/test_sending.py::test_a_cache_holds_what_was_asked_for_last_and_no_more_than_it_may",
    ),
    Mutant(
        "server/catalogue/_collector.py",
        "        return any(at > parts_before for at in modified)",
        "        return bool(modified) and all(at > parts_before for at in modified)",
        SEALED_PARTS + "test_condemned_parts_to_which_a_resumed_job_put_more_are_spared_and_age_anew",
    ),
    Mutant(
        "server/catalogue/_wholeness.py",
        "        if missing:\n            return False\n",
        "",
        "tests/server/test_many_servers.py::"
        "test_what_a_server_published_too_late_and_could_not_take_back_is_whole_once_it_is_acknowledged",
    ),
    Mutant(
        "server/storage/payload_reader.py",
        "if self._index is not None and self._storage.is_local:",
        "if False:",
        "tests/server/test_sending.py::test_what_many_ask_for_at_once_is_verified_once",
    ),
    Mutant(
        "io/regular.py",
        "_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC",
        "_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC",
        PARTS + "test_what_is_planted_in_place_of_an_object_is_neither_read_nor_waited_for",
    ),
    Mutant(
        "server/_forwarded.py",
        'return ",".join(headers.getlist(name)).rpartition(",")[2].strip()',
        'return headers.get(name, "").rpartition(",")[2].strip()',
        "tests/server/test_proxies.py::test_a_client_that_writes_a_line_before_the_proxys_own_is_not_believed",
    ),
    Mutant(
        "native/checkedsend.py",
        "if hashing.segment_digests(segment) != self._entries[number * DIGEST_BYTES :][:DIGEST_BYTES]:",
        "if number == 0 and hashing.segment_digests(segment) != self._entries[number * DIGEST_BYTES :][:DIGEST_BYTES]:",
        "tests/native/test_checkedsend.py::"
        "test_nothing_of_a_segment_that_differs_is_sent_and_what_differs_is_there_to_be_told",
    ),
    Mutant(
        "server/storage/_checked_run.py",
        "        self._is_closed = True\n        self._release_unless_used()\n",
        "        os.close(self._file)\n",
        PARTS + "test_a_checked_run_that_is_closed_while_a_thread_sends_lets_go_of_file_and_buffer_afterwards",
    ),
    Mutant(
        "server/_outlet.py",
        "        if not self._is_pushing:\n            self._release()",
        "        self._release()",
        PARTS + "test_an_outlet_that_is_closed_while_a_thread_sends_keeps_its_descriptor_until_that_has_ended",
    ),
    Mutant(
        "server/_outlet.py",
        "                if unsent >= before:\n",
        "                if unsent > before:\n",
        "tests/server/test_sending.py::test_who_takes_nothing_is_dropped",
    ),
    Mutant(
        "server/_http_limits.py",
        'if self.transport.get_extra_info("sslcontext") is None and not has_body(cycle.scope["headers"]):',
        'if not has_body(cycle.scope["headers"]):',
        "tests/server/test_sending.py::test_over_tls_nothing_leaves_unencrypted",
    ),
    Mutant(
        "server/_starting.py",
        "                await self._start()\n",
        "                asyncio.ensure_future(self._start())\n",
        "tests/server/test_mounting.py::test_a_store_that_does_not_answer_at_first_is_asked_again",
    ),
    Mutant(
        "server/routes/publishing.py",
        "    check_token(request, Right.PUBLISH)\n    upload = await",
        "    upload = await",
        TOKEN,
    ),
    Mutant(
        "server/routes/publishing.py",
        "    check_token(request, Right.PUBLISH, app=upload.verified.statement.app)\n",
        "",
        TOKENS + "test_a_token_for_one_app_touches_no_upload_of_another",
    ),
    Mutant(
        "server/routes/publishing.py",
        "check_token(request, Right.PUBLISH, app=verified.statement.app)",
        "check_token(request, Right.PUBLISH, app=None)",
        TOKENS + "test_a_token_for_one_app_begins_no_upload_of_another",
    ),
    Mutant(
        "server/routes/publishing.py",
        'check_token(request, Right.WITHDRAW, app=request.path_params["app"])',
        "check_token(request, Right.WITHDRAW)",
        TOKENS + "test_a_token_withdraws_only_with_that_right_and_only_its_apps",
    ),
    Mutant(
        "server/_tokens.py",
        "return right in self.rights and (app is None",
        "return bool(self.rights) and (app is None",
        TOKENS + "test_a_token_withdraws_only_with_that_right_and_only_its_apps",
    ),
    Mutant(
        "server/_tokens.py",
        "if hmac.compare_digest(one.digest, digest):",
        "if hmac.compare_digest(one.digest[:1], digest[:1]):",
        TOKENS + "test_a_token_that_only_resembles_one_is_none",
    ),
    Mutant(
        "server/routes/status.py",
        "    check_token(request, Right.METRICS)\n",
        "",
        TOKENS + "test_metrics_are_read_with_that_right_alone_once_tokens_have_names",
    ),
    Mutant(
        "server/routes/publishing.py",
        "if start % SEGMENT_BYTES or (stop % SEGMENT_BYTES and stop != size):",
        "if start % SEGMENT_BYTES:",
        PUBLISHING + "test_a_run_that_ends_inside_a_segment_is_refused",
    ),
    Mutant(
        "server/routes/publishing.py",
        "        if len(body) > most:\n            raise too_large(what, len(body), most)\n",
        "        if len(body) > most + 1024:\n            raise too_large(what, len(body), most)\n",
        COMPANIONS + "test_an_index_of_unknown_length_ends_at_its_cap",
    ),
    Mutant(
        "server/routes/publishing.py",
        "if receiving >= state.limits.uploads:",
        "if receiving > state.limits.uploads:",
        LIMITS + "test_more_uploads_than_allowed_are_told_to_wait",
    ),
    Mutant(
        "server/routes/reading.py",
        "    if release.withdrawn is not None:\n        raise Problem(WITHDRAWN",
        "    if release.withdrawn is None and release.sequence < 0:\n        raise Problem(WITHDRAWN",
        PUBLISHING + "test_a_withdrawn_release_is_gone_and_its_sequence_is_used_up",
    ),
    Mutant(
        "server/routes/status.py",
        "autoescape=True",
        "autoescape=False",
        "tests/server/test_status.py::test_what_publishers_write_cannot_become_markup",
    ),
    Mutant(
        "server/_cors.py",
        "may_read = _ALLOW in cors and asked in METHODS",
        "may_read = _ALLOW in cors and asked is not None",
        CORS + "test_no_page_of_another_origin_may_publish_withdraw_or_show_a_token",
    ),
    Mutant(
        "server/_cors.py",
        "if origin is None or origin not in self._origins:",
        "if origin is None or not origin.startswith(tuple(self._origins)):",
        CORS + "test_a_narrowed_server_is_read_from_the_origins_that_are_named",
    ),
    Mutant(
        "server/_app.py",
        "cors = CorsPolicy(table, own, checked_origins(cors_origins))",
        "cors = CorsPolicy(table, more, checked_origins(cors_origins))",
        CORS + "test_no_page_of_another_origin_may_publish_withdraw_or_show_a_token",
    ),
    Mutant(
        "server/_route_table.py",
        "if match is Match.FULL:",
        "if match is not Match.NONE:",
        CORS + "test_the_route_of_a_request_is_the_one_for_its_method_whatever_another_application_noted",
    ),
    Mutant(
        "server/_route_table.py",
        'taken = self._by_id.get(id(scope.get("route")))',
        'taken = scope.get("route")',
        CORS + "test_the_route_of_a_request_is_the_one_for_its_method_whatever_another_application_noted",
    ),
    Mutant(
        "server/routes/_descriptions.py",
        "if kept is None or kept.release is not release:",
        "if kept is None:",
        READING + "test_a_description_is_of_the_very_release_and_of_where_the_server_is_mounted",
    ),
    Mutant(
        "server/_cors.py",
        "if id(self.routes.route_of(scope)) in self._own:",
        'if id(scope.get("route")) in self._own:',
        CORS + "test_no_page_of_another_origin_may_publish_withdraw_or_show_a_token",
    ),
    Mutant(
        "server/_forwarded.py",
        "network.prefixlen - _MAPPED.prefixlen)",
        "max(network.prefixlen - _MAPPED.prefixlen - 1, 0))",
        PROXIES + "test_ipv4_is_the_same_on_a_socket_for_both",
    ),
    Mutant(
        "server/_reloading.py",
        '        threading.Thread(target=read, name="reload", daemon=True).start()\n',
        "        loop.run_in_executor(None, read)\n",
        RELOADING + "test_a_reload_that_never_ends_keeps_no_server_from_ending",
    ),
    Mutant(
        "server/_workers.py",
        "if self._hung_up and callable(",
        "if not self._hung_up and callable(",
        SETTINGS + "test_a_worker_that_follows_another_goes_by_the_files_as_they_are",
    ),
    Mutant(
        "server/routes/publishing.py",
        "check_token(request, Right.PUBLISH, app=await catalogue.app_of_upload(id))",
        "check_token(request, Right.PUBLISH, app=None and await catalogue.app_of_upload(id))",
        TOKENS + "test_a_token_for_one_app_touches_no_upload_of_another",
    ),
    Mutant(
        "server/_reloading.py",
        "        context = None if self._pair is None else self._pair.load_again()\n        self._reload()\n",
        "        self._reload()\n        context = None if self._pair is None else self._pair.load_again()\n",
        OPERATION + "test_a_reload_takes_a_new_certificate_and_keeps_the_old_one_where_that_is_bad",
    ),
    Mutant(
        "server/storage/pace.py",
        "async with asyncio.timeout(pace.timeout_s):",
        "async with asyncio.timeout(60 * pace.timeout_s):",
        "tests/server/test_storage_time.py::test_a_silent_bucket_is_told_as_503_in_time_and_goes_on_where_it_answers_again",
    ),
    Mutant(
        "server/_forwarded.py",
        'if scope["type"] != "http" or not self._proxies.is_peer(scope.get("client")):',
        'if scope["type"] != "http":',
        PROXIES + "test_nobody_else_is_believed",
    ),
    Mutant(
        "server/_forwarded.py",
        "            if address not in self:\n                break\n",
        "",
        PROXIES + "test_what_a_client_writes_in_front_of_what_the_proxy_adds_is_not_believed",
    ),
    Mutant(
        "server/_forwarded.py",
        "if self._requests[client] >= self._most:",
        "if self._requests[client] > self._most:",
        PROXIES + "test_behind_a_proxy_each_client_has_its_limit",
    ),
    Mutant(
        "server/_request_ids.py",
        "if len(came) == 1 and _WELL_FORMED.fullmatch(came[0]):",
        "if len(came) == 1 and _WELL_FORMED.match(came[0]):",
        OPERATION + "test_a_request_has_the_id_that_it_brings_or_a_new_one",
    ),
    Mutant(
        "http/ranges.py",
        "return start, min(int(last) + 1, size)",
        "return start, int(last) + 1",
        READING + "test_parsed_ranges_are_inside_and_in_the_order_asked_for",
    ),
    Mutant(
        "server/_ranges.py",
        'if int(match["size"]) == size and first <= last < size:',
        'if int(match["size"]) >= size and first <= last < size:',
        PUBLISHING + "test_a_content_range_that_cannot_be_used_is_refused",
    ),
    Mutant(
        "server/catalogue/receiving.py",
        "        await self._settle_check()\n        await self._settle_store()\n",
        "        await self._settle_store()\n",
        PUBLISHING + "test_a_bad_segment_is_not_stored_for_a_moment",
    ),
    Mutant(
        "server/catalogue/catalogue.py",
        "index = await self.seals.index(record, attachment) if checked else None",
        "index = None",
        READING + "test_a_bit_rotten_in_storage_never_reaches_a_client",
    ),
    Mutant(
        "server/catalogue/catalogue.py",
        "index = await asyncio.to_thread(SignedIndex.checked, arriving.signed, entries)",
        "index = SignedIndex(arriving.signed, entries)",
        CAPGO + "test_an_index_of_another_size_is_refused",
    ),
    Mutant(
        "server/catalogue/catalogue.py",
        "if upload.size > self._limits.bundle_bytes:",
        "if upload.payload.signed.size > self._limits.bundle_bytes:",
        COMPANIONS + "test_payload_and_companions_together_are_under_the_limit",
    ),
    Mutant(
        "server/catalogue/_uploads.py",
        "if len(listed) >= self._limits.open_uploads:",
        "if len(listed) > self._limits.open_uploads:",
        LIMITS + "test_open_uploads_are_limited",
    ),
    Mutant(
        "server/catalogue/catalogue.py",
        "if not all(one.is_complete for one in upload.payloads):",
        "if not any(one.is_complete for one in upload.payloads):",
        COMPANIONS + "test_a_release_is_published_only_with_all_that_its_seal_names",
    ),
    Mutant(
        "server/catalogue/_seals.py",
        "steps = accept_seal(trust, Expect(role=self._role))",
        "steps = accept_seal(trust, Expect(role=Role.DEVELOPMENT))",
        PUBLISHING + "test_a_development_signature_needs_the_development_role",
    ),
    Mutant(
        "server/catalogue/_seals.py",
        "if found != record.release.seal_digest:",
        "if len(found) != len(record.release.seal_digest):",
        READING + "test_a_rotten_seal_is_not_served",
    ),
    Mutant(
        "server/catalogue/_seals.py",
        "if kept.verified.statement.sequence != release.sequence:",
        "if kept.verified.statement.sequence > release.sequence:",
        CAPGO + "test_an_older_release_under_a_newer_name_is_not_offered",
    ),
    Mutant(
        "server/catalogue/catalogue.py",
        "checked = self._verify_reads or stored.is_in_parts",
        "checked = self._verify_reads or not stored.runs",
        SEALED_PARTS + "test_of_an_altered_part_no_byte_is_served_whether_reads_are_verified_or_not[False]",
    ),
    Mutant(
        "server/storage/stored_runs.py",
        'if all(sizes.get(part.path("")) == part.bytes_of(payload_bytes) for part in parts):',
        'if all(sizes.get(part.path(""), 0) >= part.bytes_of(payload_bytes) for part in parts):',
        SEALED_PARTS + "test_parts_that_are_not_all_there_are_published_by_nobody[long]",
    ),
    Mutant(
        "server/catalogue/_uploads.py",
        "await self._storage.listed_files(layout.parts_folder(commitment))",
        "[one async for one in self._storage.list(layout.parts_folder(commitment))]",
        SEALED_PARTS + "test_what_is_planted_in_place_of_a_part_is_published_by_nobody[link]",
    ),
    Mutant(
        "server/catalogue/_uploads.py",
        "        if upload.payload.missing and in_use:",
        "        if upload.payload.missing:",
        SEALED_PARTS + "test_what_is_condemned_is_published_by_nobody",
    ),
    Mutant(
        "server/catalogue/_condemned.py",
        "        said = await self._named_in(path)\n",
        "        said = frozenset(folders)\n",
        SEALED_PARTS + "test_what_was_spared_and_published_stays_when_a_collector_wakes_that_was_about_to_delete_it",
    ),
    Mutant(
        "server/catalogue/_collector.py",
        "        spared = folders - await self._condemned.give_up(one, stopped)\n",
        "        await self._condemned.give_up(one, stopped)\n        spared = folders - stopped\n",
        SEALED_PARTS + "test_parts_of_which_a_sleeping_collector_may_delete_some_are_published_by_nobody",
    ),
    Mutant(
        "server/catalogue/_uploads.py",
        "(layout.parts_folder(commitment), *(found.path for found in folder))",
        "{found.path for found in folder}",
        SEALED_PARTS + "test_parts_of_which_a_sleeping_collector_may_delete_some_are_published_by_nobody",
    ),
    Mutant(
        "server/catalogue/_collector.py",
        "            if listed.last_put[folder] <= parts_before:",
        "            if listed.last_put[folder] <= before:",
        SEALED_PARTS + "test_parts_that_nobody_published_go_when_the_last_of_them_is_old",
    ),
    Mutant(
        "server/catalogue/_collector.py",
        "if name not in needed and not (payload is not None and payload[0] in open_digests):",
        "if name not in needed:",
        KILL + "test_a_stale_upload_is_collected_with_its_parts",
    ),
    Mutant(
        "server/catalogue/_collector.py",
        "names = [name for name in one.names if name not in needed]",
        "names = list(one.names)",
        MANY + "test_what_was_condemned_and_is_needed_after_all_stays",
    ),
    Mutant(
        "server/catalogue/_uploads.py",
        "usable = [found for found in listed[one.digest] if found.path not in condemned]",
        "usable = listed[one.digest]",
        MANY + "test_what_is_condemned_is_asked_for_again_and_a_late_deletion_hits_nothing",
    ),
    Mutant(
        "server/catalogue/_uploads.py",
        "await self._make_room([one for one in listed if one.statement == statement])",
        "pass",
        MANY + "test_many_seals_of_one_statement_share_a_few_places",
    ),
    Mutant(
        "server/catalogue/catalogue.py",
        "            if monotonic() > deadline:\n                raise _too_slow()\n            if self.trusted",
        "            if self.trusted",
        MANY + "test_what_took_longer_than_half_the_grace_period_is_not_published",
    ),
    Mutant(
        "server/storage/pointers.py",
        "        self.check(statement)\n        trusted",
        "        trusted",
        MANY + "test_no_rollback_is_accepted_between_looking_and_writing",
    ),
    Mutant(
        "server/storage/pointers.py",
        "if sequence in self.entries or sequence in self.removed:",
        "if sequence in self.entries:",
        "tests/server/test_floor.py::test_neither_withdrawing_nor_removing_gives_back_a_sequence_or_the_floor",
    ),
    Mutant(
        "server/storage/objects.py",
        "if found != expected:",
        "if found is None and expected is not None:",
        MANY + "test_of_many_processes_that_change_one_file_none_loses_a_change",
    ),
    Mutant(
        "trust/expect.py",
        "check_floor(sequence, self.floor, permit=permit, least=least)",
        "check_floor(sequence, 0, permit=permit, least=least)",
        PUBLISHING + "test_only_a_higher_sequence_is_accepted",
    ),
    Mutant(
        "server/storage/records.py",
        "            *(self.index_path(name) for name in self.stored),\n",
        "",
        COMPANIONS + "test_a_restart_keeps_companions_and_collects_only_orphans",
    ),
    Mutant(
        "server/storage/records.py",
        "if missing_segments(runs, segments) or any(run.first < 0 or run.stop > segments for run in runs):",
        "if any(run.first < 0 or run.stop > segments for run in runs):",
        CAPGO + "test_a_record_that_names_too_few_segments_of_the_capgo_file_is_refused",
    ),
    Mutant(
        "server/_http_limits.py",
        "if self._withheld_bytes > limits.head_bytes and not self.transport.is_closing():",
        "if self._withheld_bytes > 1000 * limits.head_bytes and not self.transport.is_closing():",
        CLIENTS + "test_a_trailer_without_end_is_cut_off",
    ),
    Mutant(
        "server/_http_limits.py",
        "if self._parsed_head_bytes > limits.head_bytes:",
        "if self._parsed_head_bytes > 4 * limits.head_bytes:",
        CLIENTS + "test_a_whole_head_over_the_limit_is_refused",
    ),
    Mutant(
        "server/_http_limits.py",
        "if self._headers_seen > limits.headers:",
        "if self._headers_seen > limits.headers + 10:",
        CLIENTS + "test_a_whole_head_over_the_limit_is_refused",
    ),
    Mutant(
        "server/_clients.py",
        "            if held + size > most:\n",
        "            if held + size > 2 * most:\n",
        CLIENTS + "test_half_sent_seals_hold_no_more_than_the_budget",
    ),
    Mutant(
        "server/_clients.py",
        "if is_one and self._counts[client] >= self._most_per_client:",
        "if is_one and self._counts[client] > self._most_per_client:",
        CLIENTS + "test_a_client_that_is_busy_on_all_its_connections_gets_no_more_and_others_do",
    ),
    Mutant(
        "server/_clients.py",
        "return str(ipaddress.ip_network((parsed, _IPV6_NETWORK_BITS), strict=False))",
        "return str(parsed)",
        CLIENTS + "test_a_client_is_an_address_or_the_network_of_one",
    ),
    Mutant(
        "server/catalogue/_uploads.py",
        "accepted = kept is not None and kept.trust is self._trusted.of(kept.upload.app_channel.app)",
        "accepted = kept is not None",
        RELOADING + "test_a_key_that_is_trusted_no_more_publishes_nothing_of_what_it_began",
    ),
    Mutant(
        "server/catalogue/_seals.py",
        "        if trust is self._trusted.of(wanted.statement.app):\n            return wanted\n",
        "        return wanted\n",
        RELOADING + "test_a_seal_that_trickles_across_a_reload_is_judged_by_the_new_trust",
    ),
    Mutant(
        "server/catalogue/_seals.py",
        "                if trust is self._trusted.of(app):\n                    return verdict, trust\n",
        "                return verdict, self._trusted.of(app)\n",
        RELOADING + "test_what_is_read_verified_is_of_whom_the_server_trusts_now",
    ),
    Mutant(
        "server/catalogue/catalogue.py",
        "        upload.verified, trust = await self.seals.accept(seal)\n",
        "        _, trust = await self.seals.accept(seal)\n",
        RELOADING + "test_a_release_names_who_signed_it_by_the_trust_in_force_when_it_is_published",
    ),
    Mutant(
        "server/catalogue/catalogue.py",
        "if self.trusted.of(of.app) is not trust:",
        "if self.trusted.of(of.app) is None:",
        RELOADING + "test_a_reload_just_before_a_release_becomes_visible_counts",
    ),
    Mutant(
        "server/catalogue/retention.py",
        "if above >= (self.keep or 1)",
        "if above >= (self.keep or 0)",
        RETENTION + "test_what_goes_is_below_the_newest_and_older_than_the_days",
    ),
    Mutant(
        "server/catalogue/retention.py",
        "above += entry.withdrawn is None",
        "above += 1",
        RETENTION + "test_what_goes_is_below_the_newest_and_older_than_the_days",
    ),
    Mutant(
        "server/catalogue/retention.py",
        "[sequence for sequence in outlived if sequence not in kept]",
        "outlived",
        RETENTION + "test_whatever_was_published_the_latest_and_the_newest_and_what_is_named_stay",
    ),
    Mutant(
        "server/catalogue/pruning.py",
        "if not releases.keys() >= pointer.entries.keys():",
        "if not releases.keys() & pointer.entries.keys():",
        RETENTION + "test_what_was_published_while_it_was_looked_at_is_asked_what_it_names",
    ),
    Mutant(
        "server/catalogue/pruning.py",
        "            if releases is None:\n                return None\n",
        "            if releases is None:\n                return []\n",
        RETENTION + "test_where_a_record_is_damaged_nothing_of_its_channel_goes",
    ),
    Mutant(
        "server/catalogue/exporting.py",
        "reader = PayloadReader(self._storage, stored, index, self._cache, self._buffers)",
        "reader = PayloadReader(self._storage, stored, None, self._cache, self._buffers)",
        EXPORT + "test_a_release_that_the_storage_altered_is_passed_over_and_no_wrong_byte_leaves",
    ),
    Mutant(
        "server/catalogue/exporting.py",
        "pointer.removed if entry is None else await self._is_of(pointer.of, entry, release)",
        "pointer.removed if entry is None else bool(release.seal_digest)",
        EXPORT + "test_a_tree_of_another_store_or_of_a_later_state_is_left_alone",
    ),
    Mutant(
        "server/catalogue/exporting.py",
        "if _tree.is_number(sequence) and _tree.is_release_leaf(name):",
        "if _tree.is_number(sequence):",
        EXPORT + "test_what_was_withdrawn_or_let_go_of_leaves_the_tree_and_nothing_else_does",
    ),
    Mutant(
        "server/catalogue/exporting.py",
        "if (await self._channels.pointer(of, fresh=True)).revision == pointer.revision:",
        "if (await self._channels.pointer(of, fresh=True)).revision >= pointer.revision:",
        EXPORT + "test_what_is_withdrawn_while_it_is_exported_is_not_there_at_the_end",
    ),
    Mutant(
        "server/catalogue/exporting.py",
        "        if _tree.SEAL in there:\n            await self._delete",
        "        if _tree.SEAL not in there:\n            await self._delete",
        EXPORT + "test_what_was_withdrawn_or_let_go_of_leaves_the_tree_and_nothing_else_does",
    ),
    Mutant(
        "server/catalogue/exporting.py",
        "        await self._target.delete(paths)\n        await self._target.sync_gone(paths)",
        "        await self._target.delete(paths)\n        await self._target.sync_gone(paths[1:])",
        EXPORT + "test_what_left_a_tree_stays_gone_after_a_power_cut",
    ),
    Mutant(
        "server/catalogue/exporting.py",
        "    listed = listed_by(head, pointer, native=None, platform=None)",
        "    listed = listed_by(None, pointer, native=None, platform=None)",
        "tests/server/test_export_heads.py::test_latest_in_a_tree_is_what_a_server_answers",
    ),
    Mutant(
        "server/catalogue/_exported_documents.py",
        "if ours is None or (ours.digest != there.digest and ours.place <= there.place):",
        "if ours is None or (ours.digest != there.digest and ours.place < there.place):",
        "tests/server/test_export_heads.py::test_a_head_takes_the_place_of_none_that_is_not_before_it",
    ),
    Mutant(
        "server/catalogue/_exported_documents.py",
        "missing = sorted({one.sequence for one in head.releases} & listed - set(brought))",
        "missing = sorted({one.sequence for one in head.current[:1]} & listed - set(brought))",
        "tests/server/test_export_heads.py::test_nothing_in_a_tree_names_what_is_not_there",
    ),
    Mutant(
        "server/storage/objects.py",
        "            await self._check_there()\n            mode:",
        "            await self._check_there(age_s=_STANDS_S)\n            mode:",
        MANY + "test_what_decides_is_written_after_the_bucket_was_seen_to_be_there",
    ),
    Mutant(
        "server/catalogue/exporting.py",
        "if inner.startswith(outer) or outer.startswith(inner):",
        "if inner == outer:",
        EXPORT + "test_a_store_and_its_tree_are_never_in_one_another",
    ),
    Mutant(
        "server/catalogue/exporting.py",
        "before = now if alone else now - _SWEPT_AFTER",
        "before = now",
        EXPORT + "test_the_next_export_takes_what_a_killed_one_left_but_not_what_another_may_be_writing",
    ),
    Mutant(
        "server/storage/_folder.py",
        "for name in [*folders, *names]:",
        "for name in names:",
        EXPORT + "test_an_export_follows_no_link_in_its_tree",
    ),
)
