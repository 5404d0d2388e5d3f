import type { Forward, Listening } from '../nouns/forwards.ts'
import { size } from './bytes.ts'

/** "localhost:3000", with the brackets that an IPv6 address needs. */
export const target = (f: Pick<Forward, 'target_host' | 'target_port'>): string =>
  `${f.target_host.includes(':') ? `[${f.target_host}]` : f.target_host}:${f.target_port}`

/** The line to copy: where programs on the box find it. */
export const boundAt = (f: Forward): string => `${f.bound_host ?? '127.0.0.1'}:${f.bound_port}`

export function traffic(f: Forward): string {
  const open = f.open_connections === 1 ? '1 connection open' : `${f.open_connections} connections open`
  return `${open} · ${size(f.bytes_in)} from the server, ${size(f.bytes_out)} to it`
}

const ends: Record<string, string> = {
  closed: 'ended',
  session_closed: 'ended with the session',
  refused: 'was refused',
  box_crashed: 'ended when the box crashed',
}
export const forwardEnd = (f: Forward): string => ends[f.end_reason ?? ''] ?? 'ended'

/** "node · only on the server". */
export function listener(one: Listening): string {
  const where = one.public ? 'open to its network' : 'only on the server'
  return one.process ? `${one.process} · ${where}` : where
}

/** Ports on which a web app is unlikely: they come last in the list. */
const unlikely = new Set([22, 25, 53, 111, 139, 445, 631, 2049, 3306, 5432, 6379])
export const sortListening = (all: Listening[]): Listening[] =>
  all.toSorted((a, b) => Number(unlikely.has(a.port)) - Number(unlikely.has(b.port)) || a.port - b.port)
