/** Text as a person would have seen it: escape sequences gone, `\r` and backspace obeyed, across chunk borders. */
export interface ScreenText {
  text: string
  carry: string
  /** Characters let go at the front, so that a flood does not fill the phone. */
  dropped: number
}

const keep = 200_000
const whole = /\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-OQ-WYZ\\`-~])/g
const unfinished = /(?:\x1b(?:\[[0-?]*[ -/]*|[\]PX^_][^\x07\x1b]*\x1b?|[ -/]*)?|\r)$/
const unseen = /[\x00-\x07\x0b\x0c\x0f-\x1f\x7f\u202a-\u202e\u2066-\u2069]/g
const eraseLine = /\x1b\[[012]?K/g
/** Stands for "erase from here" between the two steps; a real one is removed first. */
const eraser = '\x0e'

export function screenText(): ScreenText {
  return { text: '', carry: '', dropped: 0 }
}

export function write(screen: ScreenText, data: string): void {
  let input = (screen.carry + data.replaceAll(eraser, '')).replace(eraseLine, eraser).replace(whole, '')
  screen.carry = ''
  const open = unfinished.exec(input)
  if (open && open[0].length < 4096) {
    screen.carry = open[0]
    input = input.slice(0, open.index)
  }
  const lines = input.replaceAll('\r\n', '\n').replace(unseen, (c) => (c === '\r' ? c : ''))
  screen.text = /[\r\b\x0e]/.test(lines) ? overwrite(screen.text, lines) : screen.text + lines
  trim(screen)
}

function trim(screen: ScreenText): void {
  if (screen.text.length <= keep * 1.2) return
  const least = screen.text.length - keep
  const cut = screen.text.indexOf('\n', least) + 1 || least
  screen.dropped += cut
  screen.text = screen.text.slice(cut)
}

function overwrite(before: string, input: string): string {
  const start = before.lastIndexOf('\n') + 1
  const lines = (before.slice(start) + input).split('\n')
  return before.slice(0, start) + lines.map(settle).join('\n')
}

function settle(line: string): string {
  let text = ''
  let at = 0
  for (const piece of line.split(/([\r\x08\x0e])/)) {
    if (piece === '\r') at = 0
    else if (piece === '\b') at = Math.max(0, at - 1)
    else if (piece === eraser) text = text.slice(0, at)
    else {
      text = text.slice(0, at) + piece + text.slice(at + piece.length)
      at += piece.length
    }
  }
  return text
}
