"""An agent on a phone: it is asked, it streams, it asks back, and the person has the last word."""

import re
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Route, expect

from tests.agents.model_server.parts import Gate, Think
from tests.agents.model_server.script import Script
from tests.agents.model_server.server import ModelServer
from tests.cli.command import Served, environment
from tests.e2e.cut import Cable
from tests.e2e.phone import WAIT_MS, Phone
from tests.e2e.talk import FIRST_MS, Talk, run, saved, says, second_device
from tests.e2e.test_main_job import printed_link
from tests.ssh.sshd import Sshd
from tests.waiting import eventually_sync

pytestmark = [pytest.mark.browser, pytest.mark.sshd]
STOP_MS = 2_000


def test_it_streams_and_asks_before_it_changes_something(
    box: Served, phone: Phone, server: Sshd, tmp_path: Path
) -> None:
    wanted, unwanted = tmp_path / "wanted", tmp_path / "unwanted"
    more = Gate()
    script = Script(
        says(Think("How busy is it?"), "Let me **look** first", more, " at `uptime`.", run("uptime")),
        says(run(f"touch {unwanted}", "I would like to leave a mark.")),
        says(run(f"touch {wanted}", "Then here.")),
        says("## Done\n\n1. one\n2. two\n\n<b>no tag</b>"),
    )
    phone.pair(printed_link(box))
    with ModelServer(script) as model:
        talk = Talk.begun(phone, server, model)
        talk.say("Leave a mark")
        more.until_reached()
        phone.sees("Let me")
        expect(talk.strip).to_contain_text("Writes")
        expect(talk.page.get_by_test_id("tick")).to_have_attribute("data-delivered", "true")
        assert not more.is_open, "what stands above was streamed before the answer was whole"
        more.open()

        expect(talk.asked).to_contain_text(f"touch {unwanted}", timeout=WAIT_MS)
        expect(talk.asked).to_contain_text("Changes something")
        expect(talk.asked.get_by_test_id("agents-words")).to_contain_text("I would like to leave a mark.")
        expect(talk.asked.get_by_test_id("expires")).to_be_visible()
        expect(talk.strip).to_contain_text("Waits for your answer")
        expect(phone.command()).to_have_attribute("data-exit", "0")  # reading needed no answer
        talk.deny()
        expect(talk.page.get_by_test_id("refused")).to_contain_text(f"touch {unwanted}", timeout=WAIT_MS)

        expect(talk.asked).to_contain_text(f"touch {wanted}", timeout=WAIT_MS)
        talk.allow()
        talk.ends()
        expect(talk.answered("allowed")).to_be_visible()
        phone.sees("<b>no tag</b>")
        expect(talk.page.get_by_role("heading", name="Done")).to_be_visible()
        expect(talk.page.get_by_test_id("usage")).to_contain_text("tokens")
        thought = talk.page.get_by_test_id("thought")
        expect(thought.get_by_text("How busy is it?")).to_be_hidden()
        thought.locator("summary").tap()
        expect(thought.get_by_text("How busy is it?")).to_be_visible()
        assert wanted.exists()
        assert not unwanted.exists()
        assert script.beyond == []
        assert phone.problems == []


def test_what_destroys_takes_two_steps_and_a_standing_permission_can_be_withdrawn(
    box: Served, phone: Phone, server: Sshd, tmp_path: Path
) -> None:
    doomed, mark = tmp_path / "doomed", tmp_path / "mark"
    doomed.mkdir()
    again = run(f"touch {mark}")
    script = Script(
        says(run(f"rm -rf {doomed}")), says(again), says(again), "All done.", says(again), "Done again."
    )
    phone.pair(printed_link(box))
    with ModelServer(script) as model:
        talk = Talk.begun(phone, server, model)
        talk.say("Clean up")
        expect(talk.asked).to_contain_text("Destroys", timeout=WAIT_MS)
        talk.asked.get_by_role("button", name="Allow…").tap()
        sheet = talk.page.get_by_role("dialog")
        expect(sheet).to_contain_text(f"rm -rf {doomed}")
        expect(sheet.get_by_role("button", name="Allow and run it")).to_be_disabled()
        assert doomed.exists()
        sheet.get_by_role("checkbox").tap()
        sheet.get_by_role("button", name="Allow and run it").tap()

        expect(talk.asked).to_contain_text(f"touch {mark}", timeout=WAIT_MS)
        assert not doomed.exists()
        talk.grant()
        talk.ends()  # the same command ran a second time, unasked
        expect(talk.page.get_by_test_id("command")).to_have_count(3)
        expect(talk.strip).to_contain_text("1 standing permission")

        phone.page.get_by_role("button", name="1 standing permission").tap()
        standing = phone.page.get_by_test_id("grant")
        expect(standing).to_contain_text(f"touch {mark}")
        expect(standing).to_contain_text("used once")
        standing.get_by_role("button", name="Withdraw").tap()
        expect(standing).to_have_count(0, timeout=WAIT_MS)
        phone.tap("Close dialog")
        talk.say("Once more")
        expect(talk.asked).to_contain_text(f"touch {mark}", timeout=WAIT_MS)
        talk.deny()
        talk.ends()
        assert script.beyond == []
        assert phone.problems == []


def test_the_kill_switch_ends_what_runs_on_the_server_within_two_seconds(
    box: Served, phone: Phone, server: Sshd, tmp_path: Path
) -> None:
    alive = tmp_path / "alive"
    script = Script(
        says(run(f"while sleep 0.1; do date +%s.%N > {alive}; done", "It goes on and on.")),
        says(run(f"touch {tmp_path / 'never'}")),
    )
    phone.pair(printed_link(box))
    with ModelServer(script) as model:
        talk = Talk.begun(phone, server, model)
        talk.say("Run it")
        expect(talk.asked).to_be_visible(timeout=WAIT_MS)
        talk.asked.get_by_role("button", name=re.compile("^Allow…?$")).tap()
        expect(talk.strip).to_contain_text("Runs", timeout=WAIT_MS)
        while not alive.exists():
            talk.page.wait_for_timeout(50)
        phone.tap("Stop agents")
        expect(talk.page.get_by_test_id("agents-stopped")).to_be_visible(timeout=STOP_MS)
        phone.sees("Stopped: 1 turn.")
        talk.ends()
        eventually_sync(lambda: is_still(alive))

        phone.say("And this")
        expect(talk.asked).to_be_visible(timeout=WAIT_MS)
        phone.page.goto(f"{box.address}/approvals")
        expect(talk.asked).to_be_visible(timeout=WAIT_MS)
        phone.tap("Stop all agents")
        expect(talk.asked).to_have_count(0, timeout=STOP_MS)
        phone.sees("Stopped: 1 turn, 1 approval.")
        expect(phone.page.get_by_test_id("answered").get_by_text("No longer needed").first).to_be_visible()
        assert not (tmp_path / "never").exists()
        assert phone.problems == []


def test_the_first_answer_wins_and_a_device_that_was_away_is_told_so(
    box: Served, phone: Phone, server: Sshd, chromium: Browser, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    script = Script(says(run(f"touch {mark}")), "You said no.", says(run(f"touch {mark}")), "Thank you.")
    port = urlsplit(box.address).port
    assert port
    phone.pair(printed_link(box))
    with ModelServer(script) as model, Cable(port) as cable:
        talk = Talk.begun(phone, server, model)
        with second_device(chromium, box, f"http://127.0.0.1:{cable.port}") as other:
            talk.say("Touch it")
            badge = other.page.get_by_test_id("badge").filter(visible=True)
            expect(badge).to_have_text("1", timeout=WAIT_MS)
            expect(other.page.get_by_test_id("asked")).to_contain_text("asks on nas")
            other.page.get_by_role("link", name=re.compile("^Approvals")).tap()
            card = other.page.get_by_test_id("approval")
            expect(card).to_contain_text(f"touch {mark}", timeout=WAIT_MS)
            cable.pull()
            talk.deny()
            talk.ends()
            card.get_by_role("button", name="Allow", exact=True).tap()  # into a dead network
            cable.plug()
            expect(card).to_have_attribute("data-state", "denied", timeout=WAIT_MS)
            expect(card).to_contain_text("Another device was first")
            expect(other.page.get_by_test_id("trouble")).to_have_count(0)
            expect(badge).to_have_count(0)

            talk.say("Touch it after all")
            waiting = other.page.locator("[data-testid=approval][data-state=pending]")
            expect(waiting).to_be_visible(timeout=WAIT_MS)
            waiting.get_by_role("button", name="Allow", exact=True).tap()
            talk.ends()
            expect(talk.answered("allowed")).to_contain_text("Allowed on")
            assert mark.exists()
            assert script.beyond == []
            assert phone.problems == []
            assert other.problems == []


def test_a_message_whose_answer_was_lost_is_one_turn_and_a_failed_one_stays_in_the_composer(
    box: Served, phone: Phone, server: Sshd
) -> None:
    script = Script("Hello back.", "Still here.")
    phone.pair(printed_link(box))
    with ModelServer(script) as model:
        talk = Talk.begun(phone, server, model)
        tries = 0

        def lose_the_answer(route: Route) -> None:
            nonlocal tries
            route.fetch()
            route.abort()
            tries += 1

        phone.page.route("**/turns", lose_the_answer)
        talk.say("Hello")
        phone.sees("Hello back.")
        talk.ends()
        expect(phone.page.get_by_label("Message")).to_have_value("")

        def tried_twice() -> bool:
            phone.page.wait_for_timeout(20)  # the browser's requests are answered meanwhile
            return tries == 2

        eventually_sync(tried_twice, what="the app asked again by itself")
        expect(phone.page.get_by_test_id("trouble")).to_have_count(0)
        phone.page.unroute("**/turns")

        phone.context.set_offline(True)
        phone.say("Are you there?")
        phone.sees("Not sent")
        expect(phone.page.get_by_label("Message")).to_have_value("Are you there?")
        phone.context.set_offline(False)
        phone.tap("Retry")
        phone.sees("Still here.")
        talk.ends()
        expect(phone.page.get_by_label("Message")).to_have_value("")
        expect(phone.page.get_by_test_id("tick")).to_have_count(2)
        assert len(model.asked) == 2
        assert script.beyond == []


def test_what_was_asked_while_the_phone_was_away_is_there_when_it_is_back(
    box: Served, chromium: Browser, server: Sshd, tmp_path: Path
) -> None:
    mark, hold = tmp_path / "mark", Gate()
    script = Script(says("I will ask.", hold, run(f"touch {mark}")), "It is touched.")
    port = urlsplit(box.address).port
    assert port
    with (
        ModelServer(script) as model,
        Cable(port) as cable,
        Phone.held(chromium, f"http://127.0.0.1:{cable.port}") as phone,
    ):
        phone.pair(f"{phone.address}/pair#{urlsplit(printed_link(box)).fragment}")
        talk = Talk.begun(phone, server, model)
        talk.say("Touch it")
        phone.sees("I will ask.")
        cable.pull()
        hold.open()
        with second_device(chromium, box) as other:
            other.page.goto(f"{box.address}/approvals")
            expect(other.page.get_by_test_id("approval")).to_be_visible(timeout=WAIT_MS)
        cable.plug()
        expect(talk.asked).to_contain_text(f"touch {mark}", timeout=WAIT_MS)
        talk.allow()
        phone.sees("It is touched.")
        assert mark.exists()
        assert script.beyond == []
        assert phone.problems == []


def test_a_question_outlives_a_killed_box_and_the_turn_goes_on_with_the_next_session(
    tmp_path: Path, chromium: Browser, server: Sshd
) -> None:
    mark = tmp_path / "mark"
    script = Script(says("I will ask.", run(f"touch {mark}")), "It is touched.")
    first = Served(tmp_path / "box", "--allow-loopback", "--show-pairing", env=environment()).wait()
    port = str(urlsplit(first.address).port)
    boxes = [first]
    try:
        with ModelServer(script) as model, Phone.held(chromium, first.address) as phone:
            phone.pair(printed_link(first))
            talk = Talk.begun(phone, server, model)
            talk.say("Touch it")
            expect(talk.asked).to_be_visible(timeout=WAIT_MS)
            first.process.kill()
            first.process.wait()
            boxes.append(
                Served(tmp_path / "box", "--allow-loopback", "--port", port, env=environment()).wait()
            )
            expect(talk.strip).to_contain_text("start one and it goes on", timeout=FIRST_MS)
            phone.tap("Start a new session")
            expect(talk.asked).to_contain_text(f"touch {mark}", timeout=FIRST_MS)
            talk.allow()
            expect(phone.page.get_by_text("It is touched.")).to_be_visible(timeout=FIRST_MS)
            assert mark.exists()
            assert script.beyond == []
    finally:
        for one in boxes:
            one.end()


def test_conversations_are_made_named_found_exported_and_put_away(
    box: Served, phone: Phone, server: Sshd
) -> None:
    phone.pair(printed_link(box))
    phone.add(server, "nas")
    phone.start_session()
    phone.say("$ echo needle-in-the-hay")
    expect(phone.command()).to_have_attribute("data-exit", "0", timeout=WAIT_MS)
    conversations = phone.page.get_by_role("button", name=re.compile("^Conversations:"))
    conversations.tap()
    phone.tap("New conversation")
    offers = phone.page.get_by_test_id("runtime")
    expect(offers.filter(has_text="Runbook")).to_be_visible(timeout=WAIT_MS)
    expect(phone.page.locator("[data-name=model]").get_by_role("link")).to_have_attribute(
        "href", "/settings/models"
    )
    phone.tap("Start conversation")
    expect(phone.page.get_by_test_id("command")).to_have_count(0)
    phone.say("$ echo second")
    expect(phone.command()).to_contain_text("second", timeout=WAIT_MS)

    conversations.tap()
    rows = phone.page.get_by_test_id("conversation-row")
    expect(rows).to_have_count(2)
    rows.first.get_by_role("button", name=re.compile("^More for")).tap()
    menu = phone.page.get_by_role("dialog").last
    menu.get_by_label("Title").fill("Straw")
    menu.get_by_role("button", name="Rename").tap()
    expect(rows.first).to_contain_text("Straw", timeout=WAIT_MS)
    rows.first.get_by_role("button", name=re.compile("^More for")).tap()
    with phone.page.expect_download() as download:
        phone.page.get_by_role("link", name="Export as Markdown").tap()
    assert "echo second" in Path(download.value.path()).read_text()
    phone.page.get_by_role("dialog").last.get_by_role("button", name="Archive").tap()
    expect(rows).to_have_count(1, timeout=WAIT_MS)

    phone.page.get_by_role("link", name="Search").tap()
    phone.page.get_by_label("Search in conversations").fill("needle")
    hit = phone.page.get_by_test_id("hits").get_by_role("link").first
    expect(hit).to_contain_text("needle", timeout=WAIT_MS)
    hit.tap()
    expect(phone.page).to_have_url(re.compile("/sessions/"), timeout=WAIT_MS)
    expect(phone.command()).to_contain_text("needle-in-the-hay", timeout=WAIT_MS)
    assert phone.problems == []


def test_how_much_is_asked_is_chosen_for_the_account_and_for_a_server(
    box: Served, phone: Phone, server: Sshd, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    phone.pair(printed_link(box))
    connection = saved(phone, server, "nas")
    phone.page.goto(f"{box.address}/settings")
    mode = phone.page.get_by_role("radio", name=re.compile("^Ask for everything"))
    mode.tap()
    phone.sees("Saved.")
    phone.page.reload()
    expect(mode).to_be_checked(timeout=WAIT_MS)
    phone.page.get_by_text("Limits of one turn").tap()
    phone.page.get_by_label("Commands in a turn").select_option("10")
    phone.sees("Saved.")

    phone.page.goto(f"{box.address}/connections/{connection}")
    phone.page.get_by_role("checkbox", name=re.compile("^Judge what people type")).tap()
    phone.sees("Saved.")
    phone.page.get_by_role("radio", name=re.compile("^Lab")).tap()
    expect(phone.page.get_by_role("radio", name=re.compile("^Lab"))).to_be_checked()
    phone.start_session()
    phone.say(f"$ touch {mark}")
    asked = phone.page.locator("[data-testid=approval][data-state=pending]")
    expect(asked).to_contain_text(f"touch {mark}", timeout=WAIT_MS)
    assert not mark.exists()
    asked.get_by_role("button", name="Allow", exact=True).tap()
    expect(phone.command()).to_have_attribute("data-exit", "0", timeout=WAIT_MS)
    assert mark.exists()
    assert phone.problems == []


def is_still(file: Path) -> bool:
    """Whether nobody writes it for five rounds of who did."""
    before = file.read_text()
    time.sleep(0.5)
    return file.read_text() == before
