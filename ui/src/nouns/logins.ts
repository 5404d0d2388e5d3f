import { get, post, remove } from '../api.ts'

export interface Box {
  version: string
  demo: boolean
  public_url: string | null
  insecure: boolean
  runtimes: string[]
  recovery_words_pending: boolean
}
export interface Me {
  account: { id: string; display_name: string; email: string | null; role: string; created_at: string }
  login: { id: string; kind: 'browser' | 'token'; device_name: string | null; created_at: string; expires_at: string | null }
  csrf_token: string
  box: Box
}
export interface Login {
  id: string
  kind: 'browser' | 'token'
  device_name: string | null
  ip_address: string | null
  user_agent: string | null
  created_at: string
  last_used_at: string | null
  expires_at: string | null
  current: boolean
}
export interface PairingCode {
  code: string
  url: string
  expires_at: string
}

export const pair = (code: string, deviceName: string) =>
  post<{ csrf_token: string }>('/auth/pair', { code, device_name: deviceName })
export const me = () => get<Me>('/auth/me')
export const signOut = () => remove<{ revoked: boolean }>('/auth/session')
export const listLogins = async () => (await get<{ logins: Login[] }>('/logins')).logins
export const endLogin = (id: string) => remove<{ login: Login }>(`/logins/${id}`)
export const makePairingCode = async () => (await post<{ pairing_code: PairingCode }>('/pairing-codes')).pairing_code
export const recoveryWords = async () => (await post<{ words: string[] }>('/recovery-words')).words
export const confirmRecoveryWords = () => post<{ shown: boolean }>('/recovery-words/confirm')
