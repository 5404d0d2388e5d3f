import type { Session } from '../nouns/sessions.ts'
import type { LinkState } from '../live.ts'
import type { Tone } from './standing.ts'

export interface Hop {
  tone: Tone
  words: string
}

/** Phone to box. */
export function linkHop(link: LinkState): Hop {
  if (link === 'open') return { tone: 'ok', words: 'Box reached' }
  if (link === 'connecting') return { tone: 'idle', words: 'Reaching the box…' }
  return { tone: 'warn', words: 'Box out of reach – trying again' }
}

/** Box to server. */
export function masterHop(s: Session, now: number): Hop {
  if (s.status === 'pending') return { tone: 'warn', words: 'Opening the SSH connection…' }
  if (s.status !== 'active') return { tone: 'idle', words: ended(s.close_reason) }
  const master = s.master
  if (!master || master.state === 'up') return { tone: 'ok', words: 'Server connected' }
  if (master.state === 'dialling') return { tone: 'warn', words: 'Dialling the server…' }
  if (master.state === 'lost') return { tone: 'bad', words: lost(master.redials, master.grace_ends_at, now) }
  return { tone: 'warn', words: 'Closing' }
}

function lost(redials: number, until: string | null, now: number): string {
  const left = until ? Math.max(0, Math.round((Date.parse(until) - now) / 1000)) : 0
  const time = left ? `, gives up in ${left >= 60 ? `${Math.ceil(left / 60)} min` : `${left} s`}` : ''
  return `Server lost – redialling${redials ? ` (${redials})` : ''}${time}`
}

/** Why a lease ended, for a person. */
export function ended(reason: string | null): string {
  if (reason === 'user') return 'Session closed'
  if (reason === 'timeout') return 'Session closed after being idle'
  if (reason === 'server_closed') return 'The server closed the connection'
  if (reason === 'error') return 'Session ended by an error'
  return 'Session ended'
}

const terminalEnds: Record<string, string> = {
  exited: '',
  closed: 'it was closed',
  session_closed: 'its session was closed',
  link_lost: 'the connection to the server was lost',
  kept: 'it goes on on the server',
  moved: 'another session took it over',
  gone: 'the server has it no more',
  box_crashed: 'the box was restarted',
}

/** Why a terminal ended, when its exit does not say it. */
export const terminalEnd = (reason: string): string => terminalEnds[reason] ?? reason.replaceAll('_', ' ')
