"""What may be asked about what locks the box, and for a backup of it."""

from typing import TYPE_CHECKING, Literal

import msgspec

from clawdbox.admin.args import Answer, Args, Passphrase, Text
from clawdbox.errors import Conflict
from clawdbox.events.model import SYSTEM
from clawdbox.vault import SlotType

if TYPE_CHECKING:
    from clawdbox.app import Box

_SLICE_S = 0.5


class Rotate(Args, frozen=True):
    """`reveal` also answers the new recovery words, for a terminal."""

    passphrase: Passphrase | None = None
    reveal: bool = False


class Reveal(Args, frozen=True):
    reveal: bool = False


class Unlock(Args, frozen=True):
    passphrase: Passphrase


class WordsWritten(Args, frozen=True):
    words_id: Text


class AddSlot(Args, frozen=True):
    """A passphrase comes with its text; `os` is a host key in the keyring of the operating system."""

    kind: Literal["passphrase", "host", "os"]
    passphrase: Passphrase | None = None


class RemoveSlot(Args, frozen=True):
    kind: Literal["passphrase", "host", "recovery"]
    even_the_last: bool = False


# verbs


async def keyring_status(box: "Box", _args: Args) -> Answer:
    status: Answer = msgspec.to_builtins(box.keyring.status())
    resealing = msgspec.to_builtins(await box.rotation.progress())
    return {**status, "resealing": resealing, "recovery_words_pending": box.recovery.pending}


async def rotate_keyring(box: "Box", args: Rotate) -> Answer:
    """Begin a rotation, or go on with one; a running box goes on by itself, whoever asks or not."""
    begun = await box.rotation.begin(SYSTEM, args.passphrase)
    if not box.is_offline:
        box.rotation.continue_in_background()
    shown = await _shown_words(box) if begun and args.reveal else {}
    return {"begun": begun, **shown}


async def reseal_keyring(box: "Box", _args: Args) -> Answer:
    """Go on for a moment, and say how far it has come."""
    progress = await box.rotation.run(_SLICE_S)
    return {**msgspec.to_builtins(progress), "done": progress.is_done}


async def unlock(_box: "Box", _args: Unlock) -> Answer:
    """A box that waits for its passphrase answers this itself (`cli/locked.py`)."""
    raise Conflict("not_locked", "This box is open already.")


async def renew_words(box: "Box", args: Reveal) -> Answer:
    await box.recovery.renew(box.keyring.renew_recovery)
    await box.store.write(lambda tx: box.ledger.audit(tx, SYSTEM, "recovery_words.renew"))
    return await _shown_words(box) if args.reveal else {}


async def words_written(box: "Box", args: WordsWritten) -> Answer:
    await box.recovery.confirm_these(SYSTEM, args.words_id)
    return {}


async def add_slot(box: "Box", args: AddSlot) -> Answer:
    if args.kind != "passphrase":
        return {"where": await box.slots.set_host_key(SYSTEM, in_os=args.kind == "os")}
    await box.slots.set_passphrase(SYSTEM, args.passphrase or "")
    return {"where": "a passphrase"}


async def remove_slot(box: "Box", args: RemoveSlot) -> Answer:
    await box.slots.remove(SYSTEM, SlotType(args.kind), even_the_last=args.even_the_last)
    return {}


async def make_backup(box: "Box", _args: Args) -> Answer:
    """A file in the box's own folder, for who asked to take away: this box may not be let to write anywhere else."""
    made = await box.backups.make_to_take(SYSTEM)
    return {"id": made.id, "path": str(made.path), "size": made.size}


async def _shown_words(box: "Box") -> Answer:
    """For the terminal that asks, over a socket that is its user's alone."""
    return {"words": await box.recovery.reveal(), "words_id": box.recovery.words_id}
