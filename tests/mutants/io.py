"""Where bytes come from and go to: what gets a name, who may read it, what is followed, what is locked."""

from .mutant import Mutant

DURABLE = "tests/io/test_durable.py::"
SINK = "tests/io/test_sink.py::"
RESUMABLE = "tests/io/test_resumable.py::"
SOURCE = "tests/io/test_source.py::"

MUTANTS = (
    Mutant(
        "io/durable.py",
        "os.path.samestat(os.fstat(file.fileno()), os.stat(path)):",
        "os.fstat(file.fileno()):",
        DURABLE + "test_who_waits_for_a_file_that_is_taken_away_adds_to_one_that_has_its_name",
    ),
    Mutant(
        "io/durable.py",
        "_NEW_FILE = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC",
        "_NEW_FILE = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC",
        "tests/device/test_archives.py::test_unpacking_replaces_nothing_and_follows_no_link",
    ),
    Mutant(
        "io/durable.py",
        "FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC",
        "FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC",
        "tests/device/test_archives.py::test_a_link_in_place_of_the_staging_folder_is_refused",
    ),
    Mutant(
        "io/durable.py",
        "OWNER_ONLY = 0o600",
        "OWNER_ONLY = 0o644",
        DURABLE + "test_a_file_under_way_is_its_owners_only_until_it_has_its_name",
    ),
    Mutant(
        "io/durable.py",
        "        os.link(part, path)\n    except",
        "        os.replace(part, path)\n        os.link(path, part)\n    except",
        SINK + "test_a_file_that_appears_meanwhile_is_not_clobbered",
    ),
    Mutant(
        "io/durable.py",
        "    if os.path.lexists(path):\n        raise FileExistsError",
        "    if os.path.exists(path):\n        raise FileExistsError",
        SINK + "test_a_dangling_link_counts_as_existing",
    ),
    Mutant(
        "io/drafts.py",
        "                os.unlink(self._part)\n",
        "                pass\n",
        SINK + "test_leaving_without_commit_leaves_no_trace",
    ),
    Mutant(
        "io/durable.py",
        "        os.mkdir(part, 0o700)\n",
        "        os.mkdir(part, 0o755)\n",
        DURABLE + "test_a_new_folder_appears_with_all_that_is_in_it_or_not_at_all",
    ),
    Mutant(
        "io/durable.py",
        "fcntl.flock(file.fileno(), fcntl.LOCK_EX)",
        "fcntl.flock(file.fileno(), fcntl.LOCK_SH)",
        "tests/project/test_log.py::test_who_adds_to_a_log_waits_for_whoever_does_already",
    ),
    Mutant(
        "io/drafts.py",
        "        draft.sync()\n",
        "        pass\n",
        "tests/cli/test_durability.py::test_what_a_command_wrote_has_its_name_after_a_power_cut[seal]",
    ),
    Mutant(
        "io/drafts.py",
        "            os.replace(self._kept, self.path)\n",
        "            pass\n",
        SINK + "test_a_pair_of_which_the_second_gets_no_name_gives_the_first_s_back",
    ),
    Mutant(
        "io/durable.py",
        'f".{_shortened(name)}.{os.urandom(8).hex()}.part"',
        'f".{_shortened(name)}.{len(name):016x}.part"',
        RESUMABLE + "test_two_attempts_have_names_that_nobody_can_foresee",
    ),
    Mutant(
        "io/resumable.py",
        "return ours and not found.st_mode & to_nobody",
        "return ours",
        RESUMABLE + "test_a_part_that_is_not_ours_alone_is_neither_used_nor_touched",
    ),
    Mutant(
        "io/resumable.py",
        "ours = stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid() and found.st_nlink == 1",
        "ours = stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid()",
        RESUMABLE + "test_a_file_that_others_can_write_to_is_replaced_and_not_gone_on_with",
    ),
    Mutant(
        "io/sink.py",
        "if one == other:",
        "if self.seal is self.payload:",
        "tests/bundle/test_detach.py::test_seal_and_payload_cannot_be_one_file",
    ),
    Mutant(
        "io/source.py",
        "if (then.st_size, then.st_mtime_ns) != (now.st_size, now.st_mtime_ns):",
        "if then.st_size != now.st_size:",
        SOURCE + "test_a_file_that_changes_while_it_is_sealed_is_noticed",
    ),
    Mutant(
        "io/resumable.py",
        "        if not durable.try_lock(fd):\n            os.close(fd)\n",
        "        if not durable.try_lock(fd) and fd < 0:\n            os.close(fd)\n",
        RESUMABLE + "test_only_one_at_a_time_fills_a_file",
    ),
    Mutant(
        "io/drafts.py",
        "        replaces = last.set_replaced_aside()\n",
        "        replaces = last.keep_replaced()\n",
        "tests/cli/test_kills.py::test_a_pair_that_is_replaced_is_never_a_payload_beside_a_seal_of_another",
    ),
    Mutant(
        "io/source.py",
        'os.fstat(fd).st_size == 0 and os.pread(fd, 1, 0) != b""',
        'os.fstat(fd).st_size == 0 and os.pread(fd, 1, 1 << 20) != b""',
        SOURCE + "test_a_file_of_size_0_that_has_content_is_read_as_a_stream",
    ),
    Mutant(
        "io/durable.py",
        "~{sha256(raw).hexdigest()[:32]}",
        "~{sha256(raw[:200]).hexdigest()[:32]}",
        RESUMABLE + "test_long_names_that_begin_alike_are_not_taken_for_each_other",
    ),
    Mutant(
        "io/drafts.py",
        "found.st_uid == os.geteuid()",
        "found.st_uid >= os.geteuid()",
        DURABLE + "test_what_a_killed_process_left_is_deleted_by_the_next_and_nothing_else",
    ),
    Mutant(
        "io/drafts.py",
        "if is_ours and made_s - found.st_mtime > _LEFT_S and durable.try_lock(fd) and",
        "if is_ours and made_s - found.st_mtime > _LEFT_S and",
        DURABLE + "test_what_a_living_process_has_under_way_stays",
    ),
    Mutant(
        "io/drafts.py",
        'if left.endswith(".part") and durable.is_part_of(left, name):',
        'if left.endswith(".part") and left.startswith("."):',
        DURABLE + "test_what_a_killed_process_left_is_deleted_by_the_next_and_nothing_else",
    ),
)
