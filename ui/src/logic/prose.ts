import { inline, type Inline } from './inline.ts'

export interface Item {
  /** What stands before it: "•", or its number as it was written. */
  mark: string
  level: number
  /** A box that is ticked or not; null for none. */
  done: boolean | null
  lines: Inline[][]
}
export type Block =
  | { kind: 'paragraph'; lines: Inline[][] }
  | { kind: 'heading'; level: number; text: Inline[] }
  | { kind: 'list'; items: Item[] }
  | { kind: 'code'; language: string; text: string }
  | { kind: 'quote'; blocks: Block[] }
  | { kind: 'table'; head: Inline[][]; rows: Inline[][][] }
  | { kind: 'rule' }

const fence = /^( *)(`{3,}|~{3,})\s*([\w+#.-]*)/
const item = /^(\s*)([-*+]|\d{1,9}[.)])\s+(?:\[([ xX])\]\s+)?(.*)$/
const heading = /^ {0,3}(#{1,6})\s+(.*)$/
const deepest = 3

/** The markdown that agents write, as blocks. Nothing in it becomes HTML; what is not understood stays text. */
export function prose(text: string, depth = 0): Block[] {
  const lines = text.replaceAll('\r\n', '\n').split('\n')
  const blocks: Block[] = []
  for (let at = 0; at < lines.length; ) at = block(lines, at, blocks, depth)
  return blocks
}

/** Takes the block that begins at `at`; answers where the next one does. */
function block(lines: string[], at: number, blocks: Block[], depth: number): number {
  const line = lines[at]!
  if (!line.trim()) return at + 1
  if (fence.test(line)) return code(lines, at, blocks)
  const title = heading.exec(line)
  if (title) {
    blocks.push({ kind: 'heading', level: title[1]!.length, text: inline(title[2]!.trim()) })
    return at + 1
  }
  if (isRule(line)) {
    blocks.push({ kind: 'rule' })
    return at + 1
  }
  if (isTable(lines, at)) return table(lines, at, blocks)
  if (item.test(line)) return list(lines, at, blocks)
  if (isQuote(line) && depth < deepest) return quote(lines, at, blocks, depth)
  return paragraph(lines, at, blocks)
}

function code(lines: string[], at: number, blocks: Block[]): number {
  const [, indent, mark, language] = fence.exec(lines[at]!)!
  let end = at + 1
  while (end < lines.length && !closes(lines[end]!.trim(), mark!)) end++
  const body = lines.slice(at + 1, end)
  // One that is still being written has no end yet.
  if (end === lines.length && body.at(-1) === '') body.pop()
  const text = body.map((line) => (line.startsWith(indent!) ? line.slice(indent!.length) : line.trimStart())).join('\n')
  blocks.push({ kind: 'code', language: language!, text })
  return end + 1
}

const closes = (line: string, mark: string): boolean => line.startsWith(mark) && !line.replaceAll(mark[0]!, '')

function list(lines: string[], at: number, blocks: Block[]): number {
  const items: Item[] = []
  const steps: number[] = []
  for (; at < lines.length; at++) {
    const line = lines[at]!
    const found = item.exec(line)
    if (found && !isRule(line)) {
      items.push({ mark: bullet(found[2]!), level: level(steps, found[1]!.length), done: found[3] ? found[3] !== ' ' : null, lines: [inline(found[4]!)] })
    } else if (line.trim() && /^\s{2,}/.test(line) && !fence.test(line)) {
      items.at(-1)!.lines.push(inline(line.trim()))
    } else if (line.trim() || !item.test(lines[at + 1] ?? '')) break
  }
  blocks.push({ kind: 'list', items })
  return at
}

const bullet = (mark: string): string => (/\d/.test(mark) ? mark.replace(')', '.') : '•')

/** How deep an item lies, by the indents of those it lies in. */
function level(steps: number[], indent: number): number {
  while (steps.length && indent < steps.at(-1)!) steps.pop()
  if (!steps.length || indent > steps.at(-1)! + 1) steps.push(indent)
  return steps.length - 1
}

const isQuote = (line: string): boolean => /^ {0,3}>/.test(line)

function quote(lines: string[], at: number, blocks: Block[], depth: number): number {
  let end = at
  while (end < lines.length && isQuote(lines[end]!)) end++
  const inside = lines.slice(at, end).map((line) => line.replace(/^ {0,3}> ?/, ''))
  blocks.push({ kind: 'quote', blocks: prose(inside.join('\n'), depth + 1) })
  return end
}

function isRule(line: string): boolean {
  const marks = line.replaceAll(' ', '')
  return marks.length > 2 && '-*_'.includes(marks[0]!) && !marks.replaceAll(marks[0]!, '')
}

function isTable(lines: string[], at: number): boolean {
  const below = lines[at + 1] ?? ''
  return lines[at]!.includes('|') && below.includes('-') && below.includes('|') && /^[\s|:-]+$/.test(below)
}

function table(lines: string[], at: number, blocks: Block[]): number {
  let end = at + 2
  while (end < lines.length && lines[end]!.includes('|')) end++
  const [head, ...rows] = [lines[at]!, ...lines.slice(at + 2, end)].map(cells)
  blocks.push({ kind: 'table', head: head!, rows: rows.map((row) => head!.map((_, i) => row[i] ?? [])) })
  return end
}

function cells(line: string): Inline[][] {
  const inside = line.trim().replace(/^\|/, '').replace(/\|$/, '')
  return inside.split('|').map((cell) => inline(cell.trim()))
}

function paragraph(lines: string[], at: number, blocks: Block[]): number {
  let end = at + 1
  while (end < lines.length && lines[end]!.trim() && !begins(lines, end)) end++
  blocks.push({ kind: 'paragraph', lines: lines.slice(at, end).map((line) => inline(line.trim())) })
  return end
}

const begins = (lines: string[], at: number): boolean =>
  fence.test(lines[at]!) || heading.test(lines[at]!) || item.test(lines[at]!) || isQuote(lines[at]!) || isRule(lines[at]!) || isTable(lines, at)
