import { get, post, remove } from '../api.ts'

export interface HostAuthority {
  id: string
  kind: 'authority' | 'revoked'
  label: string
  patterns: string
  key_type: string
  public_key: string
  fingerprint: string
  created_at: string
}
type One = { host_authority: HostAuthority }

export const listHostAuthorities = async () =>
  (await get<{ host_authorities: HostAuthority[] }>('/host-authorities')).host_authorities
export const addHostAuthority = async (input: Pick<HostAuthority, 'kind' | 'label' | 'patterns' | 'public_key'>) =>
  (await post<One>('/host-authorities', input)).host_authority
export const removeHostAuthority = async (id: string) => (await remove<One>(`/host-authorities/${id}`)).host_authority
