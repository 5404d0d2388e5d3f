/** A piece of a command as a person must see it. `mark`: what it is, where it could deceive the eye. */
export interface Seen {
  text: string
  mark: string
}

const names: Record<string, string> = {
  '\0': 'NUL', '\t': '⇥', '\r': 'CR', '\x1b': 'ESC', '\b': 'BS', '\x07': 'BEL', '\x7f': 'DEL', '\u00a0': 'NBSP',
  '\u00ad': 'SHY', '\u200b': 'ZWSP', '\u200c': 'ZWNJ', '\u200d': 'ZWJ', '\u2060': 'WJ', '\ufeff': 'BOM', '\u2028': 'LS', '\u2029': 'PS',
}
/** Control characters, spaces that are none, marks that turn the direction, letters that look like others. */
const odd = /[\0-\x08\x0b-\x1f\x7f-\xa0\xad\u034f\u061c\u115f\u1160\u1680\u17b4\u17b5\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\u2800\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb]|[\u{e0000}-\u{e0fff}]/u
const lookalike = /[\p{Script=Cyrillic}\p{Script=Greek}\p{Script=Armenian}\p{Script=Cherokee}\uff01-\uff5e\u2010-\u2015\u2018-\u201f\u2024\u2044\u2215\u2223\u2236\u2212]|[\u{1d400}-\u{1d7ff}]/u
const line = /\n/
/** So many blanks push what follows them out of sight. */
const gap = / {40,}/
const gaps = /( {40,})/

/** A command in pieces: what it says, and every character that says something else than it seems to. */
export function visible(text: string): Seen[] {
  const seen: Seen[] = []
  for (const part of text.split(gaps)) {
    if (gap.test(part)) seen.push({ text: ' ', mark: `${part.length} blanks` })
    else pieces(part, seen)
  }
  return seen
}

function pieces(text: string, seen: Seen[]): void {
  for (const c of text) {
    const mark = markOf(c)
    const last = seen.at(-1)
    if (!mark && last && !last.mark) last.text += c
    else seen.push({ text: mark && !lookalike.test(c) ? '' : c, mark })
  }
}

function markOf(c: string): string {
  if (line.test(c)) return '↵'
  if (c === '\t') return '⇥'
  return odd.test(c) ? (names[c] ?? code(c)) : lookalike.test(c) ? code(c) : ''
}

const code = (c: string): string => `U+${c.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')}`

/** Says what an eye would not see in it; empty when there is nothing. A text may have lines, a `command` seldom has. */
export function warning(text: string, command = true): string {
  const found = new Set<string>()
  for (const c of text) {
    if (c === '\n' || c === '\t') continue
    if (odd.test(c)) found.add('characters that cannot be seen')
    else if (lookalike.test(c)) found.add('characters that look like others')
  }
  if (gap.test(text)) found.add('long rows of blanks')
  const lines = text.trimEnd().split('\n').length
  const what = [command && lines > 1 ? `${lines} lines` : '', ...found].filter(Boolean)
  return what.length ? `Look closely: ${what.join(' and ')}.` : ''
}
