import { get, post, remove } from '../api.ts'

export interface Master {
  state: 'dialling' | 'up' | 'draining' | 'lost' | 'closed'
  since: string
  redials: number
  grace_ends_at: string | null
}
export interface Session {
  id: string
  status: 'pending' | 'active' | 'closed' | 'error'
  connection_id: string
  connection: { id: string; label: string; host: string; port: number; username: string }
  conversation_id: string | null
  started_at: string | null
  closed_at: string | null
  close_reason: 'user' | 'timeout' | 'error' | 'server_closed' | null
  error_detail: string | null
  created_at: string
  idle_timeout_s: number
  last_activity_at: string | null
  master: Master | null
}
export interface Terminal {
  id: string
  session_id: string
  state: 'open' | 'ended'
  cols: number
  rows: number
  exit_status: number | null
  end_reason: string | null
  created_at: string
  ended_at: string | null
  /** The shell in tmux on the server that it shows; null for a plain terminal. */
  kept_id: string | null
  attach_path: string
}
type One = { session: Session }
export interface SessionPage {
  sessions: Session[]
  total: number
}

export const startSession = async (connectionId: string) =>
  (await post<One>('/sessions', { connection_id: connectionId })).session
export const readSession = async (id: string) => (await get<One>(`/sessions/${id}`)).session
export const closeSession = async (id: string) => (await remove<One>(`/sessions/${id}`)).session
export const listSessions = (query: Record<string, string>) =>
  get<SessionPage>(`/sessions?${new URLSearchParams(query)}`)

export const listTerminals = async (id: string) =>
  (await get<{ terminals: Terminal[] }>(`/sessions/${id}/terminals`)).terminals
export const openTerminal = async (id: string, cols: number, rows: number, keepAlive = false) =>
  (await post<{ terminal: Terminal }>(`/sessions/${id}/terminals`, { cols, rows, keep_alive: keepAlive })).terminal
export const resumeTerminal = async (id: string, keptId: string, cols: number, rows: number) =>
  (await post<{ terminal: Terminal }>(`/sessions/${id}/terminals`, { cols, rows, kept_id: keptId })).terminal
export const endTerminal = async (id: string, terminalId: string) =>
  (await remove<{ terminal: Terminal }>(`/sessions/${id}/terminals/${terminalId}`)).terminal
