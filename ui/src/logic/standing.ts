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
  if (c.state === 'draft') {
    const tried = c.last_test_result && c.last_test_result !== 'ok'
    return { kind: 'draft', tone: 'idle', words: tried ? 'Draft – last test failed' : 'Draft – not tested yet' }
  }
  if (c.last_test_result && c.last_test_result !== 'ok') return { kind: 'failing', tone: 'warn', words: 'Last test failed' }
  return { kind: 'tested', tone: 'ok', words: 'Ready' }
}

export function hostKeyChanged(c: Connection): boolean {
  const offered = c.offered_host_key
  return !!offered && !!c.host_key_fingerprint && offered.fingerprint !== c.host_key_fingerprint
}

/** What the last test found, as the page of the connection says it. */
export function lastTest(c: Connection): string {
  if (c.last_test_result === 'host_key_mismatch') return 'Stopped: the host key had changed'
  if (!c.last_test_result) return 'Stopped to ask about the host key'
  return (c.last_test_message ?? c.last_test_result).replace(/\.$/, '')
}

/** The connection that `serve --demo` makes: its server trusts the box's key from the start. */
export const isDemoServer = (c: Pick<Connection, 'label' | 'host'>): boolean => c.label === 'Demo server' && c.host === '127.0.0.1'

/** `user@host`, with the port only when it is not the usual one. */
export function address(c: { host: string; port: number; username: string }): string {
  const host = c.host.includes(':') ? `[${c.host}]` : c.host
  return `${c.username}@${host}${c.port === 22 ? '' : `:${c.port}`}`
}
