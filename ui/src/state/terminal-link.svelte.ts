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
const reasons: Record<number, string> = {
  4400: 'this page and the box do not understand each other: reload the page',
  4403: 'this login may not use it',
  4404: 'the box no longer has it',
}

/** Ties one terminal of the box to the screen of this page, over as many sockets as it takes. */
export class TerminalLink {
  link = $state<LinkState>('connecting')
  end = $state.raw<End | null>(null)
  waiting = $state(0)
  private readonly book = new TerminalBook()
  private readonly live: Live
  private readonly screen: Screen
  private soon: ReturnType<typeof setTimeout> | undefined

  constructor(terminal: Terminal, screen: Screen) {
    const client = uuid()
    this.screen = screen
    screen.replaying = () => this.book.rendered < this.book.replayEnd
    screen.ontype = this.type
    screen.onsize = (cols, rows) => this.live.send({ type: 'resize', cols, rows })
    this.live = new Live({
      path: () => `${terminal.attach_path}?${this.book.resume()}client=${client}`,
      onState: (state) => (this.link = state),
      onText: (message) => this.said(message),
      onBinary: (data) => this.output(data),
      onEnd: (code) => this.over(code),
    })
  }

  type = (text: string): void => {
    if (this.end) return
    const bytes = new TextEncoder().encode(text)
    for (let at = 0; at < bytes.length; at += portion) this.live.send(this.book.type(bytes.slice(at, at + portion)))
    this.waiting = this.book.waiting
  }

  retry = (): void => this.live.retry()

  stop(): void {
    clearTimeout(this.soon)
    this.live.close()
  }

  private said(m: Said): void {
    if (m.type === 'hello') this.hello(m as unknown as Hello & { cols: number; rows: number })
    if (m.type === 'gap' && m.to === null) this.screen.note('what this terminal wrote from here on is no longer kept')
    else if (m.type === 'gap') this.gap(this.book.gap(Number(m.from), Number(m.to)))
    if (m.type === 'ack') this.book.ack(Number(m.seq))
    if (m.type === 'size') this.screen.take(Number(m.cols), Number(m.rows))
    if (m.type === 'ended') this.end = { exit: (m.exit_status as number | null) ?? null, reason: terminalEnd(String(m.end_reason ?? '')) }
    this.waiting = this.book.waiting
  }

  private hello(hello: Hello & { cols: number; rows: number }): void {
    const { gap, resend } = this.book.hello(hello)
    this.gap(gap)
    for (const frame of resend) this.live.send(frame)
    this.screen.fit(hello)
  }

  private output(data: ArrayBuffer): void {
    const { number, bytes } = unframe(data)
    const fresh = this.book.receive(number, bytes)
    this.gap(fresh.gap)
    if (!fresh.bytes.length) return
    this.screen.write(fresh.bytes, () => {
      this.report(this.book.wrote(fresh.bytes.length))
      clearTimeout(this.soon)
      this.soon = setTimeout(() => this.report(this.book.wrote(0, true)), 400)
    })
  }

  private report(offset: number | null): void {
    if (offset !== null) this.live.send({ type: 'received', offset })
  }

  private gap(gap: Gap | null): void {
    if (gap) this.screen.note(`${size(gap.to - gap.from)} of output are missing here: the box no longer has them`)
  }

  private over(code: number): void {
    if (code === 4401) return leave()
    this.end ??= { exit: null, reason: reasons[code] ?? '' }
  }
}
