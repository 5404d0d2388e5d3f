import { get, post } from '../api.ts'

/** A change that could lock its maker out, and that the server undoes by itself unless somebody says that they are still in. */
export interface Revert {
  id: string
  connection_id: string
  command: string
  what: string
  state: 'armed' | 'confirmed' | 'reverted' | 'unknown'
  due_at: string
}

export const listReverts = async (connectionId: string) =>
  (await get<{ reverts: Revert[] }>(`/connections/${connectionId}/reverts`)).reverts
export const confirmRevert = (id: string) => post<unknown>(`/reverts/${id}/confirm`)
