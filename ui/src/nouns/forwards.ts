import { get, post, remove } from '../api.ts'

export interface Forward {
  id: string
  session_id: string
  kind: 'local' | 'web'
  target_host: string
  target_port: number
  scheme: 'http' | 'https' | null
  any_certificate: boolean
  bound_host: string | null
  bound_port: number | null
  state: 'open' | 'ended'
  end_reason: 'closed' | 'session_closed' | 'refused' | 'box_crashed' | null
  connections: number
  open_connections: number
  bytes_in: number
  bytes_out: number
  entries: number
  last_refusal: string | null
  created_at: string
  ended_at: string | null
}
export interface ForwardInput {
  kind: 'local' | 'web'
  target_port: number
  target_host?: string
  bound_port?: number
  scheme?: 'http' | 'https'
  any_certificate?: boolean
}
export interface Listening {
  port: number
  host: string
  process: string | null
  public: boolean
}
export interface Opening {
  url: string
  ticket: string
  expires_in_s: number
}
type One = { forward: Forward }

export const listForwards = async (sessionId: string) =>
  (await get<{ forwards: Forward[] }>(`/sessions/${sessionId}/forwards`)).forwards
export const openForward = async (sessionId: string, input: ForwardInput) =>
  (await post<One>(`/sessions/${sessionId}/forwards`, input)).forward
export const endForward = async (f: Forward) => (await remove<One>(`/sessions/${f.session_id}/forwards/${f.id}`)).forward
export const askTicket = (f: Forward) => post<Opening>(`/sessions/${f.session_id}/forwards/${f.id}/open`)
export const findListening = async (sessionId: string) =>
  (await post<{ listening: Listening[] }>(`/sessions/${sessionId}/listening`)).listening
