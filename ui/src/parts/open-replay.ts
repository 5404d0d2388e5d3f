import type { Terminal } from '@xterm/xterm'
import type { Step } from '../logic/playback.ts'
import { colours, follow } from './open-screen.ts'
import './terminal-sheet.ts'

/** A screen that only shows: what a server wrote long ago is answered by nobody, and touches nothing of this device. */
export class Replay {
  private readonly term: Terminal
  private readonly host: HTMLElement
  private readonly cols: number
  private readonly rows: number

  constructor(term: Terminal, host: HTMLElement, cols: number, rows: number) {
    this.term = term
    this.host = host
    this.cols = cols
    this.rows = rows
  }

  show(step: Step): void {
    if (step.anew) this.later(() => this.begin())
    let text = ''
    const flush = () => {
      if (text) this.term.write(text)
      text = ''
    }
    for (const piece of step.pieces) {
      if (piece.kind === 'o') text += piece.text
      if (piece.kind === 'r') {
        flush()
        this.later(() => this.resize(piece.cols, piece.rows))
      }
    }
    flush()
  }

  /** The letters as large as the width of the page allows. */
  fit(): void {
    const room = this.host.clientWidth - 16
    const size = Math.floor((room / (this.term.cols * this.letter())) * 2) / 2
    this.term.options.fontSize = Math.min(16, Math.max(6, size))
  }

  text(): string {
    const buffer = this.term.buffer.active
    const lines = Array.from({ length: buffer.length }, (_, y) => buffer.getLine(y)?.translateToString(true) ?? '')
    return lines.join('\n').trimEnd()
  }

  dispose = (): void => this.term.dispose()

  private begin(): void {
    this.term.reset()
    this.resize(this.cols, this.rows)
  }

  private resize(cols: number, rows: number): void {
    this.term.resize(Math.max(2, cols), rows)
    this.fit()
  }

  /** In its turn between the pieces that are being shown. */
  private later(then: () => void): void {
    this.term.write('', then)
  }

  private letter(): number {
    const pen = document.createElement('canvas').getContext('2d')
    if (!pen) return 0.61
    pen.font = `100px ${this.term.options.fontFamily ?? 'monospace'}`
    return pen.measureText('W').width / 100 || 0.61
  }
}

export async function openReplay(host: HTMLElement, cols: number, rows: number): Promise<Replay> {
  const [{ Terminal }] = await Promise.all([import('@xterm/xterm'), import('@xterm/xterm/css/xterm.css')])
  const term = new Terminal({
    cols: Math.max(2, cols),
    rows,
    theme: colours,
    fontFamily: getComputedStyle(host).getPropertyValue('--mono'),
    scrollback: 5000,
    disableStdin: true,
    cursorBlink: false,
    allowProposedApi: false,
    linkHandler: { activate: (_, link) => follow(link) },
  })
  term.parser.registerOscHandler(52, () => true)
  term.open(host)
  if (term.textarea) {
    term.textarea.tabIndex = -1
    term.textarea.setAttribute('aria-hidden', 'true')
  }
  const replay = new Replay(term, host, cols, rows)
  replay.fit()
  return replay
}
