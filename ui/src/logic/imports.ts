import type { ImportRow } from '../nouns/imports.ts'

/** Which of two pasted or dropped files it is. Lines of known_hosts hold a key's type in their second or third word. */
export function kindOf(text: string, name = ''): 'config' | 'known_hosts' {
  if (/known_hosts/i.test(name)) return 'known_hosts'
  if (/config/i.test(name)) return 'config'
  const lines = text.split('\n').map((line) => line.trim()).filter((line) => line && !line.startsWith('#'))
  const keys = lines.filter((line) => /^(@\S+\s+)?\S+\s+(ssh-|ecdsa-|sk-)\S+\s+AAAA/.test(line)).length
  return keys > lines.length / 2 ? 'known_hosts' : 'config'
}

/** What is ticked at first: what can be saved, is not there already, and is no jump host that comes along by itself. */
export const chosenAtFirst = (rows: ImportRow[]): string[] =>
  rows.filter((row) => !row.problem && !row.same_as && !row.implied).map((row) => row.name)

/** Everything that is saved when these rows are: their jump hosts come along, unless they are there already. */
export function saved(rows: ImportRow[], chosen: string[]): Set<string> {
  const byName = new Map(rows.map((row) => [row.name, row]))
  const found = new Set<string>()
  for (const name of chosen) {
    let row = byName.get(name)
    while (row && !found.has(row.name)) {
      if (row.same_as && !chosen.includes(row.name)) break
      found.add(row.name)
      row = row.jump ? byName.get(row.jump) : undefined
    }
  }
  return found
}
