import type { Connection } from '../nouns/connections.ts'

export type Tone = 'ok' | 'warn' | 'bad' | 'idle' | 'live'
export interface Standing {
  kind: 'session' | 'changed' | 'draft' | 'failing' | 'tested'
  tone: Tone
  words: string
}

/** How a connection stands, in the one word a list has room for. */
export function standing(c: Connection): Standing {
  if (hostKeyChanged(c)) return { kind: 'changed', tone: 'bad', words: 'Host key changed' }
  if (c.active_session_id) return { kind: 'session', tone: 'live', words: 'Session open' }
  if (c.state === 'draft') return { kind: 'draft', tone: 'idle', words: 'Draft – not tested yet' }
  if (c.last_test_result && c.last_test_result !== 'ok') return { kind: 'failing', tone: 'warn', words: 'Last test failed' }
  return { kind: 'tested', tone: 'ok', words: 'Ready' }
}

export function hostKeyChanged(c: Connection): boolean {
  const offered = c.offered_host_key
  return !!offered && !!c.host_key_fingerprint && offered.fingerprint !== c.host_key_fingerprint
}

/** `user@host`, with the port only when it is not the usual one. */
export function address(c: { host: string; port: number; username: string }): string {
  const host = c.host.includes(':') ? `[${c.host}]` : c.host
  return `${c.username}@${host}${c.port === 22 ? '' : `:${c.port}`}`
}
