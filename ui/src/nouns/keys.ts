import { get, post, remove } from '../api.ts'

export interface Keypair {
  id: string
  label: string
  fingerprint: string
  public_key: string
  algorithm: string
  created_at: string
  is_active: boolean
  rotated_at: string | null
  revoked_at: string | null
  state: 'active' | 'rotated' | 'revoked'
}
export interface Install {
  command: string
  public_key: string
  fingerprint: string
}

export const listKeys = async () => (await get<{ keypairs: Keypair[] }>('/keys')).keypairs
export const makeKey = async (label: string) => (await post<{ keypair: Keypair }>('/keys', { label })).keypair
export const installCommand = (id: string) => get<Install>(`/keys/${id}/install-command`)
export const revokeKey = (id: string, force: boolean) => remove<{ keypair: Keypair }>(`/keys/${id}?force=${force}`)

/** The key a new connection uses: the oldest active one, which the first start made. */
export async function mainKey(): Promise<Keypair | null> {
  const active = (await listKeys()).filter((key) => key.state === 'active')
  return active.sort((a, b) => a.created_at.localeCompare(b.created_at))[0] ?? null
}
