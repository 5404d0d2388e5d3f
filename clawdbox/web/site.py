"""The web application: every route, behind the gate, behind the door."""

from collections import Counter
from pathlib import Path

from litestar import Litestar
from litestar.datastructures import State
from litestar.middleware import DefineMiddleware
from litestar.types import ControllerRouterHandler

from clawdbox.web import description, live, problems
from clawdbox.web.accounts import change_account, list_accounts
from clawdbox.web.approvals import (
    answer_approval,
    get_approval,
    list_approval_grants,
    list_approvals,
    withdraw_approval_grant,
)
from clawdbox.web.attach import attach
from clawdbox.web.audit import export_audit, list_audit
from clawdbox.web.auth import me, pair, sign_out
from clawdbox.web.box import Box
from clawdbox.web.code_agents import find_code_agents
from clawdbox.web.connections import (
    change_connection,
    create_connection,
    get_connection,
    list_connections,
    remove_connection,
    run_test,
)
from clawdbox.web.control_socket import choose_control_policy, get_control_socket
from clawdbox.web.conversations import (
    archive_conversation,
    cancel_turn,
    change_conversation,
    export_conversation,
    get_conversation,
    get_conversation_of_connection,
    list_conversation_events,
    list_conversations,
    list_runtimes,
    open_conversation,
    search_conversations,
    start_turn,
)
from clawdbox.web.events import list_events
from clawdbox.web.file_removals import begin_removal, cancel_removal, confirm_removal, get_removal
from clawdbox.web.file_transfers import (
    begin_upload,
    cancel_upload,
    download_file,
    finish_upload,
    list_uploads,
    send_piece,
)
from clawdbox.web.files import (
    get_file,
    list_files,
    make_folder,
    move_file,
    open_text,
    save_text,
    set_file_mode,
)
from clawdbox.web.fleet import (
    cancel_fleet_run,
    get_fleet_answer,
    get_fleet_run,
    list_fleet_runs,
    start_fleet_run,
)
from clawdbox.web.forwards import (
    close_forward,
    find_listening,
    list_forwards,
    open_forward,
    open_in_browser,
)
from clawdbox.web.gate import Gate
from clawdbox.web.guards import Door
from clawdbox.web.health import health
from clawdbox.web.host_authorities import (
    add_host_authority,
    list_host_authorities,
    remove_host_authority,
)
from clawdbox.web.idempotency import Answers
from clawdbox.web.identities import list_identities, unlink_identity
from clawdbox.web.imports import import_connections, preview_import
from clawdbox.web.incidents import list_incidents, see_incident
from clawdbox.web.invitations import (
    accept_invitation,
    choose_sign_up,
    create_invitation,
    get_sign_up,
    list_invitations,
    withdraw_invitation,
)
from clawdbox.web.kept_terminals import end_kept_terminal, list_kept_terminals
from clawdbox.web.key_rotations import cancel_rotation, read_rotation, retry_rotation, rotate_key
from clawdbox.web.keys import create_key, key_install_command, list_keys, revoke_key
from clawdbox.web.limits import Limits
from clawdbox.web.login_providers import (
    add_login_provider,
    list_login_providers,
    remove_login_provider,
)
from clawdbox.web.logins import list_logins, revoke_login, revoke_other_logins
from clawdbox.web.metrics import metrics
from clawdbox.web.model_providers import (
    change_model_provider,
    create_model_provider,
    list_model_providers,
    remove_model_provider,
    run_model_test,
)
from clawdbox.web.notifications import (
    add_notify_channel,
    change_notify_channel,
    get_vapid_key,
    list_notify_channels,
    list_notify_deliveries,
    remove_notify_channel,
    try_notify_channel,
)
from clawdbox.web.oauth import finish_oauth, list_methods, poll_device, start_device, start_oauth
from clawdbox.web.openclaw_gateways import (
    add_gateway,
    change_gateway,
    list_gateways,
    remove_gateway,
    run_gateway_test,
)
from clawdbox.web.pairing_codes import make_pairing_code
from clawdbox.web.pairing_requests import (
    ask_to_pair,
    claim_pairing,
    confirm_pairing_request,
    list_pairing_requests,
    refuse_pairing_request,
)
from clawdbox.web.passkeys import (
    add_passkey,
    begin_passkey,
    begin_passkey_sign_in,
    begin_passkey_step_up,
    list_passkeys,
    remove_passkey,
    rename_passkey,
    sign_in_with_passkey,
    step_up_with_passkey,
)
from clawdbox.web.recording_policy import change_recording_policy, get_recording_policy
from clawdbox.web.recordings import (
    delete_recording,
    get_recording,
    list_recordings,
    play_recording,
    rename_recording,
    start_recording,
    stop_recording,
)
from clawdbox.web.recovery_codes import (
    count_recovery_codes,
    renew_recovery_codes,
    sign_in_with_recovery_code,
)
from clawdbox.web.recovery_words import confirm_recovery_words, reveal_recovery_words
from clawdbox.web.reverts import confirm_revert, list_open_reverts, list_reverts
from clawdbox.web.router import Routes
from clawdbox.web.sessions import close_session, exec_command, get_session, list_sessions, start_session
from clawdbox.web.settings import change_settings, get_settings
from clawdbox.web.snippets import (
    change_snippet,
    create_snippet,
    get_snippet,
    list_snippets,
    preview_snippet,
    remove_snippet,
)
from clawdbox.web.static import FOLDER, Pages
from clawdbox.web.stats import follow_stats, get_facts, get_stats, measure_shell_start
from clawdbox.web.step_up import begin_terminal_step_up
from clawdbox.web.stop_agents import stop_agents_of_session, stop_all_agents
from clawdbox.web.terminals import close_terminal, list_terminals, open_terminal

BASE = "/api/v1"
ROUTES: dict[str, list[ControllerRouterHandler]] = {
    "Login": [
        pair,
        me,
        sign_out,
        list_logins,
        revoke_login,
        revoke_other_logins,
        make_pairing_code,
        ask_to_pair,
        claim_pairing,
        list_pairing_requests,
        confirm_pairing_request,
        refuse_pairing_request,
        list_passkeys,
        begin_passkey,
        add_passkey,
        rename_passkey,
        remove_passkey,
        begin_passkey_sign_in,
        sign_in_with_passkey,
        begin_passkey_step_up,
        step_up_with_passkey,
        begin_terminal_step_up,
        count_recovery_codes,
        renew_recovery_codes,
        sign_in_with_recovery_code,
        reveal_recovery_words,
        confirm_recovery_words,
        list_methods,
        start_oauth,
        finish_oauth,
        start_device,
        poll_device,
        list_identities,
        unlink_identity,
        list_login_providers,
        add_login_provider,
        remove_login_provider,
    ],
    "Accounts": [
        list_accounts,
        change_account,
        get_sign_up,
        choose_sign_up,
        list_invitations,
        create_invitation,
        withdraw_invitation,
        accept_invitation,
    ],
    "Keys": [
        list_keys,
        create_key,
        key_install_command,
        revoke_key,
        rotate_key,
        read_rotation,
        retry_rotation,
        cancel_rotation,
    ],
    "Connections": [
        list_connections,
        create_connection,
        get_connection,
        change_connection,
        run_test,
        remove_connection,
        preview_import,
        import_connections,
        list_host_authorities,
        add_host_authority,
        remove_host_authority,
        get_control_socket,
        choose_control_policy,
    ],
    "Sessions": [
        start_session,
        list_sessions,
        get_session,
        close_session,
        exec_command,
        open_terminal,
        list_terminals,
        close_terminal,
        list_kept_terminals,
        end_kept_terminal,
        attach,
    ],
    "Recordings": [
        start_recording,
        list_recordings,
        get_recording,
        rename_recording,
        stop_recording,
        delete_recording,
        play_recording,
        get_recording_policy,
        change_recording_policy,
    ],
    "Files": [
        list_files,
        get_file,
        make_folder,
        move_file,
        set_file_mode,
        open_text,
        save_text,
        download_file,
        begin_upload,
        list_uploads,
        send_piece,
        finish_upload,
        cancel_upload,
        begin_removal,
        get_removal,
        confirm_removal,
        cancel_removal,
    ],
    "Forwards": [open_forward, list_forwards, close_forward, open_in_browser, find_listening],
    "Conversations": [
        search_conversations,
        export_conversation,
        list_conversations,
        list_runtimes,
        open_conversation,
        get_conversation,
        get_conversation_of_connection,
        change_conversation,
        archive_conversation,
        list_conversation_events,
        start_turn,
        cancel_turn,
        live.follow_conversation,
    ],
    "Agents": [
        list_approvals,
        get_approval,
        answer_approval,
        list_approval_grants,
        withdraw_approval_grant,
        stop_agents_of_session,
        stop_all_agents,
        find_code_agents,
        list_open_reverts,
        list_reverts,
        confirm_revert,
        list_gateways,
        add_gateway,
        change_gateway,
        remove_gateway,
        run_gateway_test,
    ],
    "Server": [get_facts, get_stats, follow_stats, measure_shell_start],
    "Fleet": [start_fleet_run, list_fleet_runs, get_fleet_run, get_fleet_answer, cancel_fleet_run],
    "Snippets": [
        list_snippets,
        create_snippet,
        preview_snippet,
        get_snippet,
        change_snippet,
        remove_snippet,
    ],
    "Models": [
        list_model_providers,
        create_model_provider,
        change_model_provider,
        remove_model_provider,
        run_model_test,
    ],
    "Events": [list_events, live.follow_events, list_audit, export_audit, list_incidents, see_incident],
    "Notifications": [
        list_notify_channels,
        add_notify_channel,
        change_notify_channel,
        remove_notify_channel,
        try_notify_channel,
        list_notify_deliveries,
        get_vapid_key,
    ],
    "Settings": [get_settings, change_settings],
}


def create_app(box: Box, *, static: Path = FOLDER, pace: live.Pace | None = None) -> Litestar:
    """The ASGI application for a started box. Its lifespan does nothing: the box is started by who made it."""
    limits, answers = Limits(box.settings), Answers(box)
    app = Litestar(
        [
            *(Routes(BASE, route_handlers=handlers, tags=[tag]) for tag, handlers in ROUTES.items()),
            health,
            metrics,
        ],
        debug=False,
        pdb_on_exception=False,
        logging_config=None,
        exception_handlers={Exception: problems.handle},
        middleware=[DefineMiddleware(Gate, box=box, limits=limits, answers=answers)],
        openapi_config=description.config(),
        request_max_body_size=box.settings.max_body_bytes,
        state=State(
            {"box": box, "limits": limits, "pace": pace or live.Pace(), "crowd": Counter()}, deep_copy=False
        ),
    )
    app.asgi_handler = Door(Pages(app.asgi_handler, static), box)
    return app
