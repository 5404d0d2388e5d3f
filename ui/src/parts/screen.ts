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
  /** Something was scrolled or written. */
  onview: () => void = () => {}
  private foreign: { cols: number; rows: number } | null = null
  private readonly term: Terminal
  private readonly fitter: FitAddon

  constructor(term: Terminal, fitter: FitAddon) {
    this.term = term
    this.fitter = fitter
    term.onData((data) => this.typed(data))
    term.onBinary((data) => this.ontype(data))
    term.onScroll(() => this.onview())
    term.onWriteParsed(() => this.onview())
    this.answerOnlyLive()
  }

  write(bytes: Uint8Array, then: () => void): void {
    this.term.write(bytes, then)
  }

  /** A dim line of the page itself, between the bytes of the server. */
  note(text: string): void {
    this.term.write(`\r\n\x1b[0;2m── ${text} ──\x1b[0m\r\n`)
  }

  /** Whether the first line there is stands on the screen. */
  get atTop(): boolean {
    const { type, viewportY } = this.term.buffer.active
    return type === 'normal' && viewportY === 0
  }

  /** Whether lines at the top were let go for new ones. */
  get isFull(): boolean {
    const { scrollback = 0 } = this.term.options
    return this.term.buffer.normal.length >= scrollback + this.term.rows
  }

  /** How many lines are below what is on the screen. */
  get below(): number {
    const { baseY, viewportY } = this.term.buffer.normal
    return baseY - viewportY
  }

  /** After all that was written so far. */
  settled(then: () => void): void {
    this.term.write('', then)
  }

  /** Empty, and with room for more lines than a page usually keeps. */
  restart(lines: number): void {
    this.term.reset()
    this.term.options.scrollback = lines
  }

  scrollTo(below: number): void {
    this.term.scrollToLine(Math.max(0, this.term.buffer.normal.baseY - below))
  }

  /** Takes the room there is, and tells the box when that is another size than before. */
  fit(tell = false): void {
    if (this.foreign) return this.letterbox(this.foreign)
    const { cols, rows } = this.term
    const room = this.room()
    if (!room) return
    this.term.resize(room.cols, room.rows)
    if (tell || cols !== room.cols || rows !== room.rows) this.onsize(room.cols, room.rows)
  }

  /** How many characters this page has room for, in the size of letters that its person chose. */
  room(): { cols: number; rows: number } | null {
    this.letters(fontSize())
    const room = this.fitter.proposeDimensions()
    if (!room || Number.isNaN(room.cols) || room.cols < 2) return null
    lastRoom = { cols: room.cols, rows: room.rows }
    return lastRoom
  }

  /** The size is this page's, or nobody's and to be had. */
  own(tell: boolean): void {
    this.foreign = null
    this.fit(tell)
  }

  /** Another device has the size: show it whole, with smaller letters where that is needed. */
  show(cols: number, rows: number): void {
    if (cols < 2 || rows < 1) return
    this.foreign = { cols, rows }
    this.letterbox(this.foreign)
  }

  /** The box keeps in mind what size this page would have, for when it types. */
  tellRoom(): void {
    const room = this.room()
    if (room) this.onsize(room.cols, room.rows)
    if (this.foreign) this.letterbox(this.foreign)
  }

  private letterbox({ cols, rows }: { cols: number; rows: number }): void {
    const room = this.room()
    if (room) {
      const share = Math.min(1, room.cols / cols, room.rows / rows)
      this.letters(Math.max(smallest, Math.floor(fontSize() * share * 2) / 2))
    }
    this.term.resize(cols, rows)
  }

  private letters(size: number): void {
    if (this.term.options.fontSize !== size) this.term.options.fontSize = size
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
    keepFontSize(Math.min(24, Math.max(8, fontSize() + step)))
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

const smallest = 5
/** What a terminal had room for on this page last; a new one is opened in that size. */
export let lastRoom = { cols: 80, rows: 24 }
const fontKey = 'clawdbox.terminal-font'

let chosen = 0

export function fontSize(): number {
  try {
    chosen ||= Number(localStorage.getItem(fontKey))
  } catch {
    // Storage is blocked: the size holds until the page is closed.
  }
  return chosen || (innerWidth < 600 ? 13 : 14)
}

function keepFontSize(size: number): void {
  chosen = size
  try {
    localStorage.setItem(fontKey, String(size))
  } catch {
    // Storage is blocked: the size holds until the page is closed.
  }
}
