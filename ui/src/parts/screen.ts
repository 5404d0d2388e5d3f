import type { FitAddon } from '@xterm/addon-fit'
import type { Terminal } from '@xterm/xterm'
import { arrow, withModifiers, type Arrow, type Modifiers } from '../logic/key-bytes.ts'

const none: Modifiers = { ctrl: false, alt: false }

/** xterm.js as the rest of the app sees it. It is loaded on first use: it weighs more than everything else together. */
export class Screen {
  ontype: (text: string) => void = () => {}
  onsize: (cols: number, rows: number) => void = () => {}
  replaying: () => boolean = () => false
  /** The sticky keys of the key bar, spent by the next character. */
  held: Modifiers = none
  onspent: () => void = () => {}
  private readonly term: Terminal
  private readonly fitter: FitAddon

  constructor(term: Terminal, fitter: FitAddon) {
    this.term = term
    this.fitter = fitter
    term.onData((data) => this.typed(data))
    term.onBinary((data) => this.ontype(data))
    this.answerOnlyLive()
  }

  write(bytes: Uint8Array, then: () => void): void {
    this.term.write(bytes, then)
  }

  /** A dim line of the page itself, between the bytes of the server. */
  note(text: string): void {
    this.term.write(`\r\n\x1b[0;2m── ${text} ──\x1b[0m\r\n`)
  }

  /** Takes the room there is, and tells the box when that is not the size it has. */
  fit(told = { cols: this.term.cols, rows: this.term.rows }): void {
    const room = this.fitter.proposeDimensions()
    if (!room || Number.isNaN(room.cols) || room.cols < 2) return
    this.term.resize(room.cols, room.rows)
    if (told.cols !== room.cols || told.rows !== room.rows) this.onsize(room.cols, room.rows)
  }

  /** Another device changed the size: show it as it is. */
  take(cols: number, rows: number): void {
    if (cols > 1 && rows > 0) this.term.resize(cols, rows)
  }

  press(key: string): void {
    this.spend(key)
  }

  pressArrow(direction: Arrow): void {
    const held = this.held
    this.release()
    this.ontype(arrow(direction, held, this.term.modes.applicationCursorKeysMode))
  }

  paste(text: string): void {
    this.term.paste(text)
    this.term.focus()
  }

  /** What stands on the screen and above it, as plain text that a phone can select. */
  text(lines = 500): string {
    const buffer = this.term.buffer.active
    const out: string[] = []
    for (let y = Math.max(0, buffer.length - lines); y < buffer.length; y++) {
      const line = buffer.getLine(y)
      if (line?.isWrapped && out.length) out[out.length - 1] += line.translateToString(true)
      else out.push(line?.translateToString(true) ?? '')
    }
    return out.join('\n').trimEnd()
  }

  scale(step: number): void {
    const size = Math.min(24, Math.max(8, (this.term.options.fontSize ?? 14) + step))
    this.term.options.fontSize = size
    keepFontSize(size)
    this.fit()
  }

  focus = (): void => this.term.focus()
  dispose = (): void => this.term.dispose()

  private typed(data: string): void {
    if (data.length === 1) this.spend(data)
    else this.ontype(data)
  }

  private spend(data: string): void {
    const held = this.held
    this.release()
    this.ontype(withModifiers(data, held))
  }

  private release(): void {
    if (this.held === none) return
    this.held = none
    this.onspent()
  }

  /** Questions to the terminal that stand in replayed output were answered long ago: answering again would type garbage. */
  private answerOnlyLive(): void {
    const swallow = () => this.replaying()
    const { parser } = this.term
    for (const final of ['c', 'n']) {
      for (const prefix of [undefined, '?', '>', '=']) parser.registerCsiHandler({ prefix, final }, swallow)
    }
    for (const prefix of [undefined, '?']) parser.registerCsiHandler({ prefix, intermediates: '$', final: 'p' }, swallow)
    parser.registerCsiHandler({ final: 't' }, swallow)
    parser.registerDcsHandler({ intermediates: '$', final: 'q' }, swallow)
    for (const code of [4, 10, 11, 12]) parser.registerOscHandler(code, (data) => data.includes('?') && this.replaying())
    // The server may not touch this device's clipboard, whatever an add-on would allow one day.
    parser.registerOscHandler(52, () => true)
  }
}

const fontKey = 'clawdbox.terminal-font'

export function fontSize(): number {
  try {
    return Number(localStorage.getItem(fontKey)) || (innerWidth < 600 ? 13 : 14)
  } catch {
    return 14
  }
}

function keepFontSize(size: number): void {
  try {
    localStorage.setItem(fontKey, String(size))
  } catch {
    // Storage is blocked: the size holds until the page is closed.
  }
}
