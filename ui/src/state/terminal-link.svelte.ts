import { Live, type LinkState, type Said } from '../live.ts'
import { terminalEnd } from '../logic/session-words.ts'
import { size, unframe } from '../logic/bytes.ts'
import { uuid } from '../logic/ids.ts'
import { TerminalBook, type Gap, type Hello } from '../logic/terminal-book.ts'
import type { Terminal } from '../nouns/sessions.ts'
import { leave } from './box.svelte.ts'
import type { Screen } from '../parts/screen.ts'

export interface End {
  exit: number | null
  reason: string
}

/** A large paste goes in pieces: the box takes frames of at most 256 KiB. */
const portion = 16 * 1024
/** Further behind than this, a page skips to the newest part: more than its scrollback holds is nothing to wait for. */
const most = 2 * 1024 * 1024
/** What "Show earlier output" goes back: less than `most`, and as many lines as a phone's memory bears. */
const reach = 1.5 * 1024 * 1024
const manyLines = 20_000
const patience = 5_000
type Greeting = Hello & { cols: number; rows: number; yours: boolean | null; device: string | null; away: boolean; may_type: boolean; state: string }
const reasons: Record<number, string> = {
  4400: 'this page and the box do not understand each other: reload the page',
  4403: 'this login may not use it',
  4404: 'the box no longer has it',
}

const missing = 'of output are missing here: the box no longer has them'
const skipped = 'skipped here: this device could not keep up'
const earlier = 'before this are not shown'

/** Ties one terminal of the box to the screen of this page, over as many sockets as it takes. */
export class TerminalLink {
  link = $state<LinkState>('connecting')
  end = $state.raw<End | null>(null)
  waiting = $state(0)
  /** Whose size the terminal has: this page's (true), another device's (false), nobody's (null). */
  yours = $state<boolean | null>(null)
  /** The name of the device that has the size. */
  device = $state<string | null>(null)
  /** The top of what is shown is on the screen, and the box still keeps what came before. */
  earlier = $state(false)
  loading = $state(false)
  /** The server of a kept terminal is out of reach. */
  away = $state(false)
  mayType = $state(true)
  /** Watching by choice: this page asked for no right to type. */
  watching = $state(false)
  private readonly book = new TerminalBook()
  private readonly live: Live
  private readonly screen: Screen
  private keptFrom = 0
  private widened = false
  private deaf = false
  /** While earlier output comes: how many lines below the screen there were before. */
  private below: number | null = null
  private age = 0
  private soon: ReturnType<typeof setTimeout> | undefined

  constructor(terminal: Terminal, screen: Screen) {
    const client = uuid()
    this.screen = screen
    screen.replaying = () => this.book.rendered < this.book.replayEnd
    screen.onview = () => (this.earlier = this.hasEarlier())
    screen.ontype = this.type
    screen.onsize = (cols, rows) => this.mayType && this.live.send({ type: 'resize', cols, rows })
    this.live = new Live({
      path: () => `${terminal.attach_path}?${this.book.resume()}client=${client}&most=${most}${this.watching ? '&view=1' : ''}`,
      onState: (state) => (this.link = state),
      onText: (message) => this.said(message),
      onBinary: (data) => this.output(data),
      onEnd: (code) => this.over(code),
    })
  }

  type = (text: string): void => {
    if (this.end || !this.mayType) return
    const bytes = new TextEncoder().encode(text)
    for (let at = 0; at < bytes.length; at += portion) this.send(this.book.type(bytes.slice(at, at + portion)))
    this.waiting = this.book.waiting
  }

  /** Shows again from further back: a new socket whose output begins there, on an empty screen. */
  showEarlier = (): void => {
    if (!this.earlier || this.deaf) return
    this.deaf = true
    this.screen.settled(() => {
      this.deaf = this.earlier = false
      if (this.end) return
      this.below = this.screen.below
      this.screen.restart(manyLines)
      this.widened = true
      this.age += 1
      this.book.rewind(Math.max(this.keptFrom, this.book.next! - reach))
      if (this.book.begin > 0) this.screen.note(`${size(this.book.begin)} ${earlier}`)
      this.loading = true
      setTimeout(() => (this.loading = false), patience)
      this.live.retry()
    })
  }

  retry = (): void => this.live.retry()

  takeSize = (): void => {
    const room = this.screen.room()
    if (room) this.live.send({ type: 'resize', ...room, take: true })
  }

  /** Looks on without a right to type, or types again: a new socket either way. */
  watch = (on: boolean): void => {
    this.watching = on
    this.live.retry()
  }

  stop(): void {
    clearTimeout(this.soon)
    this.live.close()
  }

  /** While the terminal is away the box takes nothing: it is sent once it is back. */
  private send(frame: Uint8Array<ArrayBuffer>): void {
    if (!this.away) this.live.send(frame)
  }

  private said(m: Said): void {
    if (m.type === 'hello') this.hello(m as unknown as Greeting)
    if (m.type === 'gap' && m.to === null) this.screen.note('what this terminal wrote from here on is no longer kept')
    else if (m.type === 'gap') this.gap(this.book.gap(Number(m.from), Number(m.to)), m.kept ? skipped : undefined)
    if (m.type === 'ack') this.book.ack(Number(m.seq))
    if (m.type === 'size') this.sized(m as unknown as Greeting)
    if (m.type === 'away') this.moved(Boolean(m.away), Number(m.input_seq))
    if (m.type === 'ended') this.end = { exit: (m.exit_status as number | null) ?? null, reason: terminalEnd(String(m.end_reason ?? '')) }
    this.waiting = this.book.waiting
  }

  private hello(hello: Greeting): void {
    this.mayType = hello.may_type || hello.state === 'ended'
    this.away = hello.away
    this.keptFrom = hello.start_offset
    const { gap, resend } = this.book.hello(hello)
    this.gap(gap, hello.offset! > hello.start_offset ? earlier : undefined)
    if (hello.may_type) for (const frame of resend) this.send(frame)
    this.sized(hello)
    if (hello.yours === false) this.screen.tellRoom()
  }

  private sized({ cols, rows, yours, device }: Greeting): void {
    this.yours = yours
    this.device = device
    if (yours === false || !this.mayType) this.screen.show(cols, rows)
    else this.screen.own(yours === null)
  }

  private moved(away: boolean, taken: number): void {
    this.away = away
    if (away) return
    this.book.ack(taken)
    for (const frame of this.book.unsent()) this.live.send(frame)
  }

  private output(data: ArrayBuffer): void {
    if (this.deaf) return
    const { number, bytes } = unframe(data)
    const fresh = this.book.receive(number, bytes)
    this.gap(fresh.gap)
    if (!fresh.bytes.length) return
    const age = this.age
    this.screen.write(this.whole(number, fresh.bytes), () => {
      if (age !== this.age) return
      this.report(this.book.wrote(fresh.bytes.length))
      this.caughtUp()
      clearTimeout(this.soon)
      this.soon = setTimeout(() => this.report(this.book.wrote(0, true)), 400)
    })
  }

  private hasEarlier(): boolean {
    return !this.widened && !this.end && this.link === 'open' && this.screen.atTop && (this.book.begin > this.keptFrom || this.screen.isFull)
  }

  /** Half a line at the place to which a person went back may be half an escape sequence, too. */
  private whole(offset: number, bytes: Uint8Array): Uint8Array {
    const midway = this.widened && offset === this.book.begin && offset > this.keptFrom
    return midway ? bytes.subarray(bytes.indexOf(10) + 1) : bytes
  }

  private caughtUp(): void {
    if (this.below === null || this.book.rendered < this.book.replayEnd) return
    this.screen.scrollTo(this.below)
    this.below = null
    this.loading = false
  }

  private report(offset: number | null): void {
    if (offset !== null) this.live.send({ type: 'received', offset })
  }

  private gap(gap: Gap | null, words = missing): void {
    if (gap) this.screen.note(`${size(gap.to - gap.from)} ${words}`)
  }

  private over(code: number): void {
    if (code === 4401) return leave()
    this.end ??= { exit: null, reason: reasons[code] ?? '' }
  }
}
