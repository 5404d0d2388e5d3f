/** Pieces of a line of markdown. HTML, images and whatever is not understood stay text. */
export type Inline =
  | { kind: 'plain'; text: string }
  | { kind: 'code'; text: string }
  | { kind: 'strong' | 'em' | 'gone'; inner: Inline[] }
  | { kind: 'link'; text: string; href: string }

type Pair = { mark: string; kind: 'strong' | 'em' | 'gone'; word: boolean }
/** The longer mark first. `word`: inside of words it stands for itself, as in `a_file_name`; so does `__`, as in `__init__.py`. */
const pairs: Pair[] = [
  { mark: '**', kind: 'strong', word: false },
  { mark: '~~', kind: 'gone', word: false },
  { mark: '*', kind: 'em', word: false },
  { mark: '_', kind: 'em', word: true },
]
const named = /!?\[([^[\]\n]{1,300})\]\((https?:\/\/[^\s()<>]{1,2000})\)/y
const bare = /https?:\/\/[^\s<>"'`|]{1,2000}/y
const letter = /[\p{L}\p{N}]/u
const deepest = 4

export const inline = (line: string): Inline[] => pieces(line, 0)

/** One pass: a mark that found no partner once is not looked for again, so that no text takes long. */
function pieces(line: string, depth: number): Inline[] {
  const found: Inline[] = []
  const alone = new Set<string>()
  let plain = ''
  let at = 0
  const put = (piece: Inline, to: number) => {
    if (plain) found.push({ kind: 'plain', text: plain })
    plain = ''
    found.push(piece)
    at = to
  }
  while (at < line.length) {
    const c = line[at]!
    if (c === '\\' && /[!-/:-@[-`{-~]/.test(line[at + 1] ?? '')) {
      plain += line[at + 1]
      at += 2
      continue
    }
    const piece = c === '`' ? code(line, at, alone) : (link(line, at) ?? (depth < deepest ? weight(line, at, alone, depth) : null))
    if (piece) put(...piece)
    else plain += line[at++]
  }
  if (plain) found.push({ kind: 'plain', text: plain })
  return found
}

type Found = [Inline, number] | null

function code(line: string, at: number, alone: Set<string>): Found {
  let end = at
  while (line[end] === '`') end++
  const mark = line.slice(at, end)
  if (alone.has(mark)) return null
  const close = line.indexOf(mark, end)
  if (close < 0) alone.add(mark)
  if (close <= end) return null
  const text = line.slice(end, close)
  return [{ kind: 'code', text: text.startsWith(' ') && text.endsWith(' ') && text.trim() ? text.slice(1, -1) : text }, close + mark.length]
}

function weight(line: string, at: number, alone: Set<string>, depth: number): Found {
  const pair = pairs.find((p) => line.startsWith(p.mark, at))
  if (!pair || alone.has(pair.mark)) return null
  const start = at + pair.mark.length
  const [before, next] = [line[at - 1] ?? ' ', line[start] ?? ' ']
  if (/\s/.test(next) || (pair.word && (letter.test(before) || before === '_' || next === '_'))) return null
  const close = closing(line, start, pair)
  if (close < 0) alone.add(pair.mark)
  if (close <= start) return null
  return [{ kind: pair.kind, inner: pieces(line.slice(start, close), depth + 1) }, close + pair.mark.length]
}

function closing(line: string, from: number, { mark, word }: Pair): number {
  for (let at = line.indexOf(mark, from + 1); at >= 0; at = line.indexOf(mark, at + mark.length)) {
    const after = line[at + mark.length] ?? ' '
    const longer = mark.length === 1 && (after === mark || line[at - 1] === mark)
    if (!/\s/.test(line[at - 1]!) && !longer && !(word && letter.test(after))) return at
  }
  return -1
}

function link(line: string, at: number): Found {
  if (line[at] === '[' || (line[at] === '!' && line[at + 1] === '[')) {
    named.lastIndex = at
    const found = named.exec(line)
    return found && [{ kind: 'link', text: found[1]!, href: found[2]! }, named.lastIndex]
  }
  if (line[at] !== 'h' || letter.test(line[at - 1] ?? '')) return null
  bare.lastIndex = at
  const found = bare.exec(line)
  if (!found) return null
  const href = found[0].replace(/[.,;:!?)\]*_]{1,20}$/, '')
  return [{ kind: 'link', text: '', href }, at + href.length]
}

/** Where a link leads, as a person has to see it: never by its text alone. */
export function host(href: string): string {
  try {
    return new URL(href).host
  } catch {
    return href
  }
}
