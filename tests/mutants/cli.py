"""The command line: exit codes that scripts trust, secrets, what is overwritten, what is demanded."""

from .mutant import Mutant

BUNDLE = "tests/cli/test_bundle_commands.py::"
ERRORS = "tests/cli/test_errors.py::"
SETTINGS = "tests/cli/test_serve_settings.py::"

MUTANTS = (
    Mutant(
        "cli/framework/parsing.py",
        "not in _TEXTS and any(start in word for start in _PEM_STARTS):",
        "not in _TEXTS and word in _PEM_STARTS:",
        "tests/cli/test_outputs.py::test_a_key_in_place_of_its_file_s_name_is_refused_and_not_shown",
    ),
    Mutant(
        "cli/framework/exit_codes.py",
        'if found and before in ("", FROM_A_FILE):',
        'if found and before == "":',
        "tests/cli/test_outputs.py::test_a_passphrase_in_place_of_its_file_s_name_is_not_shown",
    ),
    Mutant(
        "cli/framework/exit_codes.py",
        "    except BaseException as error:  # noqa: BLE001\n        from .extras",
        "    except Exception as error:  # noqa: BLE001\n        from .extras",
        "tests/cli/test_extras.py::test_an_exception_that_nobody_expected_ends_with_70_and_one_line",
    ),
    Mutant(
        "cli/framework/exit_codes.py",
        "    if isinstance(error, RejectedError):\n        return REJECTED\n",
        "    if isinstance(error, RejectedError):\n        return ENVIRONMENT\n",
        ERRORS + "test_a_mistake_gets_one_line_and_its_exit_code_and_leaves_nothing",
    ),
    Mutant(
        "cli/framework/exit_codes.py",
        "        if time.monotonic() - first_s >= TIDYING_S:\n",
        "        if time.monotonic() >= first_s:\n",
        "tests/cli/test_signals.py::test_a_second_signal_does_not_interrupt_the_tidying_up",
    ),
    Mutant(
        "cli/commands/recalls.py",
        "    if not shared:\n        check_unshared(document, asked)\n    return _put_recall",
        "    if shared:\n        check_unshared(document, asked)\n    return _put_recall",
        "tests/cli/test_head_commands.py::"
        "test_a_recall_of_a_file_is_sent_only_where_it_is_said_that_another_release_fails_with_it",
    ),
    Mutant(
        "cli/framework/passphrases.py",
        'if _ask("The same again: ") != passphrase:',
        'if not _ask("The same again: "):',
        "tests/cli/test_terminal.py::test_two_different_new_passphrases_make_no_key",
    ),
    Mutant(
        "cli/commands/keys.py",
        'files.write(f"{name}.pem", key.pem(passphrase=secret), mode=0o600)',
        'files.write(f"{name}.pem", key.pem(passphrase=secret), mode=0o640)',
        BUNDLE + "test_private_keys_are_for_their_owner_only_and_public_halves_for_everybody",
    ),
    Mutant(
        "cli/commands/unseal.py",
        "            overwrite=force,\n",
        "            overwrite=True,\n",
        ERRORS + "test_an_output_that_exists_is_kept_unless_force_is_given",
    ),
    Mutant(
        "cli/commands/unseal.py",
        "            expect=demands.expected(config),\n",
        "",
        BUNDLE + "test_with_a_configuration_a_bundle_of_another_app_is_rejected",
    ),
    Mutant(
        "cli/commands/verify.py",
        "                expect=demands.expected(config),\n",
        "",
        ERRORS + "test_what_only_a_development_key_signed_is_rejected_unless_the_role_says_so",
    ),
    Mutant(
        "cli/commands/device.py",
        "    for one in checked:\n        if one.problem is not None:\n            raise one.problem\n",
        "",
        "tests/device/test_command.py::test_a_changed_bundle_is_told_and_the_device_runs_another",
    ),
    Mutant(
        "cli/framework/outputs.py",
        "os.path.samestat(found, other)",
        "os.path.samestat(found, other) and found.st_nlink == 1",
        "tests/cli/test_outputs.py::test_an_output_that_is_an_input_is_refused_and_nothing_is_lost",
    ),
    Mutant(
        "cli/framework/parsing.py",
        'if not word and declaration.type(word) == "":',
        'if word is None and declaration.type(word) == "":',
        "tests/cli/test_outputs.py::test_an_empty_value_is_not_taken_for_the_default",
    ),
    Mutant(
        "cli/framework/console.py",
        "    if path != STANDARD and not _is_standard_input(path):\n",
        "    if path != STANDARD:\n",
        "tests/cli/test_outputs.py::test_a_closed_standard_input_is_not_an_empty_bundle_by_any_name",
    ),
    Mutant(
        "cli/framework/exit_codes.py",
        "hangups if hangups and number == signal.SIGHUP else _interrupt)",
        "hangups if hangups and number == signal.SIGUSR1 else _interrupt)",
        SETTINGS + "test_a_sighup_while_the_server_starts_does_not_end_it_and_is_not_lost",
    ),
    Mutant(
        "cli/commands/serve.py",
        "        if early.came:\n",
        "        if not early.came:\n",
        SETTINGS + "test_a_sighup_while_the_server_starts_does_not_end_it_and_is_not_lost",
    ),
    Mutant(
        "cli/commands/serve.py",
        "            check_rereadable(file for file in files if file is not None)\n",
        "",
        SETTINGS + "test_a_file_that_would_block_is_not_read_again_and_the_server_ends_as_ever",
    ),
)
