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
  login: { id: string; kind: 'browser' | 'token'; verified_at: string | null; device_name: string | null; created_at: string; expires_at: string | null }
  csrf_token: string
  box: Box
}
export interface Login {
  id: string
  kind: 'browser' | 'token'
  method: 'pairing' | 'token' | 'github' | 'oidc' | 'passkey' | 'recovery_code'
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
export interface PairingRequest {
  id: string
  digits: string
  device_name: string | null
  ip_address: string | null
  created_at: string
  expires_at: string
}
export interface PairingAsked {
  secret: string
  digits: string
  expires_at: string
}

export const askToPair = (deviceName: string) => post<PairingAsked>('/auth/pairing-requests', { device_name: deviceName })
export const claimPairing = (secret: string) => post<{ state: 'waiting' | 'paired'; csrf_token?: string }>('/auth/pairing-requests/claim', { secret })
export const listPairingRequests = async () => (await get<{ pairing_requests: PairingRequest[] }>('/pairing-requests')).pairing_requests
export const letIn = (asked: PairingRequest) => post<{ state: string }>(`/pairing-requests/${asked.id}/confirm`, { digits: asked.digits })
export const refuseDevice = (id: string) => post<{ state: string }>(`/pairing-requests/${id}/refuse`)
export const signInWithRecoveryCode = (code: string, deviceName: string) =>
  post<{ csrf_token: string }>('/auth/recovery-code', { code, device_name: deviceName })
export const recoveryCodesLeft = async () => (await get<{ left: number }>('/recovery-codes')).left
export const newRecoveryCodes = async () => (await post<{ codes: string[] }>('/recovery-codes')).codes
export const terminalCode = () => post<{ code: string; expires_at: string }>('/auth/step-up/terminal')
export const endOtherLogins = () => remove<{ ended: number }>('/logins')
export const me = () => get<Me>('/auth/me')
export const signOut = () => remove<{ revoked: boolean }>('/auth/session')
export const listLogins = async () => (await get<{ logins: Login[] }>('/logins')).logins
export const endLogin = (id: string) => remove<{ login: Login }>(`/logins/${id}`)
export const makePairingCode = async () => (await post<{ pairing_code: PairingCode }>('/pairing-codes')).pairing_code
export const recoveryWords = async () => (await post<{ words: string[] }>('/recovery-words')).words
export const confirmRecoveryWords = () => post<{ shown: boolean }>('/recovery-words/confirm')
