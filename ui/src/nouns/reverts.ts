import { get, post } from '../api.ts'

/** A change that could lock its maker out, and that the server undoes by itself unless somebody says that they are still in. */
export interface Revert {
  id: string
  connection_id: string
  turn_id: string
  command: string
  /** What is put back. */
  what: string
  state: 'arming' | 'armed' | 'unguarded' | 'confirmed' | 'reverted' | 'unknown'
  due_at: string | null
  created_at: string
  ended_at: string | null
}

/** Those that wait for somebody to confirm them, on all servers. */
export const openReverts = async () => (await get<{ reverts: Revert[] }>('/reverts')).reverts
export const confirmRevert = async (id: string) => (await post<{ revert: Revert }>(`/reverts/${id}/confirm`)).revert
