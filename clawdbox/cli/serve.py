"""`clawdbox serve`: the box itself."""

import asyncio
import gc
import os
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click
import msgspec

from clawdbox import __version__
from clawdbox.cli import exits, lock, passphrase, paths, running, systemd, welcome
from clawdbox.cli.options import data_dir_option, examples

if TYPE_CHECKING:
    from clawdbox.admin import AdminSocket
    from clawdbox.app import Box
    from clawdbox.settings import Settings
    from clawdbox.vault import Keyring
    from clawdbox.web.server import WebServer

_STOP_S = 10.0
_LOCK_S = 3.0  # longer than a command that works offline


class Start(msgspec.Struct, frozen=True):
    """What the command line said. `flags` are settings; None means that it said nothing."""

    data_dir: Path
    demo: bool
    flags: dict[str, Any]
    show_pairing: bool


def _public_url(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    if value is None:
        return None
    url = urlsplit(value)
    if (
        url.scheme not in ("http", "https")
        or not url.hostname
        or url.path.strip("/")
        or url.query
        or url.fragment
    ):
        raise click.BadParameter("give the address as a browser shows it, such as https://box.example.org")
    return value.rstrip("/")


@click.command(
    epilog=examples(
        ("clawdbox serve", "for a browser on this machine, at http://127.0.0.1:8022"),
        ("clawdbox serve --demo", "the same with an SSH server to try things on"),
        ("clawdbox serve --host 0.0.0.0", "for the phones of a network that you trust"),
        ("clawdbox serve --public-url https://box.example.org", "behind a tunnel or a proxy with https"),
        ("clawdbox serve --data-dir /srv/box --port 9000", "a second box"),
    )
)
@data_dir_option
@click.option(
    "--host", metavar="ADDRESS", help="Where to listen; 0.0.0.0 is everywhere.  [default: 127.0.0.1]"
)
@click.option("--port", type=click.IntRange(0, 65535), help="0 takes any free port.  [default: 8022]")
@click.option(
    "--public-url", metavar="URL", callback=_public_url, help="The address by which browsers reach the box."
)
@click.option(
    "--allow-loopback", is_flag=True, default=None, help="Let connections lead to this machine itself."
)
@click.option(
    "--demo",
    is_flag=True,
    default=None,
    envvar="CLAWDBOX_DEMO",
    help="Add an SSH server to try things on, in a data folder of its own.",
)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    help="Of the log on standard error.  [default: info; warning on a terminal]",
)
@click.option(
    "--show-pairing", is_flag=True, help="Print the pairing link even if the output is no terminal."
)
def serve(data_dir: Path | None, demo: bool | None, show_pairing: bool, **flags: Any) -> int:
    """Start the box and serve its web app until Ctrl-C or SIGTERM.

    The first start makes the data folder, the owner's account with its SSH key, and the keyring. On a terminal it
    shows a link that signs in a browser, and once the recovery words; elsewhere it prints neither, and
    `clawdbox pair` makes a link. A box that opens with a passphrase asks for it on a terminal; without one it serves a
    page that takes it, and nothing else until then.

    Every setting can also stand in config.toml in the data folder, or in the environment as CLAWDBOX_<NAME>.
    """
    start = Start(paths.folder(data_dir, bool(demo)), bool(demo), {**flags, "demo": demo}, show_pairing)
    return run(start)


def run(start: Start) -> int:
    from clawdbox import logs, settings
    from clawdbox.vault import harden_process

    harden_process()
    paths.prepare(start.data_dir)
    chosen = settings.load(start.data_dir, start.flags)
    logs.configure(_log_level(start, chosen))
    with lock.held(start.data_dir, _LOCK_S):
        running.remove(start.data_dir)  # a box that was killed could not
        keyring = passphrase.unlocked(start.data_dir) if sys.stdin.isatty() else None
        return _run_loop(start, chosen, keyring)


def _log_level(start: Start, chosen: "Settings") -> str:
    """On a terminal the log would bury the link; whoever asks for it gets it."""
    quiet = sys.stderr.isatty() and start.flags.get("log_level") is None and chosen.log_level == "info"
    return "warning" if quiet else chosen.log_level


def _run_loop(start: Start, chosen: "Settings", keyring: "Keyring | None") -> int:
    from clawdbox.web.server import loop_factory

    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(_serve(start, chosen, keyring))


async def _serve(start: Start, chosen: "Settings", keyring: "Keyring | None") -> int:
    from clawdbox.app import Box
    from clawdbox.cli import locked
    from clawdbox.web.listening import listen

    asked_to_stop = _listen_to_signals()
    sockets = listen(
        chosen.host, chosen.port
    )  # first: a port that is taken costs nothing, and the box knows its own
    box = Box(start.data_dir, chosen, keyring=keyring)
    box.own_port = int(sockets[0].getsockname()[1])
    if keyring is None and passphrase.is_locked(start.data_dir):
        flags = paths.flags(start.data_dir, start.demo)
        box.unlocked = await locked.wait_for_passphrase(box, sockets, asked_to_stop, flags)
        if box.unlocked is None:
            return exits.OK
    await box.start()
    served = Served(box, sockets)
    try:
        await served.start()
        # What is there by now stays: a full collection would look through all of it, and hold up every keystroke
        # for some 50 ms each time.
        gc.freeze()
        systemd.notify("READY=1")
        await _greet(start, box)
        failed = await served.wait(asked_to_stop)
    finally:
        systemd.notify("STOPPING=1")
        await _stop_in_time(served)
    return exits.FAILED if failed else exits.OK


class Served:
    """A box with its two ways in: the web and the admin socket."""

    def __init__(self, box: "Box", sockets: list[socket.socket]) -> None:
        self._box = box
        self._sockets = sockets
        self._admin: AdminSocket | None = None
        self._web: WebServer | None = None

    async def start(self) -> None:
        from clawdbox.admin import AdminSocket
        from clawdbox.web.server import WebServer

        web = WebServer(self._box, self._sockets)
        await web.start()
        self._web = web
        self._admin = AdminSocket(self._box)
        await self._admin.start()
        found = running.Running(os.getpid(), web.port, self._box.address, os.fspath(self._admin.path))
        running.write(self._box.data_dir, found)

    async def wait(self, asked_to_stop: asyncio.Event) -> bool:
        """Until someone asks for the end; whether the web server gave up before that."""
        assert self._web is not None
        asked = asyncio.create_task(asked_to_stop.wait())
        await asyncio.wait({asked, self._web.ended}, return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()
        return not asked_to_stop.is_set()

    async def stop(self) -> None:
        """New requests end first, the box last; box.json goes at once, so that nobody is sent here any more."""
        running.remove(self._box.data_dir)
        self._box.stopping.set()
        if self._admin:
            await self._admin.stop()
        if self._web:
            await self._web.stop()
        await self._box.stop()


def _listen_to_signals() -> asyncio.Event:
    """The first SIGTERM or SIGINT asks for the end; the second one is the end."""
    asked = asyncio.Event()

    def hear(number: int) -> None:
        if asked.is_set():
            os._exit(128 + number)
        asked.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, hear, number)
    return asked


async def _stop_in_time(served: Served) -> None:
    """What is not done by then is lost no worse than by a crash, and the next start settles it."""
    try:
        await asyncio.wait_for(served.stop(), _STOP_S)
    except TimeoutError:
        exits.complain(f"The box did not stop within {_STOP_S:.0f} seconds and is ended.")
        sys.stdout.flush()
        os._exit(exits.FAILED)


async def _greet(start: Start, box: "Box") -> None:
    """Links and words are for a person's eyes: a journal keeps what it gets."""
    from clawdbox.events.model import SYSTEM

    on_terminal = sys.stdout.isatty()
    click.echo(welcome.text(await _welcome(start, box, on_terminal or start.show_pairing)))
    if on_terminal and box.recovery.pending:
        click.echo(welcome.words(await box.recovery.reveal(), demo=start.demo))
        sys.stdout.flush()
        await box.recovery.confirm(SYSTEM)


async def _welcome(start: Start, box: "Box", with_pairing: bool) -> welcome.Welcome:
    from clawdbox import admin, net

    links = admin.reach(box)
    lan = net.lan_address()
    flags = paths.flags(start.data_dir, start.demo)
    return welcome.Welcome(
        version=__version__,
        address=links.address,
        phone=links.phone,
        lan=f"http://{lan}:{box.own_port}" if lan and box.settings.port else None,
        serve=_same_again(start),
        pair=f"{paths.program()} pair{flags}",
        demo=box.settings.demo,
        pairing=await _pairing(box) if with_pairing else None,
    )


async def _pairing(box: "Box") -> welcome.Pairing | None:
    from clawdbox import admin
    from clawdbox.cli import qr, tables
    from clawdbox.errors import Conflict

    try:
        made = await admin.pair(box, admin.OfAccount())
    except Conflict:  # the owner is disabled; another one signs in with `clawdbox pair --account`
        return None
    return welcome.Pairing(made["url"], tables.when(made["expires_at"]) or "", qr.lines(made["url"]))


def _same_again(start: Start) -> list[str]:
    """The words of this command, but for --host and --public-url."""
    given = [paths.program(), "serve"]
    if start.demo:
        given.append("--demo")
    if start.data_dir != paths.folder(None, start.demo):
        given += ["--data-dir", str(start.data_dir)]
    if start.flags.get("port") is not None:
        given += ["--port", str(start.flags["port"])]
    if start.flags.get("allow_loopback"):
        given.append("--allow-loopback")
    return given
