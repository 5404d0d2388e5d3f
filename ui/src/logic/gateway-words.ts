import type { Gateway, GatewayChange, GatewayInput } from '../nouns/openclaw-gateways.ts'

/** What a person types; the secret is a token or a password, as `auth` says. */
export type GatewayForm = Pick<Gateway, 'label' | 'url' | 'way' | 'auth'> & { connection_id: string; secret: string }

export const blank = (taken: readonly string[]): GatewayForm => {
  let label = 'OpenClaw'
  for (let n = 2; taken.includes(label); n++) label = `OpenClaw ${n}`
  return { label, url: 'ws://127.0.0.1:18789', way: 'direct', connection_id: '', auth: 'token', secret: '' }
}
export const formOf = (g: Gateway): GatewayForm =>
  ({ label: g.label, url: g.url, way: g.way, connection_id: g.connection_id ?? '', auth: g.auth, secret: '' })

export function added(form: GatewayForm): GatewayInput {
  const input: GatewayInput = { label: form.label, url: form.url, way: form.way, connection_id: form.way === 'forward' ? form.connection_id : null }
  return form.auth === 'none' ? input : { ...input, [form.auth]: form.secret.trim() }
}

/** What of a form is another value than before. A secret that was not typed stays, unless there is to be none. */
export function changed(before: Gateway, form: GatewayForm): GatewayChange {
  const change: GatewayChange = {}
  for (const name of ['label', 'url'] as const) if (form[name] !== before[name]) change[name] = form[name]
  if (form.auth === 'none') return before.auth === 'none' ? change : { ...change, token: '' }
  return form.secret.trim() ? { ...change, [form.auth]: form.secret.trim() } : change
}

/** Whether the secret has to be typed: it is another gateway's, or of another kind, than the one that is kept. */
export const wantsSecret = (before: Gateway | null, form: GatewayForm): boolean =>
  form.auth !== 'none' && (!before || before.auth !== form.auth || before.url !== form.url.trim())

export interface Standing {
  tone: 'ok' | 'warn' | 'bad' | 'info'
  words: string
}
const troubles: Record<string, string> = { pairing: 'Somebody has to let this box in at the gateway.', refused: 'The gateway does not let the box in.', unreachable: 'The gateway cannot be reached.' }

/** How it was when it was last connected to. */
export function standingOf(g: Pick<Gateway, 'state' | 'problem' | 'version'>): Standing {
  if (g.state === 'untested') return { tone: 'info', words: 'Not tested yet.' }
  if (g.state === 'ready') return { tone: 'ok', words: ['OpenClaw', g.version, 'lets this box in.'].filter(Boolean).join(' ') }
  return { tone: g.state === 'pairing' ? 'warn' : 'bad', words: g.problem || troubles[g.state]! }
}

/** What is run on the gateway's machine; without an id, what shows it. */
export const pairingCommand = (g: Pick<Gateway, 'pairing'>): string => g.pairing?.command ?? 'openclaw devices list'
