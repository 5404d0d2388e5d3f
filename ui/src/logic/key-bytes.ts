export interface Modifiers {
  ctrl: boolean
  alt: boolean
}

/** What the terminal sends for `data` while the sticky Ctrl or Alt of the key bar is held. */
export function withModifiers(data: string, held: Modifiers): string {
  let out = data
  if (held.ctrl && data.length === 1) out = control(data)
  return held.alt ? `\x1b${out}` : out
}

function control(character: string): string {
  const code = character.toUpperCase().charCodeAt(0)
  if (character === ' ') return '\0'
  if (character === '?') return '\x7f'
  return code >= 64 && code <= 95 ? String.fromCharCode(code & 31) : character
}

const arrows = { up: 'A', down: 'B', right: 'C', left: 'D' }
export type Arrow = keyof typeof arrows

/** An arrow key as a terminal sends it; `application` is the cursor mode of editors and pagers. */
export function arrow(direction: Arrow, held: Modifiers, application: boolean): string {
  const modifier = 1 + (held.alt ? 2 : 0) + (held.ctrl ? 4 : 0)
  if (modifier > 1) return `\x1b[1;${modifier}${arrows[direction]}`
  return `\x1b${application ? 'O' : '['}${arrows[direction]}`
}
