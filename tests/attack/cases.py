"""Every published failure that the box is tried with, by its number, and the tests that try it.

The numbers are those of the list of attacks that the project was begun with; `SECURITY.md` says what is promised of them.
"""

from typing import NamedTuple


class Case(NamedTuple):
    """`tests` are names in their files: `tests/…/test_x.py::test_y`, without the classes around them."""

    what: str
    tests: tuple[str, ...]


CASES: dict[int, Case] = {
    1: Case(
        "a changed host key stops every path before any login",
        (
            "tests/ssh/test_host_keys.py::test_a_changed_host_key_stops_before_any_login",
            "tests/ssh/test_jump_hosts.py::test_a_changed_key_anywhere_stops_the_chain_there_and_marks_that_connection",
            "tests/ssh/test_jump_hosts.py::test_a_redial_checks_every_pin_again_and_ends_the_session_at_a_changed_bastion",
            "tests/ssh/test_openssh_master.py::test_an_unknown_and_another_host_key_stop_it_before_the_login",
            "tests/e2e/test_main_job.py::test_a_changed_host_key_is_shown_old_against_new_and_needs_two_deliberate_acts",
        ),
    ),
    2: Case(
        "a key of another algorithm on a pinned host is a mismatch",
        ("tests/ssh/test_host_keys.py::test_a_host_that_lost_its_pinned_type_is_a_mismatch_not_an_unknown_host",),
    ),
    3: Case(
        "nobody answers, or two answer at once: nothing is taken for a yes",
        (
            "tests/ssh/test_host_keys.py::test_an_unknown_host_key_is_shown_and_nobody_logs_in",
            "tests/ssh/test_host_keys.py::test_only_the_very_fingerprint_is_accepted",
        ),
    ),
    4: Case(
        "each jump host has its own pin; no rings, no removed hosts",
        (
            "tests/ssh/test_jump_hosts.py::test_a_cycle_is_refused_also_when_a_later_change_would_close_it",
            "tests/ssh/test_jump_hosts.py::test_a_jump_host_that_others_use_stays_and_the_refusal_names_them",
            "tests/ssh/test_jump_hosts.py::test_an_untested_jump_host_is_to_be_tested_first",
        ),
    ),
    5: Case(
        "a link is never shared, and ends with its key",
        (
            "tests/ssh/test_jump_hosts.py::test_two_sessions_through_one_bastion_share_no_link",
            "tests/ssh/test_jump_hosts.py::test_revoking_the_key_of_a_jump_host_ends_what_it_opened",
            "tests/ssh/test_jump_hosts.py::test_nobody_jumps_through_somebody_elses_server",
        ),
    ),
    6: Case(
        "a hostile server: endless banners, stalled handshakes, output without end",
        (
            "tests/ssh/test_hostile_servers.py::test_text_without_end_is_cut_off_early",
            "tests/ssh/test_hostile_servers.py::test_a_stalled_key_exchange_is_a_timeout",
            "tests/ssh/test_hostile_servers.py::test_endless_banners_during_the_login_are_cut_off_and_what_is_kept_is_small",
            "tests/ssh/test_openssh_master.py::test_output_beyond_the_cap_is_read_and_dropped",
            "tests/ssh/test_dial.py::test_chacha20_is_refused_without_strict_key_exchange_before_any_login",
        ),
    ),
    7: Case(
        "injection through user, host, path, label, snippet value and imported configuration",
        (
            "tests/rules/test_names.py::test_a_user_name_is_refused",
            "tests/rules/test_net.py::test_what_is_no_host_is_refused_and_the_field_named",
            "tests/rules/test_imports.py::test_nothing_that_the_file_names_is_followed_and_every_omission_is_told",
            "tests/ssh/test_openssh_master.py::test_a_command_that_looks_like_an_option_is_a_command",
        ),
    ),
    8: Case(
        "paths, links and names of files; what is previewed",
        (
            "tests/rules/test_files.py::test_names_that_lead_elsewhere_are_not_usable",
            "tests/rules/test_files.py::test_paths_are_mended_but_never_led_upwards",
            "tests/rules/test_files.py::test_a_name_harms_no_header",
            "tests/web/test_files.py::test_a_file_comes_whole_as_an_attachment_that_nothing_renders",
            "tests/web/test_files.py::test_a_folder_is_counted_then_removed_and_links_are_not_followed",
        ),
    ),
    9: Case(
        "a socket of a foreign origin; DNS rebinding",
        (
            "tests/web/test_every_route.py::test_a_cookie_is_heard_from_this_sites_pages_only",
            "tests/web/test_door.py::test_a_name_that_someone_else_points_here_is_refused",
            "tests/web/test_door.py::test_a_socket_under_such_a_name_is_refused",
        ),
    ),
    10: Case(
        "expired, revoked, disabled and narrower logins on every route and socket",
        (
            "tests/web/test_every_route.py::test_nobody_gets_in_without_a_login",
            "tests/web/test_every_route.py::test_a_login_that_has_ended_opens_no_route",
            "tests/web/test_every_route.py::test_a_login_that_has_ended_opens_no_socket",
            "tests/web/test_every_route.py::test_a_token_for_metrics_opens_no_other_route",
            "tests/web/test_every_route.py::test_a_token_for_metrics_opens_no_socket",
            "tests/attack/test_tokens_are_no_browsers.py::test_a_token_in_the_cookie_opens_no_socket",
        ),
    ),
    11: Case(
        "the end of a login or an account closes what it holds open",
        (
            "tests/web/test_live.py::test_revoking_the_login_closes_its_sockets_at_once",
            "tests/web/test_live.py::test_signing_out_and_disabling_close_them_too",
            "tests/web/test_live.py::test_an_expired_login_closes_them_soon",
            "tests/e2e/test_bad_days.py::test_signing_a_device_out_closes_its_page",
        ),
    ),
    12: Case(
        "a login is a new one each time, and nothing slipped in takes its place",
        (
            "tests/attack/test_case_12_fixation.py::test_case_12_a_cookie_that_was_there_before_does_not_become_the_login",
            "tests/web/test_login.py::test_a_cookie_set_beside_the_login_by_another_port_neither_ends_nor_changes_it",
        ),
    ),
    13: Case(
        "addresses of the box come from its configuration, never from a request",
        (
            "tests/web/test_passkeys.py::test_neither_name_nor_origin_come_from_the_request",
            "tests/web/test_passkeys.py::test_another_name_or_origin_is_refused",
            "tests/web/test_passkeys.py::test_a_challenge_is_good_once_whatever_comes_of_it",
            "tests/web/test_login.py::test_links_carry_the_public_address_when_there_is_one",
        ),
    ),
    14: Case(
        "pairing codes: used twice, expired, raced for, guessed",
        (
            "tests/web/test_login.py::test_a_pairing_code_signs_a_browser_in_once",
            "tests/web/test_login.py::test_wrong_used_and_expired_codes_answer_alike",
            "tests/web/test_limits.py::test_an_address_tries_ten_pairing_codes_a_minute",
            "tests/web/test_second_ways.py::test_guessing_is_slowed_down",
            "tests/web/test_second_ways.py::test_of_two_devices_the_one_whose_digits_were_seen_is_let_in",
            "tests/attack/test_case_12_fixation.py::test_case_14_of_many_phones_that_race_for_a_code_one_wins",
        ),
    ),
    15: Case(
        "forged forwarding headers, evaded limits, and locking the owner out on purpose",
        (
            "tests/web/test_limits.py::test_a_forged_forwarding_header_evades_no_limit",
            "tests/web/test_limits.py::test_case_15_who_keeps_failing_waits_longer_and_longer_and_no_right_login_waits",
            "tests/web/test_limits.py::test_case_15_one_wrong_code_waits_wherever_it_is_tried_from",
            "tests/web/test_door.py::test_what_a_client_writes_in_front_of_the_chain_counts_for_nothing",
        ),
    ),
    16: Case(
        "spellings of a path that another part would read otherwise",
        (
            "tests/web/test_door.py::test_a_spelling_that_others_read_otherwise_leads_nowhere",
            "tests/web/test_door.py::test_another_case_is_another_path",
        ),
    ),
    17: Case(
        "another account's objects on every route and in every body",
        (
            "tests/attack/test_another_account.py::test_no_route_shows_or_changes_what_is_anothers",
            "tests/attack/test_another_account.py::test_no_body_names_what_is_anothers",
            "tests/web/test_every_route.py::test_no_route_tells_an_id_that_is_none_from_one_that_is_not_there",
        ),
    ),
    18: Case(
        "a viewer types, resizes and changes nothing",
        (
            "tests/attack/test_another_account.py::test_a_viewer_changes_nothing_by_any_route",
            "tests/attack/test_another_account.py::test_case_18_a_viewer_says_nothing_on_any_socket",
        ),
    ),
    19: Case(
        "what the box itself asks: no loopback, no redirects, judged after resolution",
        (
            "tests/attack/test_where_notifications_go.py::test_loopback_is_refused_to_every_kind_of_channel",
            "tests/attack/test_where_notifications_go.py::test_a_redirect_is_not_followed",
            "tests/attack/test_where_notifications_go.py::test_a_name_is_looked_up_once_and_only_that_is_dialled",
            "tests/ssh/test_dial.py::test_a_name_that_resolves_to_a_refused_address_is_judged_after_resolution",
            "tests/ssh/test_dial.py::test_the_boxs_own_port_is_refused_even_where_loopback_is_allowed",
        ),
    ),
    20: Case(
        "a wrong, missing or foreign key makes no new one and changes no byte",
        (
            "tests/rooms/test_vault_start.py::test_a_refused_start_has_its_code_and_changes_nothing",
            "tests/rooms/test_vault_start.py::test_no_key_is_ever_made_beside_a_database",
        ),
    ),
    21: Case(
        "titles, links, clipboard and questions of terminals; names and banners; recordings",
        (
            "tests/e2e/test_content_policy.py::test_case_21_pages_and_terminals_keep_to_the_policy_and_a_server_reaches_nothing_beside_its_screen",
            "tests/rules/test_files.py::test_what_is_shown_steers_no_screen",
            "tests/ssh/test_dial.py::test_a_banner_is_shown_without_its_escape_codes",
            "tests/ssh/test_hostile_servers.py::test_a_hostile_version_line_cannot_forge_text_in_the_message",
            "tests/rules/test_names.py::test_foreign_text_is_made_harmless",
        ),
    ),
    22: Case(
        "secrets in logs, rows, labels, bodies, exports and recordings",
        (
            "tests/attack/test_case_22_canaries.py::test_case_22_no_secret_of_a_whole_run_lies_anywhere_in_the_clear",
            "tests/web/test_traces.py::test_no_secret_is_in_the_log_or_the_audit_trail",
            "tests/web/test_traces.py::test_labels_are_routes_and_never_what_was_asked_for",
            "tests/attack/test_db_query_never_unseals.py::test_a_join_behind_the_copy_shows_nothing",
            "tests/rooms/test_vault_hardening.py::test_core_dumps_and_debuggers_are_off_and_asking_twice_is_harmless",
        ),
    ),
    23: Case(
        "modes of files, and the umask",
        ("tests/attack/test_case_23_modes.py::test_case_23_what_the_box_writes_is_its_users_alone_whatever_the_umask",),
    ),
    24: Case(
        "formulas and forged lines in exports; a trail that was edited or cut",
        (
            "tests/rules/test_audit_export.py::test_case_24_no_cell_begins_a_formula",
            "tests/rules/test_audit_export.py::test_case_24_whatever_stands_in_a_row_it_is_one_line_of_all_columns",
            "tests/cli/test_audit.py::test_the_first_bad_row_is_named",
            "tests/cli/test_audit.py::test_a_tail_cut_off_together_with_its_counter_is_found_by_the_file",
            "tests/attack/test_the_admin_socket.py::test_a_forged_line_in_the_audit_file_is_found_by_verify",
        ),
    ),
}  # fmt: skip
