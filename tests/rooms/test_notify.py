"""From a committed event to a phone: told once, at least once outside, and never what is secret."""

import asyncio
import io
import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec
import pytest
import structlog
from py_vapid import Vapid02
from standardwebhooks import Webhook

from clawdbox import logs
from clawdbox.accounts.model import Account
from clawdbox.app import Box
from clawdbox.clock import parse
from clawdbox.errors import Conflict, Invalid, NotFound
from clawdbox.events import Actor
from clawdbox.notify.model import Ntfy, State, WebPush
from clawdbox.settings import Settings
from tests.clocks import HandClock
from tests.rooms.receiver import Browser, Receiver, receiver
from tests.rooms.telling import Teller, teller
from tests.waiting import eventually


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Teller]:
    async with teller(tmp_path) as made:
        yield made


@pytest.fixture
async def out() -> AsyncIterator[Receiver]:
    async with receiver() as made:
        yield made


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What is logged."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    out = io.StringIO()
    logs.configure("debug", out)
    yield out
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


class TestWhatIsTold:
    async def test_an_approval_reaches_a_phone_and_says_where(self, here: Teller, out: Receiver) -> None:
        await here.ntfy(out)
        approval_id = await here.asked()
        await here.tell()
        (got,) = out.got
        assert got.path == "/"
        assert got.headers["authorization"] == "Bearer tk_canarytoken"
        assert got.json == {
            "topic": "clawdbox-x7f3",
            "title": "Approval needed on web-1",
            "message": "A command that changes something waits for your answer.",
            "priority": 4,
            "tags": ["raised_hand"],
            "click": f"{here.box.address}/approvals/{approval_id}",
        }

    async def test_only_what_the_channel_wants_is_told(self, here: Teller, out: Receiver) -> None:
        await here.ntfy(out, ["session_lost"])
        await here.asked()
        await here.turn_ends()
        where = {"connection_id": here.connection_id, "close_reason": "server_closed"}
        await here.happens("session.closed", here.session_id, **where)
        await here.tell()
        assert [got.json["title"] for got in out.got] == ["Session on web-1 ended"]

    async def test_a_channel_that_is_off_or_gone_is_told_nothing(self, here: Teller, out: Receiver) -> None:
        off, gone = await here.ntfy(out), await here.ntfy(out)
        await here.box.notify_channels.change(here.actor, here.account_id, off.id, {"enabled": False})
        await here.box.notify_channels.remove(here.actor, here.account_id, gone.id)
        await here.asked()
        await here.tell()
        assert (out.got, await here.deliveries()) == ([], [])

    async def test_a_turn_that_somebody_watches_end_is_not_told(self, here: Teller, out: Receiver) -> None:
        await here.ntfy(out)
        with here.box.hub.listen("watched:c1"):
            await here.turn_ends(conversation_id="c1")
            await here.turn_ends(conversation_id="c2")
            await here.take()
        await here.send()
        assert [got.json["click"].rpartition("/")[2] for got in out.got] == ["c2"]

    async def test_an_unknown_host_key_is_told_unless_the_app_is_open(
        self, here: Teller, out: Receiver
    ) -> None:
        await here.ntfy(out)
        with here.box.hub.listen(f"present:{here.account_id}"):
            await here.happens("host_key.unknown", here.connection_id)
            await here.happens("host_key.changed", here.connection_id)
            await here.take()
        await here.happens("host_key.unknown", here.connection_id)
        await here.tell()
        assert [got.json["title"] for got in out.got] == [
            "The host key of web-1 changed",
            "Unknown host key on web-1",
        ]

    async def test_a_question_that_was_answered_meanwhile_is_not_told(
        self, here: Teller, out: Receiver
    ) -> None:
        await here.ntfy(out)
        approval_id = await here.asked()
        await here.take()
        await here.box.approvals.answer(here.actor, here.account_id, approval_id, allow=False)
        await here.send()
        (delivery,) = await here.deliveries()
        assert (out.got, delivery.state, delivery.last_error) == ([], State.GAVE_UP, "answered")

    async def test_another_accounts_events_are_not_mine(self, here: Teller, out: Receiver) -> None:
        await here.ntfy(out)
        anna = await here.box.accounts.create(Actor(), "Anna")
        await here.box.store.write(
            lambda tx: here.box.ledger.event(tx, anna.id, "keypair.revoked", "keypair", "k", {"label": "x"})
        )
        await here.tell()
        assert out.got == []

    async def test_a_disabled_account_is_told_nothing(self, here: Teller, out: Receiver) -> None:
        anna: Account = await here.box.accounts.create(Actor(), "Anna")
        channel, _ = await here.box.notify_channels.add(
            Actor(anna.id), anna.id, label="x", target=Ntfy(out.url, "t", None, False),
            kinds=["key_event"], with_command=False,
        )  # fmt: skip
        await here.box.keys.create(Actor(anna.id), anna.id, "One more")
        assert await here.take()
        await here.box.accounts.set_active(Actor(), anna.id, False)
        await here.tell()
        assert out.got == []
        (delivery,) = await here.deliveries()
        assert (delivery.channel_id, delivery.last_error) == (channel.id, "channel_off")


class TestOnce:
    async def test_an_event_is_taken_once_however_often_it_is_looked_for(
        self, here: Teller, out: Receiver
    ) -> None:
        await here.ntfy(out)
        await here.turn_ends()
        assert await here.take() == 1
        here.box.notifier.relay._after = 0  # as a process would that forgot how far it was
        assert await here.take() == 0
        await here.send()
        assert (len(out.got), len(await here.deliveries())) == (1, 1)

    async def test_two_that_take_at_once_make_one_delivery(self, here: Teller, out: Receiver) -> None:
        await here.ntfy(out)
        await here.turn_ends()
        relay = here.box.notifier.relay
        other = type(relay)(here.box.store, here.box.settings, here.box.notify_channels, relay._screens)
        assert sum(await asyncio.gather(relay.take_all(), other.take_all())) == 1
        assert len(await here.deliveries()) == 1

    async def test_what_was_taken_and_not_sent_is_sent_after_a_restart(
        self, tmp_path: Path, out: Receiver
    ) -> None:
        clock = HandClock()
        async with teller(tmp_path, clock) as before:
            await before.ntfy(out)
            await before.turn_ends()
            await before.take()
            await before.asked()  # and one that was committed, and not even taken
        assert out.got == []
        again = Settings(notify_loopback=True, notify_plain_http=True)
        async with Box.offline(tmp_path, again, clock) as box:
            await box.notifier.relay.take_all()
            await box.notifier.courier.settle()
            await box.notifier.courier.settle()
        assert sorted(got.json["title"] for got in out.got) == [
            "Approval needed on web-1",
            "The agent has finished on web-1",
        ]

    async def test_an_attempt_whose_outcome_was_not_written_is_made_again_as_the_same(
        self, tmp_path: Path, out: Receiver
    ) -> None:
        """At least once, and a receiver can tell."""
        clock, came = HandClock(), asyncio.Event()
        never = asyncio.Event()  # held here: a task whose wait nobody holds is collected as garbage

        async def silent(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
            came.set()
            await never.wait()

        async with teller(tmp_path, clock) as before:
            await before.webhook(out)
            await before.turn_ends()
            await before.take()
            out.answers = [silent]
            await before.box.notifier.courier.send_due()
            await came.wait()
            await before.box.notifier.courier.stop(0)
            (delivery,) = await before.deliveries()
            assert (delivery.state, delivery.attempts) == (State.PENDING, 0)
        again = Settings(notify_loopback=True, notify_plain_http=True)
        async with Box.offline(tmp_path, again, clock) as box:
            await box.notifier.relay.take_all()
            await box.notifier.courier.settle()
        assert [got.headers["webhook-id"] for got in out.got] == [delivery.id] * 2

    async def test_what_happened_before_the_box_could_tell_is_not_told(self, tmp_path: Path) -> None:
        """The migration takes the newest event of an old box."""
        async with teller(tmp_path) as old:
            last = await old.box.store.read(
                lambda r: r.value("SELECT max(seq) FROM events WHERE type LIKE 'key%'")
            )
            taken = await old.rows("event_inbox")
            assert last
            assert len(taken) == 1


class TestRetries:
    async def test_it_is_tried_again_later_and_later(self, here: Teller, out: Receiver) -> None:
        await here.ntfy(out)
        await here.turn_ends()
        out.answers = [503, 500, 429]
        waits = []
        await here.take()
        for attempt in range(1, 4):
            await here.send()
            (delivery,) = await here.deliveries()
            assert delivery.attempts == attempt == len(out.got)
            assert delivery.next_try_at
            waits.append((delivery.next_try_at - here.clock.now()).total_seconds())
            here.clock.turn(waits[-1] + 0.1)
        await here.send()
        (delivery,) = await here.deliveries()
        assert delivery.state is State.SENT
        assert delivery.last_error is None
        assert [2.4 < waits[0] <= 5, 4.9 < waits[1] <= 10, 9.9 < waits[2] <= 20] == [True] * 3

    async def test_who_asks_to_be_left_alone_is(self, here: Teller, out: Receiver) -> None:
        await here.ntfy(out)
        await here.turn_ends()
        await here.turn_ends()
        out.answers = [(429, {"Retry-After": "600"})]
        await here.tell()
        assert len(out.got) == 1
        here.clock.turn(590)
        await here.send()
        assert len(out.got) == 1
        here.clock.turn(11)
        await here.send()
        assert len(out.got) == 3

    async def test_a_question_is_not_asked_when_it_is_over(self, here: Teller, out: Receiver) -> None:
        await here.ntfy(out)
        await here.asked(ttl=60)
        out.always = 503
        await here.take()
        for _ in range(8):
            await here.send()
            here.clock.turn(40)
        (delivery,) = await here.deliveries()
        assert delivery.state is State.GAVE_UP
        assert len(out.got) <= 3
        out.always = 200
        await here.send()
        assert len(out.got) <= 3

    async def test_a_refusal_is_not_tried_again(self, here: Teller, out: Receiver) -> None:
        await here.ntfy(out)
        await here.turn_ends()
        out.always = 403
        await here.tell()
        here.clock.turn(86_000)
        await here.send()
        (delivery,) = await here.deliveries()
        assert (delivery.state, delivery.last_error, len(out.got)) == (State.FAILED, "http_403", 1)
        ((channel, _),) = await here.box.notify_channels.all_of(here.account_id)
        assert channel.failing_since

    async def test_a_success_ends_what_was_failing(self, here: Teller, out: Receiver) -> None:
        await here.ntfy(out)
        await here.turn_ends()
        await here.turn_ends()
        out.answers = [403]
        await here.tell()
        ((channel, host),) = await here.box.notify_channels.all_of(here.account_id)
        assert channel.failing_since is None
        assert channel.last_ok_at
        assert host == "127.0.0.1"

    async def test_in_the_end_it_gives_up(self, here: Teller, out: Receiver) -> None:
        await here.ntfy(out)
        await here.turn_ends()
        out.always = 500
        await here.take()
        for _ in range(20):
            await here.send()
            here.clock.turn(3700)
        (delivery,) = await here.deliveries()
        assert (delivery.state, delivery.last_error) == (State.GAVE_UP, "http_500")
        assert delivery.attempts == len(out.got) == 12

    async def test_a_channel_that_hangs_holds_up_no_other(self, here: Teller, out: Receiver) -> None:
        async with receiver() as stuck:
            came, go = asyncio.Event(), asyncio.Event()

            async def hang(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
                came.set()
                await go.wait()

            stuck.always = hang
            await here.ntfy(stuck)
            await here.ntfy(out)
            await here.turn_ends()
            await here.take()
            await here.box.notifier.courier.send_due()
            await came.wait()
            await eventually(lambda: out.got)
            go.set()
            await here.box.notifier.courier.stop(5)

    async def test_a_full_disk_does_not_make_it_send_in_circles(
        self, here: Teller, out: Receiver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await here.ntfy(out)
        await here.turn_ends()
        await here.take()

        async def full(_fn: object) -> None:
            raise OSError("disk full")

        with monkeypatch.context() as patched:
            patched.setattr(here.box.store, "write", full)
            await here.send()
            await here.send()
        assert len(out.got) == 1
        here.clock.turn(61)
        await here.send()
        assert len(out.got) == 2
        (delivery,) = await here.deliveries()
        assert delivery.state is State.SENT


class TestFloods:
    async def test_what_is_too_much_is_folded_into_one(self, here: Teller, out: Receiver) -> None:
        await here.ntfy(out)
        for number in range(22):
            await (here.turn_ends() if number % 2 else here.asked())
        await here.tell()
        assert len(out.got) == 10
        here.clock.turn(61)
        await here.send()
        assert len(out.got) == 11
        assert out.got[-1].json | {"tags": [], "topic": ""} == {
            "topic": "",
            "title": "And 12 more",
            "message": "6 approvals waiting, 6 turns finished",
            "priority": 4,
            "tags": [],
            "click": f"{here.box.address}/approvals",
        }
        assert len(await here.deliveries()) == 11

    async def test_after_a_minute_it_is_told_one_by_one_again(self, here: Teller, out: Receiver) -> None:
        await here.ntfy(out)
        for _ in range(11):
            await here.turn_ends()
        await here.tell()
        here.clock.turn(61)
        await here.turn_ends()
        await here.tell()
        assert sorted(got.json["title"] for got in out.got)[:2] == [
            "And 1 more",
            "The agent has finished on web-1",
        ]
        assert len(out.got) == 12

    async def test_one_accounts_flood_is_not_anothers(self, here: Teller, out: Receiver) -> None:
        await here.ntfy(out)
        for _ in range(30):
            await here.turn_ends()
        anna = await here.box.accounts.create(Actor(), "Anna")
        await here.box.notify_channels.add(
            Actor(anna.id), anna.id, label="x", target=Ntfy(out.url, "annas", None, False),
            kinds=["key_event"], with_command=False,
        )  # fmt: skip
        await here.box.keys.create(Actor(anna.id), anna.id, "One more")
        await here.tell()
        assert [got.json["title"] for got in out.got if got.json["topic"] == "annas"] == [
            "A new key was made"
        ]


class TestWebPush:
    async def test_the_browser_reads_it_and_the_push_service_cannot(
        self, here: Teller, out: Receiver
    ) -> None:
        browser = Browser()
        await here.push(out, browser)
        approval_id = await here.asked()
        await here.tell()
        (got,) = out.got
        assert got.path == "/send/canaryendpoint"
        assert browser.read(got) == {
            "title": "Approval needed on web-1",
            "body": "A command that changes something waits for your answer.",
            "url": f"/approvals/{approval_id}",
            "tag": f"approval:{approval_id}",
        }
        assert b"web-1" not in got.body
        assert (got.headers["urgency"], got.headers["ttl"]) == ("high", "899")
        assert len(got.headers["topic"]) == 32

    async def test_the_push_service_can_tell_that_it_is_this_box(self, here: Teller, out: Receiver) -> None:
        await here.push(out, Browser())
        await here.turn_ends()
        await here.tell()
        (got,) = out.got
        assert Vapid02.verify(got.headers["authorization"])
        scheme, _, parts = got.headers["authorization"].partition(" ")
        fields = dict(part.strip().split("=", 1) for part in parts.split(","))
        assert scheme == "vapid"
        assert fields["k"] == await here.box.notify_channels.vapid.public()
        claims = msgspec.json.decode(_base64(fields["t"].split(".")[1]))
        assert claims["aud"] == out.url
        assert claims["sub"] == "mailto:owner@example.com"
        left = claims["exp"] - here.clock.now().timestamp()
        assert 11 * 3600 < left <= 12 * 3600

    async def test_the_key_of_the_box_is_made_once_and_sealed(self, tmp_path: Path) -> None:
        clock = HandClock()
        async with teller(tmp_path, clock) as here:
            vapid = here.box.notify_channels.vapid
            first, second = await asyncio.gather(vapid.public(), vapid.public())
            sealed = await here.box.store.read(
                lambda r: r.value("SELECT value FROM box_meta WHERE key = 'vapid_key'")
            )
            assert first == second
        async with Box.offline(tmp_path, Settings(), clock) as box:
            assert await box.notify_channels.vapid.public() == first
        assert _base64(sealed)[0] == 1

    @pytest.mark.parametrize("status", [404, 410])
    async def test_a_device_that_is_gone_is_removed_and_the_log_says_so(
        self, here: Teller, out: Receiver, status: int
    ) -> None:
        await here.push(out, Browser())
        await here.turn_ends()
        out.always = status
        await here.tell()
        assert await here.box.notify_channels.all_of(here.account_id) == []
        (logged,) = await here.box.notify_channels.deliveries(here.account_id, 10, None)
        assert (logged.delivery.state, logged.delivery.last_error) == (State.FAILED, f"http_{status}")
        (row,) = await here.rows("notify_channels")
        assert (row["target_enc"], bool(row["removed_at"])) == (None, True)
        await here.turn_ends()
        await here.tell()
        assert len(out.got) == 1

    async def test_a_device_ends_with_its_login(self, here: Teller, out: Receiver) -> None:
        await here.push(out, Browser())
        await here.turn_ends()
        await here.take()
        await here.box.accounts.revoke_login(here.actor, here.account_id, here.login_id)
        await here.send()  # even before that event was heard
        assert out.got == []
        await here.tell()
        (row,) = await here.rows("notify_channels")
        assert row["target_enc"] is None

    async def test_a_device_ends_when_its_login_expires(self, here: Teller, out: Receiver) -> None:
        await here.push(out, Browser())
        here.clock.turn(31 * 86_400)
        await here.turn_ends()
        await here.tell()
        assert out.got == []
        await here.box.notifier.tidy()
        (row,) = await here.rows("notify_channels")
        assert row["target_enc"] is None

    async def test_a_browser_that_subscribes_again_replaces_itself(self, here: Teller, out: Receiver) -> None:
        await here.push(out, Browser())
        browser = Browser()
        second = await here.push(out, browser)
        ((channel, _),) = await here.box.notify_channels.all_of(here.account_id)
        assert channel.id == second.id
        await here.turn_ends()
        await here.tell()
        assert browser.read(out.got[-1])["title"] == "The agent has finished on web-1"
        assert len(out.got) == 1

    async def test_what_is_no_subscription_is_refused(self, here: Teller) -> None:
        browser = Browser()
        for p256dh, auth in (("AAAA", browser.auth), (browser.p256dh, "AAAA"), ("!", "?")):
            with pytest.raises(Invalid):
                await here.add(WebPush("http://127.0.0.1/x", p256dh, auth, ""))


class TestWebhooks:
    async def test_a_receiver_can_check_who_sent_it(self, here: Teller, out: Receiver) -> None:
        await here.webhook(out)
        assert here.secret
        await here.turn_ends("failed")
        out.answers = [500]
        await here.tell()
        here.clock.turn(5)
        await here.send()
        first, second = out.got
        for got in (first, second):
            read = Webhook(here.secret).verify(got.body, got.headers)
            assert read["type"] == "turn_finished"
            assert read["data"]["title"] == "The agent could not finish on web-1"
            assert parse(read["timestamp"]) < here.clock.now()
        assert first.headers["webhook-id"] == second.headers["webhook-id"]
        with pytest.raises(Exception, match="signature"):
            Webhook(here.secret).verify(first.body.replace(b"web-1", b"web-2"), first.headers)


class TestSecrets:
    async def test_a_command_is_told_only_to_who_asked_for_it_and_without_its_secrets(
        self, here: Teller, out: Receiver
    ) -> None:
        async with receiver() as quiet, receiver() as mail:
            browser, other = Browser(), Browser()
            await here.push(out, browser, with_command=True)
            await here.ntfy(mail, with_command=True)
            await here.push(quiet, other)
            await here.webhook(quiet)
            await here.asked("mysql --canary -e 'password=hunter2canary'")
            await here.asked(None, kind="question")
            await here.tell()
            body = browser.read(out.got[0])["body"]
            assert "mysql --canary" in body
            assert "hunter2canary" not in body
            assert "mysql --canary" in mail.got[0].json["message"]
            assert "hunter2canary" not in mail.got[0].json["message"]
            read = [other.read(got) for got in quiet.got if "canaryendpoint" in got.path]
            assert len(read) == 2
            assert "canary" not in str(read)
            assert all(b"canary" not in got.body for got in quiet.got)

    async def test_nothing_secret_is_in_the_log_the_events_or_the_trail(
        self, here: Teller, out: Receiver, lines: io.StringIO
    ) -> None:
        browser = Browser()
        await here.push(out, browser, with_command=True)
        await here.ntfy(out, with_command=True)
        await here.webhook(out)
        out.always = 500
        await here.asked("echo commandcanary")
        await here.tell()
        await here.box.notify_channels.test(
            here.actor, here.account_id, (await here.box.notify_channels.all_of(here.account_id))[0][0].id
        )
        told = lines.getvalue()
        assert "notify.attempt" in told
        kept = [
            await here.rows(table)
            for table in ("events", "audit_log", "notify_deliveries", "notify_channels")
        ]
        told += str(kept)
        for canary in ("canary", browser.auth, str(here.secret), "clawdbox-x7f3"):
            assert canary not in told


class TestKeeping:
    async def test_the_log_is_forgotten_after_thirty_days(self, here: Teller, out: Receiver) -> None:
        gone = await here.ntfy(out)
        await here.ntfy(out)
        await here.turn_ends()
        await here.tell()
        await here.box.notify_channels.remove(here.actor, here.account_id, gone.id)
        assert len(await here.box.notify_channels.deliveries(here.account_id, 10, None)) == 2
        here.clock.turn(29 * 86_400)
        await here.box.notifier.tidy()
        assert len(await here.deliveries()) == 2
        here.clock.turn(2 * 86_400)
        await here.box.notifier.tidy()
        assert await here.deliveries() == []
        assert len(await here.rows("notify_channels")) == 1
        taken = await here.rows("event_inbox")
        assert len(taken) == 1, "the newest says how far it came"

    async def test_what_still_waits_is_not_forgotten(self, here: Teller, out: Receiver) -> None:
        await here.ntfy(out)
        await here.turn_ends()
        await here.take()
        here.clock.turn(40 * 86_400)
        await here.box.notifier.tidy()
        (delivery,) = await here.deliveries()
        await here.send()
        assert delivery.state is State.PENDING
        (delivery,) = await here.deliveries()
        assert (delivery.state, delivery.last_error, out.got) == (State.GAVE_UP, "expired", [])

    async def test_the_log_is_read_page_by_page(self, here: Teller, out: Receiver) -> None:
        await here.ntfy(out)
        for _ in range(5):
            await here.turn_ends()
        await here.tell()
        channels = here.box.notify_channels
        first = await channels.deliveries(here.account_id, 3, None)
        second = await channels.deliveries(here.account_id, 3, first[-1].delivery.id)
        ids = [logged.delivery.id for logged in [*first, *second]]
        assert ids == sorted(ids, reverse=True)
        assert len(set(ids)) == 5
        assert first[0].channel_label == "Somewhere"


class TestChannels:
    async def test_another_accounts_channel_is_not_there(self, here: Teller, out: Receiver) -> None:
        channel = await here.ntfy(out)
        channels = here.box.notify_channels
        anna = await here.box.accounts.create(Actor(), "Anna")
        me = Actor(anna.id)
        with pytest.raises(NotFound):
            await channels.change(me, anna.id, channel.id, {"enabled": False})
        with pytest.raises(NotFound):
            await channels.remove(me, anna.id, channel.id)
        with pytest.raises(NotFound):
            await channels.test(me, anna.id, channel.id)
        assert await channels.all_of(anna.id) == []
        assert await channels.deliveries(anna.id, 10, None) == []

    async def test_every_change_stands_in_the_trail(self, here: Teller, out: Receiver) -> None:
        channel = await here.ntfy(out)
        channels = here.box.notify_channels
        await channels.change(
            here.actor, here.account_id, channel.id, {"label": "Other", "kinds": ["key_event"]}
        )
        await channels.test(here.actor, here.account_id, channel.id)
        await channels.remove(here.actor, here.account_id, channel.id)
        found = [row for row in await here.rows("audit_log") if row["target_id"] == channel.id]
        assert [row["action"] for row in found] == [
            "notify_channel.add",
            "notify_channel.change",
            "notify_channel.test",
            "notify_channel.remove",
        ]
        assert {row["account_id"] for row in found} == {here.account_id}

    async def test_a_test_tells_the_truth(self, here: Teller, out: Receiver) -> None:
        channel = await here.ntfy(out)
        channels = here.box.notify_channels
        out.answers = [200, 401, 503]
        tried = [await channels.test(here.actor, here.account_id, channel.id) for _ in range(3)]
        assert [(outcome.state, outcome.code) for outcome in tried] == [
            (State.SENT, None),
            (State.FAILED, "http_401"),
            (State.PENDING, "http_503"),
        ]
        here.clock.turn(3600)
        await here.send()
        assert len(out.got) == 3, "a test is not tried again"
        assert out.got[0].json["title"] == "It works"
        assert [delivery.state for delivery in await here.deliveries()] == [
            State.SENT,
            State.FAILED,
            State.FAILED,
        ]

    async def test_there_are_only_so_many(self, here: Teller, out: Receiver) -> None:
        for _ in range(20):
            await here.ntfy(out)
        with pytest.raises(Conflict):
            await here.ntfy(out)

    async def test_a_target_opens_only_in_its_own_row(self, here: Teller, out: Receiver) -> None:
        one, other = await here.ntfy(out), await here.webhook(out)
        await here.box.store.write(
            lambda tx: tx.run(
                "UPDATE notify_channels SET target_enc = ? WHERE id = ?", (one.target_enc, other.id)
            )
        )
        await here.turn_ends()
        await here.tell()
        states = {delivery.channel_id: delivery.last_error for delivery in await here.deliveries()}
        assert states == {one.id: None, other.id: "sealed_value_broken"}
        assert len(out.got) == 1


async def test_the_job_tells_by_itself(tmp_path: Path, out: Receiver) -> None:
    box = Box(tmp_path, Settings(notify_loopback=True, notify_plain_http=True), HandClock())
    await box.start()
    try:
        made = Teller(box, HandClock())
        await made.settle_in()
        await made.ntfy(out)
        await made.turn_ends()
        await eventually(lambda: out.got)

        async def told() -> bool:
            return [delivery.state for delivery in await made.deliveries()] == [State.SENT]

        await eventually(told, what="that it was sent")
    finally:
        await box.stop()


def _base64(text: str) -> bytes:
    from clawdbox.notify.rules.channels import from_base64

    return from_base64(text.replace("+", "-").replace("/", "_"))
