import { get, patch, post, remove } from '../api.ts'

export interface HostKey {
  fingerprint: string
  type: string
}
/** How careful agents are there. */
export type Tier = 'production' | 'staging' | 'lab'
export interface Connection {
  id: string
  label: string
  host: string
  port: number
  username: string
  keypair_id: string
  jump_connection_id: string | null
  state: 'draft' | 'tested'
  host_key_fingerprint: string | null
  host_key_type: string | null
  host_key_pinned_at: string | null
  host_authority_id: string | null
  offered_host_key: (HostKey & { at: string }) | null
  last_tested_at: string | null
  last_test_result: 'ok' | 'failed' | 'timeout' | 'host_key_mismatch' | null
  last_test_message: string | null
  last_latency_ms: number | null
  created_at: string
  updated_at: string
  active_session_id: string | null
  tier: Tier
  /** Whether what people type into a conversation is judged, too. */
  judge_people: boolean
}
export interface TestResult {
  result: 'ok' | 'failed' | 'timeout' | 'host_key_changed'
  latency_ms: number | null
  cause: string | null
  message: string | null
  next_step: string | null
  host_key: HostKey | null
  server_version: string | null
  failed_hop: { connection_id: string; label: string } | null
  connection: Connection
}
export interface KeyRemoval {
  attempted: boolean
  removed: boolean | null
  message: string | null
}
export type ConnectionInput = Pick<Connection, 'label' | 'host' | 'port' | 'username'> & { keypair_id?: string; jump_connection_id?: string | null; tier?: Tier; judge_people?: boolean }
type One = { connection: Connection }

export const listConnections = async () => (await get<{ connections: Connection[] }>('/connections')).connections
export const readConnection = async (id: string) => (await get<One>(`/connections/${id}`)).connection
export const addConnection = async (input: ConnectionInput) => (await post<One>('/connections', input)).connection
export const editConnection = async (id: string, input: Partial<ConnectionInput>) =>
  (await patch<One>(`/connections/${id}`, input)).connection
export const testConnection = (id: string, fingerprint?: string) =>
  post<TestResult>(`/connections/${id}/test`, fingerprint ? { accept_host_key: true, fingerprint } : {})
export const removeConnection = (id: string, removeKey: boolean) =>
  remove<One & { key_removal: KeyRemoval }>(`/connections/${id}?remove_key=${removeKey}`)
