import { get, patch, post, Problem, remove } from '../api.ts'
import { toCreate, toJson, toRequest } from '../logic/credential.ts'

export interface Passkey {
  id: string
  label: string
  usable: boolean
  backed_up: boolean
  created_at: string
  last_used_at: string | null
}
export interface Passkeys {
  passkeys: Passkey[]
  /** The only address at which passkeys of this box work; null where they cannot. */
  origin: string | null
}
type Options = { options: Record<string, unknown> }

export const listPasskeys = () => get<Passkeys>('/passkeys')
export const renamePasskey = (id: string, label: string) => patch<{ passkey: Passkey }>(`/passkeys/${id}`, { label })
export const removePasskey = (id: string) => remove<{ passkey: Passkey }>(`/passkeys/${id}`)

/** Whether this page could use one at all: browsers want https and a name. */
export const canUsePasskeys = (): boolean => isSecureContext && 'PublicKeyCredential' in window && !/^[\d.]+$|^\[/.test(location.hostname)

export async function addPasskey(label: string): Promise<{ passkey: Passkey }> {
  const { options } = await post<Options>('/passkeys/options')
  const made = await unlocked(() => navigator.credentials.create({ publicKey: toCreate(options) }))
  return post('/passkeys', { label, credential: made })
}

export async function signInWithPasskey(deviceName: string): Promise<{ csrf_token: string }> {
  const { options } = await post<Options>('/auth/passkey/options')
  const used = await unlocked(() => navigator.credentials.get({ publicKey: toRequest(options) }))
  return post('/auth/passkey', { credential: used, device_name: deviceName })
}

export async function stepUpWithPasskey(): Promise<void> {
  const { options } = await post<Options>('/auth/step-up/passkey/options')
  const used = await unlocked(() => navigator.credentials.get({ publicKey: toRequest(options) }))
  await post('/auth/step-up/passkey', { credential: used })
}

async function unlocked(ask: () => Promise<Credential | null>): Promise<Record<string, unknown>> {
  try {
    const found = await ask()
    if (found) return toJson(found as PublicKeyCredential)
  } catch (error) {
    if (error instanceof DOMException && error.name === 'InvalidStateError') {
      throw new Problem(0, 'passkey_known', 'This device has a passkey for this box already.')
    }
  }
  throw new Problem(0, 'passkey_cancelled', 'No passkey was used: it was cancelled, or this device has none for this box.')
}
